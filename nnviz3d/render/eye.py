"""A camera's projection between the scene and the pixels of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import CameraPose

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Eye:
    """A camera and the size of its picture.

    Attributes
    ----------
    position, ahead, right, up
        World coordinates; the last three are unit vectors.
    half
        Half the picture's height at distance 1.
    size
        Width and height in pixels.
    """

    position: Floats
    ahead: Floats
    right: Floats
    up: Floats
    half: float
    size: tuple[int, int]

    @staticmethod
    def of(pose: CameraPose, size: tuple[int, int]) -> Eye:
        """Make the camera of a pose for a picture of this size."""
        position = np.array(pose.position)
        ahead = np.array(pose.target) - position
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, pose.up)
        right /= np.linalg.norm(right)
        half = math.tan(math.radians(pose.field_of_view / 2))
        return Eye(position, ahead, right, np.cross(right, ahead), half, size)

    @property
    def pixel(self) -> float:
        """World size of a pixel at distance 1."""
        return 2 * self.half / self.size[1]

    def ray(self, x: float, y: float) -> Floats:
        """Return the unit vector towards a point of the picture, in pixels from its upper left corner."""
        width, height = self.size
        way = self.ahead + ((x - width / 2) * self.right + (height / 2 - y) * self.up) * self.pixel
        return np.asarray(way / np.linalg.norm(way))

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project points ``(..., 3)``; returns positions in pixels ``(..., 2)`` and depths along the view ``(...)``."""
        away = points - self.position
        depth = away @ self.ahead
        width, height = self.size
        with np.errstate(divide="ignore", invalid="ignore"):
            x = width / 2 + away @ self.right / depth / self.pixel
            y = height / 2 - away @ self.up / depth / self.pixel
        return np.stack([x, y], axis=-1), depth
