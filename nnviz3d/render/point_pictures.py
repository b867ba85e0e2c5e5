"""Places and sprites of the pictures of points, which are seen when the camera is near; they never overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.render.label_placement import Rect
from nnviz3d.render.text import PlacedSprite, Sprite
from nnviz3d.scene.primitives import Points

SIZES = (26.0, 36.0, 50.0, 70.0, 98.0)
"""Heights of pictures in pixels of a 720 pixels high picture; a picture is as high as the greatest that fits."""
MOST = 240
"""Most pictures of points at a time."""
_GAP = 2.0
"""Least distance between two pictures."""
_EDGE = 2.0
"""Width of the frame in the colour of the point."""
_NEAREST = 1e-6
"""Least world distance along the view of a point that has a picture."""


@dataclass(frozen=True)
class PlacedPicture:
    """The picture of a point; lengths are in pixels.

    Attributes
    ----------
    number
        Index of the point.
    left, top
        Of the frame, from the upper left corner.
    width, height
        Of the frame.
    """

    number: int
    left: int
    top: int
    width: int
    height: int


def place_pictures(
    cloud: Points,
    places: NDArray[np.float64],
    depth: NDArray[np.float64],
    pixel: float,
    size: tuple[int, int],
    scale: float,
    occupied: Sequence[Rect] = (),
) -> list[PlacedPicture]:
    """Return the pictures that are shown: of opaque points that are near enough, the larger ones first.

    Of equally high pictures that overlap, the one of the point with the lower index is shown, so that pictures stay while
    the camera moves.

    Parameters
    ----------
    places, depth
        ``(n, 2)`` pixels from the upper left corner, and ``(n,)`` distances along the view.
    pixel
        World size of a pixel at distance 1.
    size
        Width and height of the picture.
    scale
        Factor for the sizes of text, lines and balls.
    occupied
        Rectangles of panels, which pictures do not cover.
    """
    if cloud.pictures is None or not len(cloud.pictures):
        return []
    _, rows, columns, _ = cloud.pictures.shape
    width, height = size
    seen = (depth > _NEAREST) & (cloud.colors[:, 3] >= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        high = np.where(seen, cloud.picture_size / (depth * pixel), 0.0)
        seen &= (places >= 0).all(axis=1) & (places <= [width, height]).all(axis=1)
    kind = np.searchsorted(np.array(SIZES) * scale, high, side="right") - 1
    candidates = np.flatnonzero(seen & (kind >= 0))
    found: list[PlacedPicture] = []
    panels = [
        (one.left, height - one.bottom - one.height, one.left + one.width, height - one.bottom) for one in occupied
    ]
    taken = np.empty((len(panels) + MOST, 4))
    taken[: len(panels)] = np.reshape(panels, (-1, 4))
    for number in candidates[np.argsort(-kind[candidates], kind="stable")].tolist():
        h = round(SIZES[kind[number]] * scale)
        w = max(1, round(SIZES[kind[number]] * scale * columns / rows))
        left, top = (int(np.floor(places[number, axis] - extent / 2)) for axis, extent in ((0, w), (1, h)))
        others = taken[: len(panels) + len(found)]
        gap = _GAP * scale
        apart = (
            (others[:, 0] >= left + w + gap)
            | (others[:, 2] <= left - gap)
            | (others[:, 1] >= top + h + gap)
            | (others[:, 3] <= top - gap)
        )
        if apart.all():
            taken[len(others)] = left, top, left + w, top + h
            found.append(PlacedPicture(number, left, top, w, h))
            if len(found) == MOST:
                break
    return found


def placed_in(
    clouds: Sequence[Points],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    scale: float,
    occupied: Sequence[Rect],
) -> list[PlacedSprite]:
    """Return the sprites of all pictures of some clouds.

    Parameters
    ----------
    matrix
        ``(4, 4)``: from world to clip coordinates.
    occupied
        As for `place_pictures`.
    """
    width, height = size
    sprites = []
    for cloud in clouds:
        clip = cloud.points.astype(np.float64) @ matrix[:, :3].T + matrix[:, 3]
        depth = clip[:, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = (clip[:, 0] / depth + 1) / 2 * width
            y = (1 - clip[:, 1] / depth) / 2 * height
        pixel = 2 / (float(np.linalg.norm(matrix[1, :3])) * height)
        for one in place_pictures(cloud, np.stack([x, y], axis=1), depth, pixel, size, scale, occupied):
            sprite = _sprite(cloud, one.number, (one.width, one.height), scale)
            sprites.append(PlacedSprite(sprite, one.left, height - one.top - one.height))
    return sprites


def _bytes(color: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.round(color[:3] * 255), dtype=np.uint8)


@lru_cache(maxsize=1024)
def _sprite(cloud: Points, number: int, size: tuple[int, int], scale: float) -> Sprite:
    """Draw the picture of a point in a frame of its colour, around which is one of its ring, if it has one."""
    width, height = size
    pixels = np.empty((height, width, 4), dtype=np.uint8)
    edge = min(round(_EDGE * scale), (min(size) - 1) // 4)
    pixels[:] = [*_bytes(cloud.colors[number]), 255]
    if cloud.rings is not None and cloud.rings[number, 3] > 0:
        pixels[:] = [*_bytes(cloud.rings[number]), 255]
        pixels[edge : height - edge, edge : width - edge, :3] = _bytes(cloud.colors[number])
        edge *= 2
    if cloud.pictures is not None:
        picture = Image.fromarray(cloud.pictures[number])
        inner = (width - 2 * edge, height - 2 * edge)
        larger = inner[1] >= picture.height
        resized = picture.resize(inner, Image.Resampling.NEAREST if larger else Image.Resampling.BOX)
        pixels[edge : height - edge, edge : width - edge, :3] = np.asarray(resized)
    return pixels
