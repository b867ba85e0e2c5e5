"""Layout and scale of the ridges of a training's history: above the network, one behind the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.history import History, history_of
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.training import Training
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Vector

COLUMNS = 640
"""Maximum number of columns of a ridge, about one for each pixel of its width in a picture."""
_FEWEST, _ALL = 240, 30_000
"""Columns that a ridge may always have; beyond this, the maximum of all ridges together, because each costs time."""
DECADES = 12.0
"""Decades of a logarithmic scale; smaller numbers are drawn at its foot."""
_SPANS = 10.0
"""Ratio of the greatest to the least number from which norms and ratios are shown on a logarithmic scale."""
_LOGARITHMIC = ("gradient_norm", "weight_norm", "update_ratio")
_LIFT = 0.05
"""Room between the network and the ridges, as a share of the network's width."""
_LOWEST, _EACH, _HIGHEST = 0.19, 0.01, 0.3
"""Height of all ridges as a share of the network's width: the start value, the increase per ridge, the limit."""
_OVERLAP = 0.11
"""Increase of the scale's height for each ridge, in vertical distances of the feet: more ridges overlap more."""
_CLEAR = 0.12
"""Minimum distance of two tick labels, as a share of the scale."""
_DEPTH = 0.3
"""Distance from the first to the last ridge in depth, as a share of the network's width."""


def history(context: SceneContext, statistic: str) -> History | None:
    """Return a statistic over the capture's training in drawn columns; `None` if nothing is recorded."""
    training = context.capture.training
    if training is None or not len(training):
        return None
    return context.memo.get(training, ("history", statistic), lambda: _history(training, context.graph, statistic))


def _history(training: Training, graph: ModelGraph, statistic: str) -> History | None:
    ridges = sum(node.parameters > 0 for node in graph) or len(graph)
    return history_of(training, graph, statistic, max(_FEWEST, min(COLUMNS, _ALL // ridges)))


@dataclass(frozen=True)
class Scale:
    """The scale from numbers to heights and colours.

    Attributes
    ----------
    low, high
        The numbers at the foot and at the top.
    logarithmic
        Whether heights follow the logarithm.
    floored
        Whether numbers below the foot are drawn at the foot, such as zeros, which have no logarithm.
    """

    low: float
    high: float
    logarithmic: bool
    floored: bool = False

    @staticmethod
    def of(found: History, kind: str | None) -> Scale:
        """Choose the scale of a history; `kind` is ``linear`` or ``log``, `None` decides by the numbers."""
        known = np.concatenate([numbers.ravel() for one in found.all for numbers in (one.low, one.high)])
        known = known[np.isfinite(known)]
        positive = known[known > 0]
        if not len(known):
            return Scale(0.0, 1.0, False)
        high, low = float(known.max()), float(known.min())
        wide = found.statistic in _LOGARITHMIC and len(positive) > 0 and high >= _SPANS * float(positive.min())
        if len(positive) and (kind == "log" or (kind is None and wide)):
            bottom = _round(max(float(positive.min()), high * 10**-DECADES), math.floor)
            top = _round(high, math.ceil)
            return Scale(bottom, top if top > bottom else 10 * bottom, True, low < bottom)
        low, high = min(low, 0.0), max(high, 0.0)
        return Scale(low, high if high > low else low + 1.0, False)

    def share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the heights of numbers, from 0 to 1; NaN stays NaN."""
        if not self.logarithmic:
            return np.asarray((values - self.low) / (self.high - self.low))
        with np.errstate(invalid="ignore", divide="ignore"):
            logarithm = np.log10(np.maximum(values, self.low) / self.low) / math.log10(self.high / self.low)
        return np.where(np.isnan(values), np.nan, logarithm)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Tick values: both ends, and on a logarithmic scale up to four decades between them."""
        if not self.logarithmic:
            return (self.low, self.high) if self.low == 0 or self.high == 0 else (self.low, 0.0, self.high)
        first, last = math.log10(self.low), math.log10(self.high)
        by = math.ceil((last - first) / 4)
        away = _CLEAR * (last - first)
        inner = (k for k in range(math.ceil(first), math.floor(last) + 1) if k % by == 0)
        return (self.low, *(10.0**k for k in inner if k - first > away and last - k > away), self.high)


def _round(value: float, way: Callable[[float], int]) -> float:
    """Round to one digit, up or down."""
    power = 10.0 ** math.floor(math.log10(value))
    # A float32 may be slightly above 0.1, and must not become 0.2.
    near = round(value / power)
    return (near if abs(value / power - near) < 1e-6 else way(value / power)) * power


@dataclass(frozen=True)
class RidgeLayout:
    """The layout of n ridges; the ridge of the first layer is in front and lowest.

    Attributes
    ----------
    left, right
        World x of the first and of the last step.
    bottom
        World y of the first foot.
    rise, recede
        Vertical distance and depth from each foot to the next one.
    height
        World height of the scale.
    count
        Number of ridges, n.
    """

    left: float
    right: float
    bottom: float
    front: float
    rise: float
    recede: float
    height: float
    count: int

    @staticmethod
    def of(context: SceneContext, count: int) -> RidgeLayout:
        """Lay the ridges out above and behind the network, as wide as it is."""
        left, right = context.plan.bounds_x
        width = right - left
        whole = width * min(_HIGHEST, _LOWEST + _EACH * count)
        overlap = 1 + _OVERLAP * count
        rise = whole / (count - 1 + overlap)
        bottom = max(row.top for row in context.plan.rows) + _LIFT * width
        recede = _DEPTH * width / max(count, 4)
        return RidgeLayout(left, right, bottom, 0.0, rise, recede, overlap * rise, count)

    @property
    def feet(self) -> NDArray[np.float64]:
        """World coordinates of the left ends of the feet, ``(n, 3)``."""
        k = np.arange(self.count)
        return np.stack([np.full(self.count, self.left), self.bottom + self.rise * k, self.front - self.recede * k], 1)

    @property
    def corners(self) -> NDArray[np.float64]:
        """World coordinates that a picture of them has to contain, ``(8, 3)``."""
        ends = self.feet[[0, -1]]
        width, up = self.right - self.left, self.height
        return np.array([[x + side * width, y + top * up, z] for x, y, z in ends for side in (0, 1) for top in (0, 1)])

    def x(self, found: History, step: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the positions of steps, in world units from the left."""
        span = max(found.last - found.first, 1)
        return np.asarray((np.asarray(step, dtype=np.float64) - found.first) / span * (self.right - self.left))

    def foot(self, number: int) -> Vector:
        """World coordinates of a ridge's left end."""
        x, y, z = (float(n) for n in self.feet[number])
        return x, y, z
