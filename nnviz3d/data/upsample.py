"""Brings a map of few places to the places of what it is laid over, such as 7 by 7 to 224 by 224."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def upsampled(values: NDArray[np.floating], places: Sequence[int]) -> NDArray[np.float32]:
    """Interpolate linearly along each axis of places: bilinearly for pictures, trilinearly for volumes.

    A number stands for the middle of its place, and beyond the outermost middles the outermost numbers go on. So does
    `tf.image.resize` without antialiasing, and what OpenGL calls linear filtering, clamped to the edge.

    Parameters
    ----------
    values
        ``(n, *fewer)``.
    places
        How many there are to be along each axis but the first.

    Returns
    -------
    ``(n, *places)`` float32.
    """
    result = np.asarray(values, dtype=np.float32)
    for axis, count in enumerate(places, start=1):
        result = np.moveaxis(np.tensordot(_weights(result.shape[axis], count), result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result)


def _weights(few: int, many: int) -> NDArray[np.float32]:
    """Return how much each of the few counts for each of the many: ``(many, few)``, whose rows add up to 1."""
    where = np.clip((np.arange(many) + 0.5) * few / many - 0.5, 0, few - 1)
    below = np.minimum(np.floor(where).astype(int), max(few - 2, 0))
    share = (where - below).astype(np.float32)
    weights = np.zeros((many, few), dtype=np.float32)
    rows = np.arange(many)
    weights[rows, below] = 1 - share
    weights[rows, np.minimum(below + 1, few - 1)] += share
    return weights
