"""Visible faces of the drawn cubes of a block: those that no other drawn cube covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import Voxels

LIGHT = (0.80, 0.80, 0.65, 1.0, 1.0, 1.0)
"""Brightness of the faces towards -x, +x, -y, +y, -z and +z, as in the picture."""
_CORNERS = np.array(
    [
        [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
        [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
        [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
        [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
        [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
        [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
    ]
)
"""Corners of the faces towards -x, +x, -y, +y, -z and +z, counterclockwise as seen from outside."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Square faces of cubes.

    Attributes
    ----------
    cells
        ``(n, 3)``: for each face the position of its cube along x, y and z.
    side
        ``(n,)``: 0 to 5, the direction of the face: -x, +x, -y, +y, -z, +z.
    """

    cells: NDArray[np.int32]
    side: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.side)

    def corners(self, block: Voxels) -> NDArray[np.float32]:
        """Return the world coordinates of the corners, ``(n, 4, 3)``, counterclockwise as seen from outside."""
        at = self.cells[:, np.newaxis] + _CORNERS[self.side]
        return np.asarray(np.array(block.origin) + at * np.array(block.cell), dtype=np.float32)

    def values(self, block: Voxels) -> NDArray[np.float32]:
        """Return the numbers of the cubes, ``(n,)``."""
        return np.asarray(block.values[tuple(self.cells.T)])


def drawn_cells(block: Voxels) -> NDArray[np.bool_]:
    """Return which cells of a block are drawn, ``(X, Y, Z)``; NaN and infinite numbers always are."""
    drawn = ~(np.abs(block.values) < np.float32(block.threshold))
    if block.count is not None:
        x, y, _ = block.values.shape
        i, j = np.arange(x)[:, np.newaxis, np.newaxis], np.arange(y)[np.newaxis, :, np.newaxis]
        drawn &= (y - 1 - j) * x + i < block.count
    first, end = block.columns
    drawn[:first] = False
    drawn[end:] = False
    return np.asarray(drawn)


def open_faces(drawn: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return for each of the six directions which drawn cells have no drawn neighbour there, ``(X, Y, Z)`` each."""
    found = []
    for axis in range(3):
        along = np.moveaxis(drawn, axis, 0)
        before, after = along.copy(), along.copy()
        before[1:] &= ~along[:-1]
        after[:-1] &= ~along[1:]
        found += [np.moveaxis(before, 0, axis), np.moveaxis(after, 0, axis)]
    return found


def first_faces(drawn: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return for each of the six directions which drawn cells have no drawn cell at all there, ``(X, Y, Z)`` each."""
    found = []
    for axis in range(3):
        along = np.moveaxis(drawn, axis, 0)
        for way in (1, -1):
            ahead = along[::way]
            first = ahead.copy()
            first[1:] &= ~np.logical_or.accumulate(ahead, axis=0)[:-1]
            found.append(np.moveaxis(first[::way], 0, axis))
    return found
