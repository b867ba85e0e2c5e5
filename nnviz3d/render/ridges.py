"""VTK actor for `Ridges`: opaque filled bands that are brighter towards their upper edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render.drawers import Mesh, mesh, rgba
from nnviz3d.scene.primitives import Ridges

_FOOT, _FILL, _RANGE = 0.05, 0.62, 0.85
"""Brightness of a band at its foot, at its minimum height and at its maximum height, relative to its upper edge."""
_GROUND = np.array([0.02, 0.025, 0.035], dtype=np.float32)
_WIDTH = 1.5
"""Width of the upper edge, in pixels of a picture that is 720 pixels high."""
_BEFORE = 2e-3
"""Distance of the upper edge in front of its band, as a share of the width of all ridges."""


class RidgesActor:
    """Draws `Ridges`. Nothing is uploaded while their arrays stay the same."""

    def __init__(self, renderer: vtkRenderer, ridges: Ridges, scale: float) -> None:
        self._bands, self._edges = Mesh(renderer), Mesh(renderer)
        for part in (self._bands, self._edges):
            part.mapper.SetScalarModeToUsePointData()
        self._bands.actor.ForceOpaqueOn()
        self._edges.actor.ForceOpaqueOn()
        self._shape: tuple[object, ...] = ()
        self._colors: object = None
        self.update(ridges, scale)

    def update(self, ridges: Ridges, scale: float) -> None:
        """Show these ridges instead of the earlier ones."""
        self._edges.actor.GetProperty().SetLineWidth(_WIDTH * scale)
        shape = (ridges.feet, ridges.along, ridges.heights, ridges.joined)
        same = len(self._shape) == len(shape) and all(a is b for a, b in zip(shape, self._shape, strict=True))
        if same and self._colors is ridges.colors:
            return
        points, colors, left, right = columns(ridges)
        if not same:
            # Two quads for each segment: from the foot to the minimum height, and from there to the maximum height.
            quads = [np.stack([left + k, right + k, right + k + 1, left + k + 1], axis=1) for k in (0, 1)]
            self._bands.mapper.SetInputData(mesh(points.reshape(-1, 3), np.concatenate(quads), lines=False))
            before = np.array([0, 0, _BEFORE * max(float(np.ptp(ridges.along)), ridges.bar)], dtype=np.float32)
            ends = np.stack([left, right], axis=1) // 3
            self._edges.mapper.SetInputData(mesh(points[:, 2] + before, ends, lines=True))
        for part, paint in ((self._bands, colors.reshape(-1, 3)), (self._edges, _bright(ridges))):
            part.mapper.GetInput().GetPointData().SetScalars(rgba(_opaque(paint)))
        self._shape, self._colors = shape, ridges.colors

    def remove(self) -> None:
        """Remove the ridges from the picture."""
        self._bands.remove()
        self._edges.remove()


def columns(ridges: Ridges) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the corners of the bands.

    Returns
    -------
    points, colors
        ``(c, 3, 3)``: foot, minimum and maximum height of each column. Columns without neighbours appear twice more at
        the end, as the two sides of their bars.
    left, right
        ``(q,)`` each: index of the first of the three points of a segment's left side, and of its right side.
    """
    n, m = ridges.heights.shape[:2]
    points, colors = _corners(ridges, np.arange(n).repeat(m), np.tile(np.arange(m), n), 0.0)
    first = (np.arange(n)[:, np.newaxis] * m + np.arange(max(m - 1, 0)))[ridges.joined]
    row, column = np.nonzero(ridges.alone)
    sides = [_corners(ridges, row, column, side * ridges.bar / 2) for side in (-1, 1)]
    begin, end = n * m + np.arange(len(row)), n * m + len(row) + np.arange(len(row))
    return (
        np.concatenate([points, *(p for p, _ in sides)]),
        np.concatenate([colors, *(c for _, c in sides)]),
        3 * np.concatenate([first, begin]),
        3 * np.concatenate([first + 1, end]),
    )


def _corners(
    ridges: Ridges, row: NDArray[np.int64], column: NDArray[np.int64], shift: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return points and colours, ``(c, 3, 3)`` each, of these columns, moved to the right by `shift`."""
    points = np.repeat(ridges.feet[row][:, np.newaxis], 3, axis=1)
    points[:, :, 0] += ridges.along[column][:, np.newaxis] + np.float32(shift)
    heights = np.nan_to_num(ridges.heights[row, column])
    points[:, 1:, 1] += heights
    low, high = ridges.colors[row, column, 0], ridges.colors[row, column, 1]
    # The part from the minimum to the maximum height is brighter: the numbers are there.
    top = np.where(heights[:, 1] > heights[:, 0], _RANGE, _FILL)[:, np.newaxis] * high
    colors = np.stack([_GROUND + _FOOT * low, _FILL * low, top], axis=1)
    return points, colors.astype(np.float32)


def _bright(ridges: Ridges) -> NDArray[np.float32]:
    """Return the colours of the upper edges, ``(c, 3)``."""
    row, column = np.nonzero(ridges.alone)
    ends = ridges.colors[row, column, 1]
    return np.concatenate([ridges.colors[:, :, 1].reshape(-1, 3), ends, ends])


def _opaque(colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add an alpha of 1 to colours: ``(c, 3)`` to ``(c, 4)``."""
    return np.concatenate([colors, np.ones((len(colors), 1), dtype=np.float32)], axis=1)
