"""The gradient gathered on the way from a baseline to the sample, times that way.

Mukund Sundararajan, Ankur Taly, Qiqi Yan: Axiomatic Attribution for Deep Networks. 2017.
https://arxiv.org/abs/1703.01365

It is complete: a map adds up to the score of the sample less that of the baseline. How many steps that takes is not
known before, so each step is divided in three until it holds. The gradient is taken in the middle of each, which is the
middle of one of its thirds too, so nothing is computed twice; and never at the baseline, where ReLUs have their kink.

The way is walked as ``t = u * u``, in equal steps of u: near the baseline, where a network makes up its mind (over half
of EfficientNet-Lite0's score for an espresso comes of the first 6 % of the way), steps are short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.pixels import over_channels
from nnviz3d.capture.attributions.slopes import gradient_by_input, mean_gradient
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator

TOLERANCE = 0.005
"""By how much a map's sum may differ from the scores' difference, as a share of it."""
COMPLETE = 0.01
"""By how much it may differ after the most steps without a word."""
_FEWEST, _MOST = 32, 864
"""Steps. A map that is not complete after the most stays as it is then."""
_SMALL = 1e-3
"""Scores that differ by less than this share of the score are equal as far as float32 can tell."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the integrated gradients, summed over the channels of each place, ``(n, *places)``."""
    position = model.described.graph.inputs.index(settings.layer)
    targets = np.asarray(y)
    given = [np.asarray(part) for part in x]
    ends = [gradient_by_input(model, part, targets, g, settings.layer)[0] for part in (given, settings.baselines)]
    expected = ends[0].astype(np.float64) - ends[1]
    scale = np.maximum(np.abs(expected), _SMALL * np.maximum(*np.abs(ends))) + np.finfo(np.float32).tiny
    away = given[position].astype(np.float64) - np.asarray(settings.baselines[position])
    gathered, missing = np.zeros(away.shape), np.zeros(len(targets))
    steps_of = np.zeros(len(targets))
    pending, steps, passes = np.arange(len(targets)), 0, 0
    while len(pending) and steps < _MOST:
        middles = (np.arange(_FEWEST) + 0.5) / _FEWEST if steps == 0 else _new_middles(steps)
        steps = max(_FEWEST, 3 * steps)
        way = [(2 * u, partial(_from_end, away[pending], 1 - u * u)) for u in middles]
        rows, tell = [part[pending] for part in given], partial(_half, settings.report, passes)
        gathered[pending] += mean_gradient(model, rows, targets[pending], g, settings.layer, way, tell)
        steps_of[pending] = steps
        sums = (gathered * away)[pending].reshape(len(pending), -1).sum(axis=1) / steps
        missing[pending] = np.abs(sums - expected[pending]) / scale[pending]
        pending = pending[missing[pending] > TOLERANCE]
        passes += 1
    for sample in pending[missing[pending] > COMPLETE]:
        settings.note(int(sample), float(missing[sample]))
    maps = gathered * away / steps_of.reshape(-1, *(1 for _ in away.shape[1:]))
    return over_channels(model.described, settings.layer, maps, np.sum)


def _new_middles(steps: int) -> NDArray[np.float64]:
    """Return the middles of the first and last third of so many equal steps from 0 to 1."""
    return np.asarray([(step + third) / steps for step in range(steps) for third in (1 / 6, 5 / 6)])


def _from_end(away: NDArray[Any], share: float, end: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(end - share * away)


def _half(report: Callable[[int, int], None], passes: int, done: int, total: int) -> None:
    """Tell of each pass as half of what was left: nobody knows whether it is the last."""
    parts = 2 ** (passes + 1)
    report((parts - 2) * total + done, parts * total)


INTEGRATED_GRADIENTS = Method(
    "integrated_gradients",
    "input",
    attribute=attribute,
    reads=("baseline",),
    constants={"tolerance": TOLERANCE, "most_steps": _MOST},
)
