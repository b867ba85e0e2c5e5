"""Points inside an outline that is drawn on a picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import CameraPose

_NEAREST = 1e-6
"""Least world distance along the view of a point that is in the picture."""
_BEFORE = 0.9
"""Distance of a traced outline from the camera, as a share of that of the nearest thing behind it."""
_CLOSEST = 0.02
"""The same at least, as a share of the camera's distance from its target."""


def enclosed(points: NDArray[np.floating], pose: CameraPose, outline: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points lie inside an outline, whatever lies before them, ``(n,)``.

    What is inside is found by the even-odd rule, so an outline that crosses itself has holes.

    Parameters
    ----------
    points
        ``(n, 3)`` world coordinates.
    pose
        The camera of the picture.
    outline
        ``(k, 2)``: its corners, to the right and upwards from the picture's middle, as shares of the picture's height. The
        last one is joined with the first.
    """
    position, ahead, right, up = _camera(pose)
    away = points.astype(np.float64) - position
    depth = away @ ahead
    seen = depth > _NEAREST
    unit = 2 * math.tan(math.radians(pose.field_of_view / 2)) * np.where(seen, depth, 1.0)
    x, y = away @ right / unit, away @ up / unit
    inside = np.zeros(len(points), dtype=bool)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if ay == by:
            continue
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return np.asarray(inside & seen)


def traced(outline: NDArray[np.float64], pose: CameraPose, behind: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return an outline as a closed line of the world, ``(k + 1, 3)``, that is seen where it was drawn.

    Parameters
    ----------
    outline
        ``(k, 2)``: as for `enclosed`.
    pose
        The camera of the picture.
    behind
        ``(n, 3)`` world coordinates of what the line is drawn before, as far as the camera is not among it.
    """
    position, ahead, right, up = _camera(pose)
    distance = math.dist(pose.target, pose.position)
    nearest = ((behind - position) @ ahead).min(initial=distance)
    depth = max(_BEFORE * nearest, _CLOSEST * distance)
    unit = 2 * math.tan(math.radians(pose.field_of_view / 2)) * depth
    x, y = np.concatenate([outline, outline[:1]]).T[:, :, np.newaxis] * unit
    return np.asarray(position + ahead * depth + right * x + up * y)


def _camera(
    pose: CameraPose,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the camera's position, and the unit vectors ahead, to the right and upwards of its picture."""
    position = np.array(pose.position, dtype=np.float64)
    ahead = np.array(pose.target) - position
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, pose.up)
    right /= np.linalg.norm(right)
    return position, ahead, right, np.cross(right, ahead)
