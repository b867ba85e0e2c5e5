"""Layout of the balls of a node-link graph: each layer a column or a sheet across the flow, branches above each other.

The depth of the sheets is the one with the nearest camera, so that both wide and narrow networks fill the frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import channel_axis
from nnviz3d.scene.camera import MARGINS, direction, fit
from nnviz3d.scene.derived.neurons import Neurons, Shapes
from nnviz3d.scene.layout.layering import RankAndLane, assign_ranks_and_lanes
from nnviz3d.scene.primitives import Vector, vector

ANGLES = (-30.0, 12.0)
"""Azimuth and elevation of the camera in degrees: it sees the sheets obliquely, one behind the other."""
_COLUMN = 16
"""Maximum number of balls in one column."""
_SLENDER = (2.2, 3.2, 5.0, 8.0, 16.0)
"""Ratios of height to depth of a sheet that are tried; the first one that is nearly as good as the best is used."""
TALLEST = 15.0
"""World height of a sheet; balls are at most one unit apart, so that a few balls stay close together."""
_WIDEST_PITCH = 1.25
_LEAST_GAP = 3.2
_EASES = tuple(1 + k / 8 for k in range(25))
_ENOUGH = 0.95
"""Share of the best filled area that counts as nearly as good."""
_FAR = 1.3
TURNED = (0.5, 0.0, math.sqrt(0.75))
"""Direction of the width of an input's picture: between the direction of the sheets and facing the viewer."""
_LANE_GAP = 3.0


Sheet = tuple[NDArray[np.float64], float]
"""Positions of a layer's balls in its sheet, ``(m, 2)``, to the viewer's right and up; and their distance."""


@dataclass(frozen=True, eq=False)
class BallLayout:
    """The balls of one layer.

    Attributes
    ----------
    units
        ``(m,)`` int64: the units of the layer that are shown.
    points
        ``(m, 3)`` float64 world coordinates.
    origin, size
        The box around the balls.
    pitch
        World distance of neighbouring balls.
    """

    units: NDArray[np.int64]
    points: NDArray[np.float64]
    origin: Vector
    size: Vector
    pitch: float
    position: RankAndLane


def arrange(
    neurons: Neurons, shown: Mapping[str, NDArray[np.int64]], shapes: Shapes, *, aspect: float, before: float = 0.0
) -> dict[str, BallLayout]:
    """Place the balls of every layer.

    Parameters
    ----------
    shown
        Units of each layer that have a ball, in ascending order.
    aspect
        Width over height of the picture to fill.
    before
        World width that other things take before the first layer.
    """
    positions = assign_ranks_and_lanes(neurons.graph)

    def filled(layouts: Mapping[str, BallLayout]) -> float:
        points = np.concatenate([layout.points for layout in layouts.values()])
        points = np.concatenate([points, [[points[:, 0].min() - before, 0.0, 0.0]]])
        return _filled(points, aspect)

    def placed(slender: float, ease: float = 1.0) -> dict[str, BallLayout]:
        sheets = {name: _sheet(name, units, neurons, shapes, slender) for name, units in shown.items()}
        return _along(sheets, shown, positions, ease, neurons.scattered)

    shares = {(slender, ease): filled(placed(slender, ease)) for slender in _SLENDER for ease in _EASES}
    best = max(shares.values())
    return placed(*next(how for how, share in shares.items() if share >= _ENOUGH * best))


def _filled(points: NDArray[np.float64], aspect: float) -> float:
    """Return the share of a picture inside the rectangle around all points, at the nearest pose."""
    pose = fit(points, *ANGLES, aspect=aspect, margins=MARGINS)
    ahead = -direction(*ANGLES)
    right = np.cross(ahead, pose.up)
    away = points - np.array(pose.position)
    seen = np.stack([away @ right / aspect, away @ np.array(pose.up)]) / (away @ ahead)
    return float(np.prod(np.ptp(seen, axis=1)))


def _sheet(name: str, units: NDArray[np.int64], neurons: Neurons, shapes: Shapes, slender: float) -> Sheet:
    """Arrange a layer's balls in a sheet."""
    shape = shapes[name]
    if name in neurons.scattered:
        # The balls of an input picture are arranged like its pixels.
        axes = neurons.graph.node(name).axes
        gone = channel_axis(axes) if len(shape) > 2 else None
        spatial = [i for i in range(len(shape)) if i != gone][-2:]
        rows, columns = (shape[i] for i in spatial)
        row, column = (np.unravel_index(units, shape)[i] for i in spatial)
        pitch = min(_WIDEST_PITCH, 0.8 * TALLEST / max(rows, columns))
    else:
        count = len(units)
        tall = count if count <= _COLUMN else math.ceil(count / max(1, round(math.sqrt(count / slender))))
        column, row = np.divmod(np.arange(count), tall)
        rows, columns = tall, -(-count // tall)
        pitch = min(_WIDEST_PITCH, TALLEST / rows)
    return np.stack([(column - (columns - 1) / 2) * pitch, ((rows - 1) / 2 - row) * pitch], axis=1), pitch


def _along(
    sheets: Mapping[str, Sheet],
    shown: Mapping[str, NDArray[np.int64]],
    positions: Mapping[str, RankAndLane],
    ease: float,
    turned: frozenset[str],
) -> dict[str, BallLayout]:
    reach = {name: np.ptp(sheet, axis=0) for name, (sheet, _) in sheets.items()}
    ranks = 1 + max(position.rank for position in positions.values())
    deepest = [max((reach[n][0] for n in sheets if positions[n].rank == r), default=0.0) for r in range(ranks)]
    tallest = max(r[1] for r in reach.values())
    across = math.tan(math.radians(-ANGLES[0]))
    gap = max(_LEAST_GAP, 0.3 * tallest) * ease
    # In the oblique view a deeper sheet looks wider; the next sheet begins after this width.
    # Farther sheets look closer together.
    gaps = np.linspace(gap, gap * _FAR, max(ranks - 1, 1))
    steps = [(a + b) / 2 * across + free for (a, b), free in zip(pairwise(deepest), gaps, strict=False)]
    x = np.concatenate([[0.0], np.cumsum(steps)]) if steps else np.zeros(1)
    x -= x.mean() if len(x) < 2 else (x[0] + x[-1]) / 2
    lanes = sorted({position.lane for position in positions.values()})
    heights = {lane: max(reach[n][1] for n in sheets if positions[n].lane == lane) for lane in lanes}
    middle: dict[int, float] = {}
    top = 0.0
    for lane in reversed(lanes):
        middle[lane] = top - heights[lane] / 2
        top -= heights[lane] + _LANE_GAP
    layouts = {}
    for name, (sheet, pitch) in sheets.items():
        position = positions[name]
        # Pixels are turned to the viewer, so that they look like a picture; their right edge is at the layer's x.
        aside, deep = (TURNED[0], TURNED[2]) if name in turned else (0.0, 1.0)
        points = np.stack(
            [
                x[position.rank] + (sheet[:, 0] - sheet[:, 0].max()) * aside,
                sheet[:, 1] + middle[position.lane] - middle[0],
                sheet[:, 0] * deep,
            ],
            axis=1,
        )
        low, size = points.min(axis=0), np.ptp(points, axis=0)
        layouts[name] = BallLayout(shown[name], points, vector(low), vector(size), pitch, position)
    return layouts


def positions_of(layout: BallLayout, units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the positions of units that have a ball, ``(n, 3)`` world coordinates."""
    return layout.points[np.searchsorted(layout.units, units)]
