"""Compiled search of nearest neighbours among all pairs of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.grid_kernels import compiled

Floats = NDArray[np.float32]

TILE, TOGETHER = 128, 10
"""Vectors that one is compared with at once, and numbers of each whose squares are added up in a register."""


@compiled
def add_nearest(rows: Floats, tiles: Floats, indices: Any, squared: Floats, start: int, stop: int) -> None:
    """Find the nearest other vectors of the vectors ``start:stop``.

    Parameters
    ----------
    rows
        ``(M * TILE, parts, TOGETHER)``: the N vectors and then zeros.
    tiles
        ``(M, parts, TOGETHER, TILE)``: the same.
    indices, squared
        ``(N, count)``: the nearest vectors and their squared distances are written here, as a heap whose first distance
        is the largest. At first the distances are infinite.
    """
    total, count = squared.shape
    away = np.empty(TILE, dtype=np.float32)
    for tile in range(tiles.shape[0]):
        for i in range(start, stop):
            away[:] = 0
            for part in range(tiles.shape[1]):
                for j in range(TILE):
                    more = np.float32(0)
                    for k in range(TOGETHER):
                        apart = rows[i, part, k] - tiles[tile, part, k, j]
                        more += apart * apart
                    away[j] += more
            if away.min() >= squared[i, 0]:
                continue
            for j in range(min(TILE, total - tile * TILE)):
                other = tile * TILE + j
                if away[j] >= squared[i, 0] or other == i:
                    continue
                at, below = 0, 1
                while below < count:
                    if below + 1 < count and squared[i, below + 1] > squared[i, below]:
                        below += 1
                    if squared[i, below] <= away[j]:
                        break
                    squared[i, at], indices[i, at] = squared[i, below], indices[i, below]
                    at, below = below, 2 * below + 1
                squared[i, at], indices[i, at] = away[j], other
