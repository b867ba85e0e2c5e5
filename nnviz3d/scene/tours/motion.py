"""Speed limits of a flythrough, and the adjustment to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nnviz3d.scene.camera import FIELD_OF_VIEW
from nnviz3d.scene.tours.track import Floats, Track, directions, eye_axes

MOST_MOTION = 1.0
"""Picture heights a second by which what the camera looks at may wander over the picture in a flythrough."""
MOST_ZOOM = 2.2
"""The factor by which a flythrough may come nearer or go away within a second."""
MOST_TURN = 20.0
"""Degrees a second that the direction of view may turn in a flythrough."""
INSIDE = 0.96
"""The share of the frame in which the block that lights up stays."""
_CORRECTIONS, _CORRECTION = 120, 0.97


def within_limits(wanted: Floats, excess: Callable[[Floats], Floats], width: int) -> Floats:
    """Keep more distance where the film would be too fast or lose its block, smoothly and as little as needed.

    Parameters
    ----------
    wanted
        ``(n,)`` depths, from 0 to 1.
    excess
        For depths, how many times over the limits each sample is; for no depth nowhere over.
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
    # No local remedy: everything is less deep.
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(depth * middle).max() <= 1 else (low, middle)
    return np.asarray(depth * low)


def haste(track: Track, step: float) -> Floats:
    """How many times over the limits the camera's motion is: ``(n,)``."""
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
    """How many times over the edge of the frame the blocks that light up reach: ``(n,)``.

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
    """Interpolate from 0 to 1 between two times, smoothly, at rest at both."""
    share = np.clip((tau - start) / max(end - start, 1e-9), 0, 1)
    return np.asarray(share**3 * (share * (6 * share - 15) + 10))


def smooth(values: Floats, deviation: float) -> Floats:
    """Smooth with a Gaussian of this standard deviation in samples; the ends are extended."""
    reach = math.ceil(2.5 * deviation)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), bell / bell.sum(), mode="valid")


def _lowest(values: Floats, width: int) -> Floats:
    """Return the least value within so many samples on both sides."""
    padded = np.pad(values, width, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1).min(axis=1))
