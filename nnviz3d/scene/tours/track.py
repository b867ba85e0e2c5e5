"""The plan of a film, sampled evenly over its time, and the arithmetic of its camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import FIELD_OF_VIEW, CameraPose, direction
from nnviz3d.scene.primitives import Panel, vector
from nnviz3d.scene.selection import Selection

Floats = NDArray[np.float64]
RATE = 120.0
"""Samples of a track per second."""


@dataclass(frozen=True, eq=False)
class Tour:
    """The plan of a film. Make one with `nnviz3d.scene.tours.make_tour.make_tour`.

    Attributes
    ----------
    seconds
        Length of the film.
    loops
        Whether the picture at `seconds` is the same as the one at 0.
    captions
        The texts of all captions, in order; most tours have none.
    """

    seconds: float
    loops: bool
    _at: Callable[[float], tuple[float, CameraPose]]
    _told: Callable[[float], tuple[Panel, Selection]] | None = None
    captions: tuple[str, ...] = ()

    def at(self, tau: float) -> tuple[float, CameraPose]:
        """Return the scene's time in seconds and the camera's pose, `tau` seconds into the film."""
        return self._at(min(max(tau, 0.0), self.seconds))

    def told(self, tau: float, selection: Selection) -> tuple[Panel | None, Selection]:
        """Return the caption after `tau` seconds, and the selection with what it tells of; most tours tell nothing."""
        return (None, selection) if self._told is None else self._told(min(max(tau, 0.0), self.seconds))

    def frames(self, fps: float) -> Floats:
        """Return the film seconds of all frames; the end is a frame only if the tour does not loop."""
        count = max(1, round(self.seconds * fps))
        return np.linspace(0.0, self.seconds, count, endpoint=not self.loops)


@dataclass(frozen=True, eq=False)
class Track:
    """Camera and scene time, sampled evenly over a film: all ``(n,)``, `target` ``(n, 3)``; angles in degrees."""

    t: Floats
    target: Floats
    distance: Floats
    azimuth: Floats
    elevation: Floats

    def after(self, t: Floats) -> Track:
        """Prepend a part with the scene's times `t`, ``(m,)``, in which the camera rests at its first pose."""
        held = (self.target, self.distance, self.azimuth, self.elevation)
        return Track(
            np.concatenate([t, self.t]),
            *(np.concatenate([np.repeat(values[:1], len(t), axis=0), values]) for values in held),
        )

    def then(self, t: Floats) -> Track:
        """Append a part with the scene's times `t`, ``(m,)``, in which the camera rests at its last pose."""
        held = (self.target, self.distance, self.azimuth, self.elevation)
        return Track(
            np.concatenate([self.t, t]),
            *(np.concatenate([values, np.repeat(values[-1:], len(t), axis=0)]) for values in held),
        )

    def tour(self, seconds: float, *, loops: bool) -> Tour:
        """Return the film; between samples all values are interpolated linearly."""
        last = len(self.t) - 1

        def at(tau: float) -> tuple[float, CameraPose]:
            where = tau / seconds * last
            i = min(int(where), last - 1)
            share = where - i

            def mix(values: Floats) -> NDArray[np.float64]:
                return np.asarray(values[i] * (1 - share) + values[i + 1] * share)

            pose = _pose(
                mix(self.target), float(mix(self.distance)), float(mix(self.azimuth)), float(mix(self.elevation))
            )
            return float(mix(self.t)), pose

        return Tour(seconds, loops, at)


def _pose(target: Floats, distance: float, azimuth: float, elevation: float) -> CameraPose:
    back = direction(azimuth, elevation)
    right = np.cross([0.0, 1.0, 0.0], back)
    up = np.cross(back, right / np.linalg.norm(right))
    return CameraPose(vector(target + back * distance), vector(target), vector(up), FIELD_OF_VIEW)


@dataclass(frozen=True, eq=False)
class Framing:
    """A camera pose as the quantities that are interpolated."""

    target: Floats
    distance: float
    azimuth: float
    elevation: float

    @staticmethod
    def of(pose: CameraPose) -> Framing:
        """Convert a pose."""
        arm = np.subtract(pose.position, pose.target)
        distance = float(np.linalg.norm(arm))
        azimuth = math.degrees(math.atan2(arm[0], arm[2]))
        return Framing(np.array(pose.target), distance, azimuth, math.degrees(math.asin(arm[1] / distance)))


def directions(azimuth: Floats, elevation: Floats) -> Floats:
    """`direction` of many angles: ``(n, 3)``."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.stack([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], axis=1)


def eye_axes(offsets: Floats, back: Floats) -> tuple[Floats, Floats, Floats]:
    """Return offsets ``(n, k, 3)`` along the picture's right, its up, and towards the eye ``(n, 3)``: each ``(n, k)``."""
    right = np.stack([back[:, 2], np.zeros(len(back)), -back[:, 0]], axis=1)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    axes = np.stack([right, np.cross(back, right), back], axis=2)
    x, y, z = np.moveaxis(offsets @ axes, 2, 0)
    return x, y, z
