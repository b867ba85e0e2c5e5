"""Blocks for tests of pictures, with colours that identify each visible cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnviz3d.scene.camera import CameraPose, direction
from nnviz3d.scene.colors import Colormap, colormap
from nnviz3d.scene.primitives import DrawList, Voxels

GROUND = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
SEEN_FROM = ((-30.0, 16.0), (20.0, -35.0), (155.0, 40.0), (0.0, 0.0), (-80.0, 5.0))
"""Azimuths and elevations that together show every side of a block."""


def picture_of(*primitives: Any) -> DrawList:
    return DrawList(tuple(primitives), background=GROUND)


def hues() -> Colormap:
    """256 colours of different hue, so that each is recognized under any light."""
    k = np.arange(256) + 0.5
    # Points spread evenly over the octant of directions with no negative part.
    z = k / 256
    angle = (k * 0.6180339887498949 % 1.0) * np.pi / 2
    ways = np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z], axis=1)
    table = np.round(ways / ways.max(axis=1, keepdims=True) * 255).astype(np.uint8)
    return Colormap("hues", table, diverging=False)


HUES = hues()


def which_hue(pixels: np.ndarray) -> np.ndarray:
    """Return the index in `HUES` of each pixel ``(..., 3)``, whatever its shade; -1 for the black background."""
    flat = pixels.reshape(-1, 3).astype(float)
    table = HUES.table / np.linalg.norm(HUES.table.astype(float), axis=1, keepdims=True)
    found = (flat @ table.T).argmax(axis=1)
    return np.where(flat.max(axis=1) < 12, -1, found).reshape(pixels.shape[:-1])


def block(values: np.ndarray, **changes: Any) -> Voxels:
    """Return a block around the origin with cells of size 1; by default all cells are drawn, in inferno from 0 to 1."""
    values = np.asarray(values, dtype=np.float32)
    cell = changes.pop("cell", (1.0, 1.0, 1.0))
    origin = tuple(-n * c / 2 for n, c in zip(values.shape, cell, strict=True))
    wanted = {"name": "block", "origin": origin, "colormap": colormap("inferno"), "limits": (0.0, 1.0), **changes}
    return Voxels(values=values, cell=cell, **wanted)


def told_apart(values: np.ndarray, **changes: Any) -> Voxels:
    """Return such a block, in which a cell with the value v has the colour v of `HUES`."""
    return block(values, colormap=HUES, limits=(0.0, 255.0), **changes)


def looking(angles: tuple[float, float], distance: float, target: tuple[float, float, float] = (0, 0, 0)) -> CameraPose:
    eye = np.array(target) + direction(*angles) * distance
    return CameraPose(tuple(map(float, eye)), tuple(map(float, target)))


def center_of(voxels: Voxels, cell: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(o + (i + 0.5) * s for o, i, s in zip(voxels.origin, cell, voxels.cell, strict=True))
