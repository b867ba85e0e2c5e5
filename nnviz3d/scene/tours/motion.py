"""Speed limits of a flythrough, and its adjustment to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nnviz3d.scene.camera import FIELD_OF_VIEW
from nnviz3d.scene.tours.track import Floats, Track, directions, eye_axes

MOST_MOTION = 1.0
"""Maximum speed of the camera's target over the picture in a flythrough, in picture heights per second."""
MOST_ZOOM = 2.2
"""Maximum factor by which the camera's distance changes within a second of a flythrough."""
MOST_TURN = 20.0
"""Maximum turn of the direction of view in a flythrough, in degrees per second."""
INSIDE = 0.96
"""Share of the frame that has to contain the block that lights up."""
_CORRECTIONS, _CORRECTION = 120, 0.97


def within_limits(wanted: Floats, excess: Callable[[Floats], Floats], width: int) -> Floats:
    """Reduce the depth where the film would be too fast or lose its block, smoothly and as little as possible.

    Parameters
    ----------
    wanted
        ``(n,)`` depths, from 0 to 1.
    excess
        Function from depths to each sample's excess: its motion divided by the limit. At depth 0 it is nowhere above 1.
    width
        Samples over which a correction is spread.
    """
    allowed = np.ones_like(wanted)
    for _ in range(_CORRECTIONS):
        depth = wanted * smooth(_lowest(allowed, 2 * width), width * 0.8)
        over = excess(depth)
        if over.max() <= 1:
            return np.asarray(depth)
        allowed = np.where(over > 1, allowed * _CORRECTION, allowed)
    # A local correction is not enough: all depths are reduced.
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(depth * middle).max() <= 1 else (low, middle)
    return np.asarray(depth * low)


def haste(track: Track, step: float) -> Floats:
    """Return the camera's motion divided by the limits, ``(n,)``."""
    ways = directions(track.azimuth, track.elevation)
    moved = np.diff(track.target, axis=0)
    across = moved - np.sum(moved * ways[1:], axis=1, keepdims=True) * ways[1:]
    height = 2 * math.tan(math.radians(FIELD_OF_VIEW / 2)) * track.distance[1:]
    pan = np.linalg.norm(across, axis=1) / height / step
    zoom = np.abs(np.diff(np.log(track.distance))) / step
    chord = np.linalg.norm(np.diff(ways, axis=0), axis=1)
    turn = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) / step
    over = np.maximum.reduce([pan / MOST_MOTION, zoom / math.log(MOST_ZOOM), turn / MOST_TURN])
    return np.append(over, over[-1])


def lost(track: Track, blocks: Floats, aspect: float) -> Floats:
    """Return the reach of the lighting blocks divided by the distance of the frame's edge, ``(n,)``.

    Parameters
    ----------
    blocks
        ``(n, 8, 3)`` corners.
    """
    back = directions(track.azimuth, track.elevation)
    x, y, z = eye_axes(blocks - track.target[:, np.newaxis], back)
    room = math.tan(math.radians(FIELD_OF_VIEW / 2)) * np.maximum(track.distance[:, np.newaxis] - z, 1e-6)
    reach = np.maximum((np.abs(x) / room).max(axis=1) / aspect, (np.abs(y) / room).max(axis=1))
    return np.asarray(reach / INSIDE)


def ease(tau: Floats, start: float, end: float) -> Floats:
    """Interpolate from 0 to 1 between two times, smoothly, with speed 0 at both."""
    share = np.clip((tau - start) / max(end - start, 1e-9), 0, 1)
    return np.asarray(share**3 * (share * (6 * share - 15) + 10))


def smooth(values: Floats, deviation: float) -> Floats:
    """Smooth with a Gaussian; its standard deviation is in samples, and the end values are repeated."""
    reach = math.ceil(2.5 * deviation)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), bell / bell.sum(), mode="valid")


def _lowest(values: Floats, width: int) -> Floats:
    """Return the least value within `width` samples on both sides."""
    padded = np.pad(values, width, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1).min(axis=1))
