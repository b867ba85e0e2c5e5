"""Moves the camera by itself: to a place, eased, or on and on while keys are held. Pure but for what is held."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from nnviz3d.scene.camera import CameraPose, between

_FLIGHT = 0.6
"""Seconds to another place."""
_SPEED = 0.9
"""Distances to the target that are flown in a second."""
_EASE = 0.08
"""Seconds in which most of the full speed is reached, or lost."""
_STILL = 0.01
"""Speed that counts as none."""


@dataclass(frozen=True)
class Flight:
    """From one pose to another."""

    start: CameraPose
    end: CameraPose

    def at(self, seconds: float) -> tuple[CameraPose, bool]:
        """Return the pose so long after the start, and whether that is the end."""
        share = min(max(seconds / _FLIGHT, 0.0), 1.0)
        if share == 1.0:
            return self.end, True
        return between(self.start, self.end, share * share * (3 - 2 * share)), False


@dataclass
class Wings:
    """Flies forward and sideways: where to, and how fast by now.

    Attributes
    ----------
    wanted
        To the right and forward, each -1, 0 or 1.
    """

    wanted: tuple[int, int] = (0, 0)
    _speed: tuple[float, float] = field(default=(0.0, 0.0))

    @property
    def moving(self) -> bool:
        """Whether the camera goes on."""
        return self.wanted != (0, 0) or self._speed != (0.0, 0.0)

    def advance(self, pose: CameraPose, seconds: float) -> CameraPose:
        """Return where the camera is after so many seconds."""
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
