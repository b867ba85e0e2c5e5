"""The gradient gathered on the way from a baseline to the sample, times that way.

Mukund Sundararajan, Ankur Taly, Qiqi Yan: Axiomatic Attribution for Deep Networks. 2017.
https://arxiv.org/abs/1703.01365

It is complete: a map adds up to the score of the sample less that of the baseline. How many steps that takes is not
known before, so they are doubled until it holds.
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
from nnviz3d.capture.differentiable import DifferentiableModel, Operator

TOLERANCE = 0.005
"""By how much a map's sum may differ from the scores' difference, as a share of it."""
_FEWEST, _MOST = 32, 1024
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
    allowed = TOLERANCE * np.maximum(np.abs(expected), _SMALL * np.maximum(*np.abs(ends)))
    found = np.zeros(given[position].shape, dtype=np.float64)
    pending = np.arange(len(targets))
    steps, passes = _FEWEST, 0
    while len(pending) and steps <= _MOST:
        rows = [part[pending] for part in given]
        away = rows[position].astype(np.float64) - np.asarray(settings.baselines[position])[pending]
        # Gauss and Legendre's nodes: exact for polynomials, and never at the baseline itself, where ReLUs have their kink.
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        way = [
            (weight / 2, partial(_from_end, away, (1 - node) / 2)) for node, weight in zip(nodes, weights, strict=True)
        ]
        mean = mean_gradient(
            model, rows, targets[pending], g, settings.layer, way, partial(_half, settings.report, passes)
        )
        passes += 1
        found[pending] = mean * away
        missing = np.abs(found[pending].reshape(len(pending), -1).sum(axis=1) - expected[pending])
        pending = pending[missing > allowed[pending]]
        steps *= 2
    return over_channels(model.described, settings.layer, found, np.sum)


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
