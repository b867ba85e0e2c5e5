"""Layout of a large photograph and its attribution map beside a network whose input block is tiny."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import MARGINS, fit, height_seen
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Span, Vector

ENOUGH = 0.03
"""Minimum share of the whole picture at which the input's block is large enough."""
_TALL, _SQUARE = 0.9, 1.25
"""Aspects below which both are above the network, and below which one is above the other, on its right."""
_APART = 0.08
"""Room between the network and the two pictures, as a share of the network's width."""
_BETWEEN = 0.06
"""Room between pictures side by side, as a share of a picture's width."""
_ABOVE = 0.2
"""Room between pictures one above the other, for the text there, as a share of a picture's height."""
_WIDE = 0.52
"""Width of a picture beside the network, as a share of the network's width."""


@dataclass(frozen=True)
class PhotoLayout:
    """Two pictures of one size that face forward: the photograph as input of the network, and its attribution map.

    Attributes
    ----------
    layer
        Node id of the input.
    photograph, map
        World coordinates of their lower left corners.
    size
        World width and height of each.
    shape
        Rows and columns of the input.
    """

    layer: str
    photograph: Vector
    map: Vector
    size: tuple[float, float]
    shape: tuple[int, int]

    @property
    def corners(self) -> NDArray[np.float64]:
        """World coordinates of all corners, ``(8, 3)``."""
        unit = np.array([[x, y, 0.0] for x in (0, 1) for y in (0, 1)])
        return np.concatenate([np.array(low) + unit * (*self.size, 0.0) for low in (self.photograph, self.map)])

    def spans(self, row: int, column: int) -> tuple[Span, Span]:
        """Return the boxes of a pixel of the input in both pictures."""
        (width, height), (rows, columns) = self.size, self.shape
        w, h = width / columns, height / rows
        here, there = (
            Span((x + column * w, y + (rows - 1 - row) * h, z), (w, h, min(w, h)))
            for x, y, z in (self.photograph, self.map)
        )
        return here, there


def lay_out_photo(context: SceneContext) -> PhotoLayout | None:
    """Lay out both pictures: to the right of the network for a wide aspect, above it for a tall one.

    Returns
    -------
    `None` if the model takes no picture, or if the block of its input is large enough.
    """
    layer = next((name for name in context.graph.inputs if context.placement(name).grid.picture is not None), None)
    if layer is None or _share(context, layer) >= ENOUGH:
        return None
    rows, columns = context.placement(layer).grid.location_shape
    tall = rows / columns
    left, right = context.plan.bounds_x
    top, bottom = max(row.top for row in context.plan.rows), min(row.bottom for row in context.plan.rows)
    network = right - left
    apart = _APART * network
    if context.aspect < _TALL:
        width = network / (2 + _BETWEEN)
        y = top + apart
        return PhotoLayout(layer, (left, y, 0.0), (right - width, y, 0.0), (width, width * tall), (rows, columns))
    width = _WIDE * network
    height = width * tall
    x, middle = right + apart, (top + bottom) / 2
    if context.aspect < _SQUARE:
        photograph, covered = (x, middle + _ABOVE * height / 2, 0.0), (x, middle - (1 + _ABOVE / 2) * height, 0.0)
    else:
        photograph = (x, middle - height / 2, 0.0)
        covered = (x + (1 + _BETWEEN) * width, middle - height / 2, 0.0)
    return PhotoLayout(layer, photograph, covered, (width, height), (rows, columns))


def _share(context: SceneContext, layer: str) -> float:
    """Return the share of the input's block in a picture of only the network."""
    azimuth, elevation = context.plan.angles
    pose = fit(context.plan.corners(), azimuth, elevation, aspect=context.aspect, margins=MARGINS)
    placement = context.placement(layer)
    width, height, _ = placement.size
    return width * height / (context.aspect * height_seen(pose, placement.center) ** 2)
