"""The tour once around everything, as a seamless loop."""

from __future__ import annotations

import math

import numpy as np

from nnviz3d.scene.camera import FIELD_OF_VIEW, Margins, fit
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.tours.track import RATE, Floats, Framing, Tour, Track, directions, eye_axes

MOST_TURN = 45.0
"""Maximum speed in degrees per second; a film that is too short for a whole turn swings to and fro."""
_SECONDS = 16.0
_HASTE = 1.6
"""Factor of the speed where the camera looks along the rows and little is visible."""
_LIFT = 14.0
"""Degrees by which the camera rises there, so that the front block does not hide all others."""
_STEEPEST = 89.0
_DIRECTIONS = 360
_HARMONICS = 4
_ORBIT_MARGINS = Margins(left=0.03, right=0.035, top=0.12, bottom=0.15)


def orbit(scene: Scene, aspect: float, seconds: float | None = None) -> Tour:
    """Plan a turn around the network, in which everything is lit and always in the frame.

    Parameters
    ----------
    seconds
        By default 16.
    """
    seconds = seconds or _SECONDS
    start = Framing.of(scene.overview(aspect=aspect))
    turn = np.linspace(0, 2 * math.pi, _DIRECTIONS, endpoint=False)
    pace = 1 + _HASTE * np.sin(turn + math.radians(start.azimuth)) ** 2
    n = max(2, round(seconds * RATE)) + 1
    tau = np.linspace(0, 1, n)
    # Invert time as a function of angle to angle as a function of time.
    elapsed = np.concatenate([[0.0], np.cumsum(1 / pace)])
    around = np.interp(tau, elapsed / elapsed[-1], np.linspace(0, 360, _DIRECTIONS + 1))
    fastest = float(np.gradient(around, seconds / (n - 1)).max())
    if fastest > MOST_TURN:
        around = MOST_TURN * seconds / (2 * math.pi) * np.sin(2 * math.pi * tau)
    target, distance, elevation = _all_round(scene, aspect, start)

    def periodic(values: Floats) -> Floats:
        closed = np.append(values, values[:1])
        return np.interp(around % 360, np.linspace(0, 360, _DIRECTIONS + 1), closed)

    track = Track(
        np.full(n, scene.duration),
        np.stack([periodic(target[:, axis]) for axis in range(3)], axis=1),
        np.exp(periodic(np.log(distance))),
        start.azimuth + around,
        periodic(elevation),
    )
    return track.tour(seconds, loops=True)


def _all_round(scene: Scene, aspect: float, start: Framing) -> tuple[Floats, Floats, Floats]:
    """Return target, distance and elevation for each direction: smooth, with everything in the frame."""
    points = scene.extent()
    azimuths = start.azimuth + np.arange(_DIRECTIONS) * 360 / _DIRECTIONS
    elevations = np.minimum(start.elevation + _LIFT * np.sin(np.radians(azimuths)) ** 2, _STEEPEST)
    views = list(zip(azimuths, elevations, strict=True))
    fits = [fit(points, a, e, aspect=aspect, margins=_ORBIT_MARGINS) for a, e in views]
    # Only low harmonics: the exact fit would jerk at each direction where another corner touches the frame.
    target = _low_pass(np.array([pose.target for pose in fits]))
    needed = np.log(_needed(points, target, directions(azimuths, elevations), aspect))
    even = _low_pass(needed[:, np.newaxis])[:, 0]
    return target, np.exp(even + max(0.0, float((needed - even).max()))), elevations


def _low_pass(values: Floats) -> Floats:
    """Keep the first harmonics of periodic values ``(n, k)``."""
    spectrum = np.fft.rfft(values, axis=0)
    spectrum[_HARMONICS + 1 :] = 0
    return np.asarray(np.fft.irfft(spectrum, len(values), axis=0))


def _needed(points: Floats, target: Floats, back: Floats, aspect: float) -> Floats:
    """Return the least distance at which all points are within the margins, for each target and direction, ``(n,)``."""
    x, y, z = eye_axes(points - target[:, np.newaxis], back)
    half_y = math.tan(math.radians(FIELD_OF_VIEW / 2))
    half_x = half_y * aspect
    m = _ORBIT_MARGINS
    sides = (
        (-x, half_x * (1 - 2 * m.left)),
        (x, half_x * (1 - 2 * m.right)),
        (-y, half_y * (1 - 2 * m.bottom)),
        (y, half_y * (1 - 2 * m.top)),
    )
    return np.asarray(np.max([(v / tangent + z).max(axis=1) for v, tangent in sides], axis=0))
