"""Occlusion: the decrease of the score when a patch covers part of the sample.

Matthew D. Zeiler, Rob Fergus: Visualizing and Understanding Convolutional Networks. 2014.
https://arxiv.org/abs/1311.2901

The patch moves by less than its width. The value at a location is the mean decrease of all patches that cover it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.input_axes import location_axes
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.variation_scores import VariationScores
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.axes import channels_last

_SIDE = 7
"""Ratio of the sample's side to the patch's side: 4 pixels of 28, 32 of 224."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the decrease of the score where a patch of the baseline covers the sample, ``(n, *locations)``."""
    position = model.described.graph.inputs.index(settings.layer)
    given = [np.asarray(part) for part in x]
    values, baseline = given[position], np.asarray(settings.baselines[position])
    lengths = tuple(values.shape[axis] for axis in location_axes(model.described, settings.layer))
    axes = model.described.graph.node(settings.layer).axes
    instead = channels_last(baseline, axes)
    covers = patches(lengths)
    targets = np.asarray(y)
    # The first variation of each sample is the sample itself.
    each = len(covers) + 1

    def vary(numbers: NDArray[np.int64]) -> tuple[list[NDArray[Any]], NDArray[Any]]:
        samples, patch = np.divmod(numbers, each)
        rows = [part[samples] for part in given]
        rows[position] = rows[position].copy()
        covered = channels_last(rows[position], axes)  # a view: writing to `covered` changes `rows`
        for row, (sample, which) in enumerate(zip(samples, patch, strict=True)):
            if which:
                covered[(row, *covers[which - 1])] = instead[(sample, *covers[which - 1])]
        return rows, targets[samples]

    scores = model.compiled(("scores", g), lambda: VariationScores(model, g))(
        len(targets) * each, vary, settings.report
    ).reshape(len(targets), each)
    falls = scores[:, :1].astype(np.float64) - scores[:, 1:]
    total = np.zeros((len(targets), *lengths))
    counts = np.zeros(lengths)
    for which, cover in enumerate(covers):
        total[(slice(None), *cover)] += falls[:, which].reshape(-1, *(1 for _ in lengths))
        counts[cover] += 1
    return np.asarray(total / counts, dtype=np.float32)


def patches(lengths: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return all positions of the patch; it is about 1/7 of each axis wide and moves by half its width to the end."""
    axes = []
    for count in lengths:
        width = max(1, math.ceil(count / _SIDE)) if count >= _SIDE else 1
        starts = list(range(0, count - width + 1, (width + 1) // 2))
        if starts[-1] != count - width:
            starts.append(count - width)
        axes.append([slice(start, start + width) for start in starts])
    return list(itertools.product(*axes))


OCCLUSION = Method(
    "occlusion",
    "input",
    attribute=attribute,
    reads=("baseline",),
    constants={"side": f"1/{_SIDE}", "stride": "1/2 patch"},
)
