"""Integrated gradients: the mean gradient on the path from a baseline to the sample, times their difference.

Mukund Sundararajan, Ankur Taly, Qiqi Yan: Axiomatic Attribution for Deep Networks. 2017.
https://arxiv.org/abs/1703.01365

The method is complete: a map's sum is the score of the sample minus the score of the baseline. The number of intervals
that this takes is not known in advance, so each interval is divided into three until the sum is right. The gradient is
computed at the middle of each interval. This is also the middle of one of its thirds, so no gradient is computed twice;
and it is never the baseline itself, where ReLUs have a kink.

The path is ``t = u * u`` with equal intervals of u. So intervals are short near the baseline, where the score changes
most: the first 6 % of the path give more than half of EfficientNet-Lite0's score for an espresso.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.input_axes import over_channels
from nnviz3d.capture.attributions.input_gradients import gradient_by_input, mean_gradient
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator

TOLERANCE = 0.005
"""Largest relative error of a map's sum at which the computation ends: share of the scores' difference."""
COMPLETE = 0.01
"""Largest relative error at the largest number of intervals that is not reported."""
_FEWEST, _MOST = 32, 864
"""Fewest and most intervals. A map that is not complete with the most intervals is kept as it is."""
_SMALL = 1e-3
"""Scores that differ by less than this share of the score are equal as far as float32 can tell."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the integrated gradients, summed over the channels of each location, ``(n, *locations)``."""
    position = model.described.graph.inputs.index(settings.layer)
    targets = np.asarray(y)
    given = [np.asarray(part) for part in x]
    ends = [gradient_by_input(model, part, targets, g, settings.layer)[0] for part in (given, settings.baselines)]
    expected = ends[0].astype(np.float64) - ends[1]
    scale = np.maximum(np.abs(expected), _SMALL * np.maximum(*np.abs(ends))) + np.finfo(np.float32).tiny
    away = given[position].astype(np.float64) - np.asarray(settings.baselines[position])
    gathered, missing = np.zeros(away.shape), np.zeros(len(targets))
    intervals_of = np.zeros(len(targets))
    pending, intervals, passes = np.arange(len(targets)), 0, 0
    while len(pending) and intervals < _MOST:
        middles = (np.arange(_FEWEST) + 0.5) / _FEWEST if intervals == 0 else _new_middles(intervals)
        intervals = max(_FEWEST, 3 * intervals)
        path = [(2 * u, partial(_from_end, away[pending], 1 - u * u)) for u in middles]
        rows, tell = [part[pending] for part in given], partial(_half, settings.report, passes)
        gathered[pending] += mean_gradient(model, rows, targets[pending], g, settings.layer, path, tell)
        intervals_of[pending] = intervals
        sums = (gathered * away)[pending].reshape(len(pending), -1).sum(axis=1) / intervals
        missing[pending] = np.abs(sums - expected[pending]) / scale[pending]
        pending = pending[missing[pending] > TOLERANCE]
        passes += 1
    for sample in pending[missing[pending] > COMPLETE]:
        settings.note(int(sample), float(missing[sample]))
    maps = gathered * away / intervals_of.reshape(-1, *(1 for _ in away.shape[1:]))
    return over_channels(model.described, settings.layer, maps, np.sum)


def _new_middles(intervals: int) -> NDArray[np.float64]:
    """Return the middles of the first and last third of each of some equal intervals from 0 to 1."""
    return np.asarray([(i + third) / intervals for i in range(intervals) for third in (1 / 6, 5 / 6)])


def _from_end(away: NDArray[Any], share: float, end: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(end - share * away)


def _half(report: Callable[[int, int], None], passes: int, done: int, total: int) -> None:
    """Report each pass as half of the remaining work, because the number of passes is not known."""
    parts = 2 ** (passes + 1)
    report((parts - 2) * total + done, parts * total)


INTEGRATED_GRADIENTS = Method(
    "integrated_gradients",
    "input",
    attribute=attribute,
    reads=("baseline",),
    constants={"tolerance": TOLERANCE, "most_steps": _MOST},
)
