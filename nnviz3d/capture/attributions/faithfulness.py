"""How faithful a map is to the model.

V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018, arXiv:1806.07421.

Deletion: the places of the input that count most are replaced by the baseline first, and the target's probability is
asked for at each step; if the map is right it falls at once. Insertion: they are put into the baseline first; it rises.
The areas under both curves are the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.answers import Answers
from nnviz3d.capture.attributions.places import input_under
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.axes import as_arranged, channels_last
from nnviz3d.data.upsample import upsampled

STEPS = 28
"""So many times places are changed, an equal number each: a row's worth of 28 by 28 pixels, 1792 of 224 by 224."""


@dataclass(frozen=True)
class Curves:
    """What the target's probability becomes for each sample.

    Attributes
    ----------
    shares
        ``(S,)``: of places that were changed, 0 to 1. None (and no curves) if there was nothing to measure by: no input
        has places that correspond to the layer's.
    deletion, insertion
        ``(n, S)``.
    """

    shares: NDArray[np.float32]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]


class Faithfulness:
    """Measures maps of one model.

    Parameters
    ----------
    model, g
        What is asked: `probability_of` an output, which is its score where there is no softmax or sigmoid.
    """

    def __init__(self, model: DifferentiableModel, g: Operator) -> None:
        self._model = model
        self._answers = Answers(model, g)

    def __call__(
        self,
        x: Sequence[Any],
        y: Any,
        layer: str,
        values: NDArray[np.floating],
        baselines: Sequence[NDArray[Any]],
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> Curves:
        """Take places out and put them in, those first that count most.

        Parameters
        ----------
        x, y, baselines
            As for `Function`.
        layer, values
            Whose places the map is of, ``(n, *places)``; a layer's are interpolated linearly to those of the input.
        """
        graph = self._model.described.graph
        under = graph.inputs.index(layer) if layer in graph.inputs else input_under(self._model.described, layer)
        if under is None:
            return Curves(*(np.empty(shape, dtype=np.float32) for shape in ((0,), (len(values), 0), (len(values), 0))))
        arrays, targets = [np.asarray(part) for part in x], np.asarray(y)
        axes = graph.node(graph.inputs[under]).axes
        given, base = channels_last(arrays[under], axes), channels_last(np.asarray(baselines[under]), axes)
        places = given.shape[1 : values.ndim]
        ranks = np.stack([_ranks(row) for row in upsampled(values, places)])
        total = math.prod(places)
        shares = np.linspace(0, 1, min(STEPS, total) + 1)
        changed = np.rint(shares * total)
        size = (len(values), 2, len(shares))

        def vary(numbers: NDArray[np.int64]) -> tuple[list[NDArray[Any]], NDArray[Any]]:
            sample, inserting, step = np.unravel_index(numbers, size)
            inputs = [array[sample] for array in arrays]
            first = ranks[sample] < changed[step].reshape(-1, *(1 for _ in places))
            kept = first == inserting.astype(bool).reshape(-1, *(1 for _ in places))
            kept = kept.reshape(*kept.shape, *(1 for _ in base.shape[kept.ndim :]))
            inputs[under] = as_arranged(np.where(kept, given[sample], base[sample]), axes)
            return inputs, targets[sample]

        found = self._answers(math.prod(size), vary, report).reshape(size)
        return Curves(shares.astype(np.float32), found[:, 0], found[:, 1])


def order(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the flat places of a map, those that count most in front; the first of equal ones first."""
    return np.argsort(-np.ravel(values), kind="stable")


def _ranks(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return each place's position in `order`, in the map's shape."""
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[order(values)] = np.arange(values.size)
    return ranks.reshape(values.shape)
