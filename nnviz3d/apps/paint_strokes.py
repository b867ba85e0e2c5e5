"""Strokes of a brush or an eraser over a picture, as ``web/static/paint.js`` makes them on a page."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SOFT = 64
"""Pictures with fewer pixels a side are painted with soft edges."""
_DARK = 128.0
"""Mean of a picture, 0 to 255, below which it is dark."""


@dataclass
class Stroke:
    """One movement of a brush or eraser.

    Attributes
    ----------
    base
        ``(H, W, 3)`` uint8: the picture below the paint.
    before
        ``(H, W, 4)`` uint8: the paint before the stroke; each pixel is opaque or absent.
    radius
        Radius of the brush in pixels.
    color
        Red, green and blue, 0 to 255; `None` for the eraser.
    paint
        ``(H, W, 4)`` uint8: the paint with the stroke.
    """

    base: NDArray[np.uint8]
    before: NDArray[np.uint8]
    radius: float
    color: tuple[int, int, int] | None
    paint: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.paint = self.before.copy()
        self._cover: NDArray[np.float64] = np.zeros(self.base.shape[:2])
        self._at: tuple[float, float] | None = None

    def lead(self, x: float, y: float) -> None:
        """Move to a point of the picture, in pixels from its upper left corner."""
        start = (x, y) if self._at is None else self._at
        length = math.hypot(x - start[0], y - start[1])
        count = max(math.ceil(length / max(self.radius / 3, 0.25)), 1)
        for k in range(1, count + 1):
            self._dab(start[0] + (x - start[0]) * k / count, start[1] + (y - start[1]) * k / count)
        self._at = (x, y)

    def _dab(self, x: float, y: float) -> None:
        height, width = self.base.shape[:2]
        reach = math.ceil(self.radius + 1)
        top, bottom = max(math.floor(y) - reach, 0), min(math.floor(y) + reach + 1, height)
        left, right = max(math.floor(x) - reach, 0), min(math.floor(x) + reach + 1, width)
        if top >= bottom or left >= right:
            return
        rows, columns = slice(top, bottom), slice(left, right)
        down, across = np.mgrid[rows, columns]
        away = np.hypot(across + 0.5 - x, down + 0.5 - y)
        soft = min(width, height) < _SOFT
        share = np.clip(self.radius + 0.5 - away, 0, 1) if soft else (away <= self.radius).astype(float)
        cover, paint = self._cover[rows, columns], self.paint[rows, columns]
        new = share > cover
        cover[new] = share[new]
        if self.color is None:
            paint[new & (share >= 0.5)] = 0
            return
        before, base = self.before[rows, columns], self.base[rows, columns]
        below = np.where(before[..., 3:] > 0, before[..., :3], base).astype(float)
        mixed = np.floor(below + (np.array(self.color) - below) * share[..., np.newaxis] + 0.5)
        paint[new, :3] = mixed[new].astype(np.uint8)
        paint[new, 3] = 255


def is_dark(base: NDArray[np.uint8]) -> bool:
    """Whether a picture is dark, so that the first colour of the brush is white."""
    return float(base.mean()) < _DARK


def usual_color(base: NDArray[np.uint8], *, grey: bool) -> tuple[int, int, int]:
    """Return the colour with which a picture is painted at first: white on a dark one, black or grey on others."""
    if is_dark(base):
        return (255, 255, 255)
    return (0, 0, 0) if grey else (128, 128, 128)


def usual_radius(width: int) -> float:
    """Return the radius with which a picture of a width in pixels is painted at first."""
    return max(round(width / 7) / 4, 0.75)
