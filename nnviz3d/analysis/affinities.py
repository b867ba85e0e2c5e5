"""Nearest neighbours of vectors, and the affinities of t-SNE that follow from their distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Report = Callable[[int, int], None]
"""Callback for progress: the amount done, and the total."""

EXACT = 120_000
"""Up to this many vectors all pairs are compared; the search of more is approximate, if a library for it is installed."""
_ROWS = 4096
"""Vectors whose neighbours are searched between two reports."""


@dataclass(frozen=True, eq=False)
class Affinities:
    """A symmetric sparse matrix, ``(N, N)``, of non-negative numbers with the sum 1.

    Attributes
    ----------
    indptr
        ``(N + 1,)``: where rows begin in the other two arrays.
    indices, values
        The columns of the numbers, ascending in each row, and the numbers.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: Floats


def affinities_of(vectors: Floats, perplexity: float, seed: int, report: Report) -> tuple[Affinities, bool]:
    """Compute the affinities of vectors, ``(N, k)``, from three times as many neighbours as the perplexity.

    Returns
    -------
    The affinities, and whether their neighbours are exact.
    """
    from openTSNE.affinity import joint_probabilities_nn

    near = min(len(vectors) - 1, int(3 * perplexity))
    exact = len(vectors) <= EXACT or find_spec("pynndescent") is None
    if exact:
        indices, distances = nearest(vectors, near, report)
    else:
        indices, distances = nearly_nearest(vectors, near, seed, report)
    found = joint_probabilities_nn(indices, distances, [perplexity], symmetrize=True, n_jobs=-1).tocsr()
    found.sort_indices()
    rows = found.indptr.astype(np.int64), found.indices.astype(np.int32), found.data.astype(np.float32)
    return Affinities(*rows), exact


def nearest(vectors: Floats, count: int, report: Report) -> tuple[Indices, NDArray[np.float64]]:
    """Return indices and distances of the nearest other vectors, ``(N, count)``, by comparing all pairs."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=count + 1, algorithm="brute").fit(vectors)
    indices = np.empty((len(vectors), count), dtype=np.int64)
    distances = np.empty((len(vectors), count), dtype=np.float64)
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, min(start + _ROWS, len(vectors)))
        away, found = search.kneighbors(vectors[rows])
        indices[rows], distances[rows] = _others(found, away, np.arange(rows.start, rows.stop))
        report(rows.stop, len(vectors))
    return indices, distances


def nearly_nearest(vectors: Floats, count: int, seed: int, report: Report) -> tuple[Indices, NDArray[np.float64]]:
    """Return indices and distances of almost the nearest other vectors, ``(N, count)``, by NN-descent."""
    from pynndescent import NNDescent

    report(0, 1)
    found, away = NNDescent(vectors, n_neighbors=count + 1, random_state=seed, compressed=False).neighbor_graph
    report(1, 1)
    return _others(found.astype(np.int64), away.astype(np.float64), np.arange(len(vectors)))


def _others(indices: Indices, distances: NDArray[np.float64], own: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """Leave out of each row the vector itself; or, if that is not there because of equal vectors, the last one."""
    others = indices != own[:, np.newaxis]
    others[others.all(axis=1), -1] = False
    shape = len(indices), indices.shape[1] - 1
    return indices[others].reshape(shape), distances[others].reshape(shape)
