"""Measure the faithfulness of maps to the model: deletion and insertion curves.

V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018, arXiv:1806.07421.

Deletion: locations of the input are replaced by the baseline, those with the largest attribution first. The target's
probability is computed after each change; with a good map it falls at once. Insertion: locations of the input are put
into the baseline in the same order; the probability rises. The areas under both curves are the measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.spatial_layers import input_under
from nnviz3d.capture.attributions.variation_scores import VariationScores
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.axes import as_arranged, channels_last
from nnviz3d.data.upsample import upsampled

CHANGES = 28
"""Number of changes, each of equally many locations: 28 of 28 by 28 pixels, 1792 of 224 by 224."""


@dataclass(frozen=True)
class Curves:
    """The target's probability after each change, for each sample.

    Attributes
    ----------
    shares
        Shares of changed locations, ``(S,)``, 0 to 1. S is 0, and there are no curves, if no input has locations that
        correspond to the layer's.
    deletion, insertion
        ``(n, S)``.
    """

    shares: NDArray[np.float32]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]


class Faithfulness:
    """Measures the faithfulness of maps of one model.

    Parameters
    ----------
    model, g
        The model, and `probability_of` one of its outputs, which is the score if there is no softmax or sigmoid.
    """

    def __init__(self, model: DifferentiableModel, g: Operator) -> None:
        self._model = model
        self._scores = VariationScores(model, g)

    def __call__(
        self,
        x: Sequence[Any],
        y: Any,
        layer: str,
        values: NDArray[np.floating],
        baselines: Sequence[NDArray[Any]],
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> Curves:
        """Delete and insert locations in the order of their attributions, the largest first.

        Parameters
        ----------
        x, y, baselines
            As for `Function`.
        layer, values
            The layer and its maps, ``(n, *locations)``; they are interpolated linearly to the locations of the input.
        """
        graph = self._model.described.graph
        under = graph.inputs.index(layer) if layer in graph.inputs else input_under(self._model.described, layer)
        if under is None:
            return Curves(*(np.empty(shape, dtype=np.float32) for shape in ((0,), (len(values), 0), (len(values), 0))))
        arrays, targets = [np.asarray(part) for part in x], np.asarray(y)
        axes = graph.node(graph.inputs[under]).axes
        given, base = channels_last(arrays[under], axes), channels_last(np.asarray(baselines[under]), axes)
        lengths = given.shape[1 : values.ndim]
        ranks = np.stack([_ranks(row) for row in upsampled(values, lengths)])
        total = math.prod(lengths)
        shares = np.linspace(0, 1, min(CHANGES, total) + 1)
        changed = np.rint(shares * total)
        size = (len(values), 2, len(shares))

        def vary(numbers: NDArray[np.int64]) -> tuple[list[NDArray[Any]], NDArray[Any]]:
            sample, inserting, change = np.unravel_index(numbers, size)
            inputs = [array[sample] for array in arrays]
            first = ranks[sample] < changed[change].reshape(-1, *(1 for _ in lengths))
            kept = first == inserting.astype(bool).reshape(-1, *(1 for _ in lengths))
            kept = kept.reshape(*kept.shape, *(1 for _ in base.shape[kept.ndim :]))
            inputs[under] = as_arranged(np.where(kept, given[sample], base[sample]), axes)
            return inputs, targets[sample]

        found = self._scores(math.prod(size), vary, report).reshape(size)
        return Curves(shares.astype(np.float32), found[:, 0], found[:, 1])


def order(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the flat locations of a map by descending value; the first of equal ones first."""
    return np.argsort(-np.ravel(values), kind="stable")


def _ranks(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return each location's position in `order`, in the map's shape."""
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[order(values)] = np.arange(values.size)
    return ranks.reshape(values.shape)
