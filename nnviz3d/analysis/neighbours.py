"""Nearest neighbours of a vector among others, by comparison with all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUMBERS = 2**20
"""Numbers that are compared at a time, to save memory."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of some vectors.

    Attributes
    ----------
    indices
        ``(k,)``: their indices, the nearest first; of equal distances the lower index first.
    distances
        ``(k,)`` float64: their Euclidean distances.
    left_out
        Number of vectors with NaN or infinite numbers, which have no distance.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    left_out: int = 0


def nearest(
    vectors: NDArray[np.float32],
    to: NDArray[np.float32],
    count: int,
    among: NDArray[np.bool_] | None = None,
) -> Neighbours:
    """Find the vectors with the smallest Euclidean distances. Nothing is approximate.

    Parameters
    ----------
    vectors
        ``(M, D)``.
    to
        ``(D,)``: the vector that they are compared with.
    count
        Number of neighbours; all of them, if there are fewer.
    among
        ``(M,)``: the vectors that are compared; by default all of them.

    Raises
    ------
    ValueError
        If the vector has another length, or numbers that are not finite.
    """
    if to.shape != vectors.shape[1:]:
        raise ValueError(f"expected a vector of {vectors.shape[1]} numbers; got {to.shape}")
    if not np.isfinite(to).all():
        raise ValueError("the vector has NaN or infinite numbers")
    compared = np.arange(len(vectors)) if among is None else np.flatnonzero(among)
    distances = np.empty(len(compared), dtype=np.float64)
    rows = max(1, _NUMBERS // max(1, vectors.shape[1]))
    for first in range(0, len(compared), rows):
        part = vectors[compared[first : first + rows]].astype(np.float64)
        distances[first : first + rows] = np.sqrt(np.square(part - to).sum(axis=1))
    finite = np.isfinite(distances)
    compared, distances = compared[finite], distances[finite]
    order = np.argsort(distances, kind="stable")[:count]
    return Neighbours(compared[order].astype(np.int64), distances[order], int((~finite).sum()))
