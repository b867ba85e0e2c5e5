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
_ROWS, _PARTS = 4096, 32
"""Vectors whose neighbours are searched between two reports, and parts of them that threads take."""


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
    from nnviz3d.analysis.neighbour_kernels import TILE, TOGETHER, add_nearest
    from nnviz3d.analysis.threads import Threads, ranges

    total, width = vectors.shape
    # Numbers are scaled by a power of two, which does not round, so that no square overflows.
    scale = float(np.exp2(np.floor(np.log2(max(np.abs(vectors).max(), np.finfo(np.float32).tiny)))))
    padded = np.zeros((-(-total // TILE) * TILE, -(-width // TOGETHER) * TOGETHER), dtype=np.float32)
    np.divide(vectors, scale, out=padded[:total, :width])
    rows = padded.reshape(len(padded), -1, TOGETHER)
    tiles = np.ascontiguousarray(np.moveaxis(rows.reshape(-1, TILE, *rows.shape[1:]), 1, -1))
    indices = np.zeros((total, count), dtype=np.int64)
    squared = np.full((total, count), np.inf, dtype=np.float32)
    with Threads() as threads:
        for start in range(0, total, _ROWS):
            stop = min(start + _ROWS, total)
            parts = [(start + a, start + b) for a, b in ranges(stop - start, _PARTS)]
            threads.run(parts, add_nearest, rows, tiles, indices, squared)
            report(stop, total)
    order = np.argsort(squared, axis=1)
    distances = np.sqrt(np.take_along_axis(squared, order, 1).astype(np.float64)) * scale
    return np.take_along_axis(indices, order, 1), distances


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
