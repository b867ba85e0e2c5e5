"""How far the score falls when a patch of the sample is covered.

Matthew D. Zeiler, Rob Fergus: Visualizing and Understanding Convolutional Networks. 2014.
https://arxiv.org/abs/1311.2901

The patch moves over the sample by less than its own width, and a place has the mean fall of all patches that cover it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.answers import Answers
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.pixels import place_axes
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.axes import channels_last

_SIDE = 7
"""A patch is about this part of a side: 4 pixels of 28, 32 of 224."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return how far the score falls where a patch of the baseline covers the sample, ``(n, *places)``."""
    position = model.described.graph.inputs.index(settings.layer)
    given = [np.asarray(part) for part in x]
    values, baseline = given[position], np.asarray(settings.baselines[position])
    places = tuple(values.shape[axis] for axis in place_axes(model.described, settings.layer))
    axes = model.described.graph.node(settings.layer).axes
    instead = channels_last(baseline, axes)
    covers = patches(places)
    targets = np.asarray(y)
    # The first of each sample's variations is the sample itself.
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

    answers = model.compiled(("answers", g), lambda: Answers(model, g))(
        len(targets) * each, vary, settings.report
    ).reshape(len(targets), each)
    falls = answers[:, :1].astype(np.float64) - answers[:, 1:]
    total = np.zeros((len(targets), *places))
    counts = np.zeros(places)
    for which, cover in enumerate(covers):
        total[(slice(None), *cover)] += falls[:, which].reshape(-1, *(1 for _ in places))
        counts[cover] += 1
    return np.asarray(total / counts, dtype=np.float32)


def patches(places: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return where the patch stands: along each axis about a seventh of it wide, by half its width, to the very end."""
    axes = []
    for count in places:
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
