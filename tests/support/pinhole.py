"""Reference for pictures: a second, simple implementation of a pinhole camera and of a walk through a grid."""

from __future__ import annotations

import math

import numpy as np

from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import Voxels

GAP = 0.07
"""Share of a cube's shortest side that stays free on each side."""


def axes(pose: CameraPose) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the eye, and the unit vectors forward, to the right and up."""
    eye = np.array(pose.position)
    ahead = np.array(pose.target) - eye
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, pose.up)
    right /= np.linalg.norm(right)
    return eye, ahead, right, np.cross(right, ahead)


def to_frame(points: np.ndarray, pose: CameraPose, aspect: float) -> np.ndarray:
    """Project ``(n, 3)`` to ``(n, 2)`` in [-1, 1], y upwards."""
    eye, ahead, right, up = axes(pose)
    half = math.tan(math.radians(pose.field_of_view / 2))
    away = points - eye
    depth = away @ ahead
    assert (depth > 0).all(), "a point behind the eye has no place in the picture"
    return np.stack([away @ right / depth / half / aspect, away @ up / depth / half], axis=1)


def to_pixels(points: np.ndarray, pose: CameraPose, size: tuple[int, int]) -> np.ndarray:
    """Project ``(n, 3)`` to ``(n, 2)``: column and row in the picture, with fractions, rows downwards."""
    x, y = to_frame(np.asarray(points, dtype=float), pose, size[0] / size[1]).T
    return np.stack([(x + 1) / 2 * size[0], (1 - y) / 2 * size[1]], axis=1)


def pixel_at(point: tuple[float, ...], pose: CameraPose, size: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of the pixel in which a point is visible."""
    column, row = to_pixels(np.array([point]), pose, size)[0]
    return int(row), int(column)


def rays(
    pose: CameraPose, size: tuple[int, int], rows: np.ndarray, columns: np.ndarray, *, parallel: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return origins and directions of the rays through the centres of pixels, ``(n, 3)`` each.

    `parallel`: half the height of the picture in world units, for a parallel projection.
    """
    eye, ahead, right, up = axes(pose)
    x = ((columns + 0.5) / size[0] * 2 - 1)[:, np.newaxis] * size[0] / size[1]
    y = (1 - (rows + 0.5) / size[1] * 2)[:, np.newaxis]
    if parallel is not None:
        return eye + (x * right + y * up) * parallel, np.broadcast_to(ahead, (len(rows), 3))
    half = math.tan(math.radians(pose.field_of_view / 2))
    ways = ahead + (x * right + y * up) * half
    return np.broadcast_to(eye, ways.shape), ways / np.linalg.norm(ways, axis=1, keepdims=True)


def between(low: np.ndarray, high: np.ndarray, start: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays enter and leave boxes, ``(rays, boxes)`` each; a ray misses a box if it leaves before it enters."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (low[np.newaxis] - start[:, np.newaxis]) / way[:, np.newaxis]
        b = (high[np.newaxis] - start[:, np.newaxis]) / way[:, np.newaxis]
    return np.minimum(a, b).max(axis=2), np.maximum(a, b).min(axis=2)


def first_hit(block: Voxels, start: np.ndarray, way: np.ndarray, *, pixel: float, parallel: bool = False) -> np.ndarray:
    """Return for each ray the flat index (C order of ``block.values``) of the first cube that it meets, or -1.

    Every drawn cube is tested for every ray. `pixel`: world size of a pixel, at distance 1 or, in parallel, anywhere.
    """
    values = block.values
    shown = np.argwhere(~(np.abs(values) < np.float32(block.threshold)))
    if len(shown) == 0:
        return np.full(len(start), -1)
    cell, origin = np.array(block.cell), np.array(block.origin)
    enter, _ = between(origin[np.newaxis], (origin + block.size)[np.newaxis], start, way)
    # The gap closes as cubes shrink towards a pixel.
    pixels = cell.min() / (pixel * (np.ones(len(start)) if parallel else np.maximum(enter[:, 0], 1e-6)))
    s = np.clip((pixels - 2) / 4, 0, 1)
    gap = (cell.min() * GAP * s * s * (3 - 2 * s))[:, np.newaxis, np.newaxis]
    low = origin + shown * cell
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (low[np.newaxis] + gap - start[:, np.newaxis]) / way[:, np.newaxis]
        b = (low[np.newaxis] + cell - gap - start[:, np.newaxis]) / way[:, np.newaxis]
    into, out = np.minimum(a, b).max(axis=2), np.maximum(a, b).min(axis=2)
    into = np.where((into <= out) & (out > 0), np.maximum(into, 0), np.inf)
    nearest = into.argmin(axis=1)
    found = np.ravel_multi_index(tuple(shown[nearest].T), values.shape)
    return np.where(np.isfinite(into[np.arange(len(into)), nearest]), found, -1)
