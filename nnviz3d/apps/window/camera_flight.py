"""Camera motion: flying while keys are held."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from nnviz3d.scene.camera import CameraPose

_SPEED = 0.9
"""Speed, in distances between eye and target per second."""
_EASE = 0.08
"""Time constant in seconds with which the speed grows and shrinks."""
_STILL = 0.01
"""Speed below which the camera stops."""


@dataclass
class FreeFlight:
    """Flight forward and sideways while keys are held.

    Attributes
    ----------
    wanted
        Direction to the right and forward, each -1, 0 or 1.
    """

    wanted: tuple[int, int] = (0, 0)
    _speed: tuple[float, float] = field(default=(0.0, 0.0))

    @property
    def moving(self) -> bool:
        """Whether the camera moves."""
        return self.wanted != (0, 0) or self._speed != (0.0, 0.0)

    def advance(self, pose: CameraPose, seconds: float) -> CameraPose:
        """Return the pose after some seconds."""
        share = 1 - math.exp(-seconds / _EASE)
        right, forward = (s + (w - s) * share for s, w in zip(self._speed, self.wanted, strict=True))
        stopped = self.wanted == (0, 0) and max(abs(right), abs(forward)) < _STILL
        self._speed = (0.0, 0.0) if stopped else (right, forward)
        arm = np.subtract(pose.target, pose.position)
        distance = float(np.linalg.norm(arm))
        sideways = np.cross(arm, pose.up)
        sideways *= distance / np.linalg.norm(sideways)
        way = (sideways * self._speed[0] + arm * self._speed[1]) * _SPEED * seconds
        x, y, z = (float(v) for v in np.array(pose.position) + way)
        u, v, w = (float(v) for v in np.array(pose.target) + way)
        return replace(pose, position=(x, y, z), target=(u, v, w))
