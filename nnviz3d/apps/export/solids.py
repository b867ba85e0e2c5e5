"""Meshes of PyVista for lines, boxes, surfaces and curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from nnviz3d.render.ridges import columns
from nnviz3d.scene.primitives import Box, Ridges, Surface

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float32)
"""Corners of a cube."""
EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1])
"""Edges of a cube, ``(12, 2)`` corners."""
SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
"""Faces of a cube, ``(6, 4)`` corners, counterclockwise as seen from outside: -x, +x, -y, +y, -z, +z."""


def colored(colors: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Convert colours in [0, 1] to bytes."""
    return np.asarray(np.clip(colors, 0, 1) * 255 + 0.5, dtype=np.uint8)


def cells_of(indices: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return cells, ``(m, k)`` indices of points, in PyVista's form: each cell's length before its indices."""
    count, length = indices.shape
    return np.column_stack([np.full(count, length), indices]).astype(np.int64).ravel()


def polylines(lines: Sequence[NDArray[np.float32]]) -> pv.PolyData:
    """Return lines of any number of points, ``(p, 3)`` each."""
    if not lines:
        return pv.PolyData()
    starts = np.cumsum([0, *(len(line) for line in lines)])
    cells = [np.arange(start - 1, end) for start, end in pairwise(starts)]
    for cell in cells:
        cell[0] = len(cell) - 1
    return pv.PolyData(np.concatenate(lines).astype(np.float32), lines=np.concatenate(cells))


def quads(corners: NDArray[np.float32]) -> pv.PolyData:
    """Return separate quadrilaterals, ``(n, 4, 3)``."""
    count = len(corners)
    return pv.PolyData(corners.reshape(-1, 3), faces=cells_of(np.arange(4 * count).reshape(count, 4)))


def box_mesh(box: Box) -> pv.PolyData:
    """Return a solid box in its colour."""
    points = np.array(box.origin) + CORNERS * np.array(box.size)
    mesh = pv.PolyData(points.astype(np.float32), faces=cells_of(SIDES))
    mesh.cell_data["color"] = np.repeat(colored(np.array([[*box.color, 1.0]])), 6, axis=0)
    return mesh


def surface_mesh(surface: Surface) -> pv.PolyData:
    """Return a surface with the colour of each grid point; it has the same holes."""
    points = surface.points.reshape(-1, 3)
    mesh = pv.PolyData(points, faces=cells_of(surface.triangles[:, ::1]))
    mesh.point_data["color"] = colored(surface.colors.reshape(-1, 3))
    mesh.point_data["height"] = surface.heights.reshape(-1)
    return mesh


def ridge_mesh(ridges: Ridges) -> pv.PolyData:
    """Return bands with colours, as they are drawn."""
    points, colors, left, right = columns(ridges)
    faces = [np.stack([left + k, right + k, right + k + 1, left + k + 1], axis=1) for k in (0, 1)]
    mesh = pv.PolyData(points.reshape(-1, 3), faces=cells_of(np.concatenate(faces)))
    mesh.point_data["color"] = colored(colors.reshape(-1, 3))
    return mesh
