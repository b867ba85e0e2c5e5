"""Camera poses, and the pose at which given points fill the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import Vector, vector

FIELD_OF_VIEW = 26.0
"""Vertical field of view in degrees; small, so that blocks at the edge of the picture are not stretched."""


@dataclass(frozen=True)
class CameraPose:
    """A perspective camera.

    Attributes
    ----------
    position, target
        World coordinates of the eye and of the point in the middle of the picture.
    up
        Roughly upwards, a unit vector.
    field_of_view
        Degrees, vertical.
    """

    position: Vector
    target: Vector
    up: Vector = (0.0, 1.0, 0.0)
    field_of_view: float = FIELD_OF_VIEW


@dataclass(frozen=True)
class Margins:
    """Shares of the picture's width and height that a fitted scene leaves free."""

    left: float = 0.04
    right: float = 0.04
    top: float = 0.06
    bottom: float = 0.06


MARGINS = Margins(left=0.03, right=0.035, top=0.153, bottom=0.175)
"""Room for the title above, the scales below, and the names of the outermost layers."""

_VIEW_OF_SHEETS = (-13.0, 9.0)
_FAR_ROUND = -0.5
"""Cosine of the angle between two directions of view from which on the camera goes around the scene."""


def default_view(rows: int, *, tokens: bool = False) -> tuple[float, float]:
    """Return the default azimuth and elevation in degrees; the more rows, the more the view is from the front.

    Parameters
    ----------
    rows
        Number of rows of the layout.
    tokens
        Whether the blocks are sheets with one row for each token: they are seen from the front, so that the eye can follow
        a token from sheet to sheet.
    """
    if tokens:
        return _VIEW_OF_SHEETS
    return {1: (-30.0, 16.0), 2: (-24.0, 16.0), 3: (-20.0, 14.0)}.get(rows, (-14.0, 11.0))


def direction(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Return the unit vector from the scene to the eye.

    Parameters
    ----------
    azimuth, elevation
        Degrees; (0, 0) looks straight at the maps. Negative azimuths are on the side of the input.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    return np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])


def fit(
    points: NDArray[np.float64],
    azimuth: float,
    elevation: float,
    *,
    aspect: float,
    margins: Margins | None = None,
    field_of_view: float = FIELD_OF_VIEW,
) -> CameraPose:
    """Find the nearest pose that sees all points, looking in a given direction.

    Each side of the view is a plane through the eye, and each point has to be inside all planes. This is linear in the
    eye's coordinates, so the result is exact, without a search.

    Parameters
    ----------
    points
        ``(n, 3)`` world coordinates, such as the corners of all blocks.
    aspect
        Width over height of the picture.
    """
    margins = margins or Margins()
    back = direction(azimuth, elevation)
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    x, y, z = points @ right, points @ up, points @ back
    half_y = math.tan(math.radians(field_of_view / 2))
    half_x = half_y * aspect

    def squeeze(v: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
        # v - c <= (e - z) high and c - v <= (e - z) low for the eye's depth e and coordinate c.
        a, b = float(np.max(v + high * z)), float(np.min(v - low * z))
        return a, b

    tan_left, tan_right = half_x * (1 - 2 * margins.left), half_x * (1 - 2 * margins.right)
    tan_bottom, tan_top = half_y * (1 - 2 * margins.bottom), half_y * (1 - 2 * margins.top)
    ax, bx = squeeze(x, tan_left, tan_right)
    ay, by = squeeze(y, tan_bottom, tan_top)
    depth = max((ax - bx) / (tan_left + tan_right), (ay - by) / (tan_bottom + tan_top))
    center_x = ((ax - tan_right * depth) + (bx + tan_left * depth)) / 2
    center_y = ((ay - tan_top * depth) + (by + tan_bottom * depth)) / 2
    eye = right * center_x + up * center_y + back * depth
    target = eye - back * (depth - float(np.median(z)))
    return CameraPose(vector(eye), vector(target), vector(up), field_of_view)


def height_seen(pose: CameraPose, point: Vector) -> float:
    """Return the world height that a picture shows at a point's distance from the eye."""
    eye = np.array(pose.position)
    ahead = np.array(pose.target) - eye
    away = float((np.array(point) - eye) @ ahead / np.linalg.norm(ahead))
    return 2 * away * math.tan(math.radians(pose.field_of_view / 2))


def between(a: CameraPose, b: CameraPose, share: float) -> CameraPose:
    """Interpolate between two poses: the eye's direction, its distance and its target move together.

    Parameters
    ----------
    share
        The finished share of the way, from 0 to 1.
    """

    def mix(u: Vector, v: Vector) -> NDArray[np.float64]:
        return np.array(u) * (1 - share) + np.array(v) * share

    # The vector from target to eye turns and stretches. Interpolated eye positions would cut through the scene.
    arm_a, arm_b = np.subtract(a.position, a.target), np.subtract(b.position, b.target)
    length = np.exp(np.log(np.linalg.norm(arm_a)) * (1 - share) + np.log(np.linalg.norm(arm_b)) * share)
    unit_a, unit_b = arm_a / np.linalg.norm(arm_a), arm_b / np.linalg.norm(arm_b)
    arm = unit_a * (1 - share) + unit_b * share
    up = mix(a.up, b.up)
    if float(unit_a @ unit_b) < _FAR_ROUND:
        # The mean of opposite directions has no length: here the eye goes around the scene, as on a turntable.
        arm, up = _turned(unit_a, unit_b, share), np.array([0.0, 1.0, 0.0])
    target = mix(a.target, b.target)
    eye = target + arm / np.linalg.norm(arm) * length
    field_of_view = a.field_of_view * (1 - share) + b.field_of_view * share
    return CameraPose(vector(eye), vector(target), vector(up), field_of_view)


def _turned(a: NDArray[np.float64], b: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return a direction between two: azimuth, the shorter way around, and elevation change evenly."""
    (azimuth, up), (after, up_after) = (
        (math.atan2(v[0], v[2]), math.asin(max(-1.0, min(1.0, float(v[1]))))) for v in (a, b)
    )
    turn = math.remainder(after - azimuth, 2 * math.pi)
    return direction(math.degrees(azimuth + turn * share), math.degrees(up * (1 - share) + up_after * share))
