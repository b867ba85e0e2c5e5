"""Linear interpolation of a map to more locations, such as from 7 by 7 to 224 by 224."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def upsampled(values: NDArray[np.floating], locations: Sequence[int]) -> NDArray[np.float32]:
    """Interpolate linearly along each location axis: bilinearly for pictures, trilinearly for volumes.

    Each number is at the centre of its location; beyond the outermost centres, the outermost numbers are repeated. This
    equals `tf.image.resize` without antialiasing, and OpenGL's linear filtering with clamping to the edge.

    Parameters
    ----------
    values
        ``(n, *fewer)``.
    locations
        New length of each axis except the first.

    Returns
    -------
    ``(n, *locations)`` float32.
    """
    result = np.asarray(values, dtype=np.float32)
    for axis, count in enumerate(locations, start=1):
        result = np.moveaxis(np.tensordot(_weights(result.shape[axis], count), result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result)


def _weights(few: int, many: int) -> NDArray[np.float32]:
    """Return the weight of each old location for each new one, ``(many, few)``; each row adds up to 1."""
    where = np.clip((np.arange(many) + 0.5) * few / many - 0.5, 0, few - 1)
    below = np.minimum(np.floor(where).astype(int), max(few - 2, 0))
    share = (where - below).astype(np.float32)
    weights = np.zeros((many, few), dtype=np.float32)
    rows = np.arange(many)
    weights[rows, below] = 1 - share
    weights[rows, np.minimum(below + 1, few - 1)] += share
    return weights
