"""Points for vectors that are too many for an embedding: some are embedded as landmarks, the others placed among them.

Placing is a pure function of the landmarks and of one vector: it does not depend on the other vectors, on their order or
on the process that computes it. So a million vectors are placed by parts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Place = Callable[[Floats, Floats, Floats], Floats]
"""Places vectors among landmarks; see `place_among`."""

PLACED_BY = 10
"""Number of nearest landmarks that place a vector."""
_SPARE = 6
"""Further landmarks that are looked at, because the search rounds distances."""
_ROWS = 4096
"""Vectors that are placed at once, to bound the memory."""
_SLACK = 1e-9
"""Largest error of the search in a squared distance, as a share of the largest squared norm."""


def choose(count: int, most: int, seed: int) -> Indices:
    """Choose some of `count` vectors: ``(min(count, most),)`` ascending indices, drawn at random by a seed."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def place_among(landmarks: Floats, points: Floats, vectors: Floats) -> Floats:
    """Place vectors among landmarks whose points are known.

    The point of a vector is the mean of its nearest landmarks' points, weighted by a normal distribution of the distance
    whose width is the distance of the third nearest. A vector that equals a landmark gets its point.

    Parameters
    ----------
    landmarks
        ``(L, k)``: the vectors of the landmarks.
    points
        ``(L, d)``: their points.
    vectors
        ``(n, k)``, reduced as those of the landmarks.

    Returns
    -------
    ``(n, d)``.
    """
    from sklearn.neighbors import NearestNeighbors

    near = min(PLACED_BY, len(landmarks))
    found = np.empty((len(vectors), points.shape[1]), dtype=np.float32)
    search = NearestNeighbors(n_neighbors=min(near + _SPARE, len(landmarks)), algorithm="brute").fit(landmarks)
    for start in range(0, len(vectors), _ROWS):
        rows = vectors[start : start + _ROWS]
        indices, squared = _nearest(search, landmarks, rows, near)
        found[start : start + _ROWS] = _weighted(points.astype(np.float64)[indices], squared)
    return found


def _nearest(search: object, landmarks: Floats, rows: Floats, near: int) -> tuple[Indices, Doubles]:
    """Return indices and squared distances of the nearest landmarks, ``(n, near)``: the nearest first, then by index."""
    candidates: Indices = search.kneighbors(rows, return_distance=False)  # type: ignore[attr-defined]
    squared = _squared(landmarks[candidates], rows)
    indices, sorted_ = _first(candidates, squared, near)
    if candidates.shape[1] == len(landmarks):
        return indices, sorted_
    # The search rounds: where a landmark that it left out may be as near as one of the first, all are compared.
    norm = max(float(np.square(rows, dtype=np.float64).sum(axis=1).max(initial=0.0)), _largest(landmarks))
    for row in np.flatnonzero(squared.max(axis=1) - sorted_[:, -1] <= _SLACK * norm):
        every = _squared(landmarks[np.newaxis], rows[row : row + 1])
        indices[row], sorted_[row] = (part[0] for part in _first(np.arange(len(landmarks))[np.newaxis], every, near))
    return indices, sorted_


def _largest(landmarks: Floats) -> float:
    return float(np.square(landmarks, dtype=np.float64).sum(axis=1).max())


def _squared(others: Floats, rows: Floats) -> Doubles:
    """Return squared distances, ``(n, m)``, of vectors, ``(n, k)``, to others, ``(n, m, k)``."""
    return np.asarray(np.square(others.astype(np.float64) - rows[:, np.newaxis]).sum(axis=2))


def _first(candidates: Indices, squared: Doubles, near: int) -> tuple[Indices, Doubles]:
    order = np.lexsort((candidates, squared), axis=1)[:, :near]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(squared, order, 1)


def _weighted(points: Doubles, squared: Doubles) -> Doubles:
    """Return the weighted mean, ``(n, d)``, of points, ``(n, m, d)``, by their squared distances, ``(n, m)``."""
    width = np.maximum(squared[:, min(2, squared.shape[1] - 1)], np.finfo(np.float64).tiny)[:, np.newaxis]
    weights = np.exp(-(squared - squared[:, :1]) / width)
    same = squared == 0
    weights = np.where(same.any(axis=1)[:, np.newaxis], same, weights)
    return np.asarray((points * weights[..., np.newaxis]).sum(axis=1) / weights.sum(axis=1, keepdims=True))
