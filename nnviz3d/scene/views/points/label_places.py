"""The place of a class's name among its points: where they lie densest, not in the middle between two clusters."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_NEAR = 2.5
"""World distance up to which points lie around a place: a quarter of the radius of a cloud."""
_CELL = _NEAR * 2 / 3
"""World size of a cell of the counts: three cells are as wide as what is near a place."""
_CELLS = 12
"""Cells of the counts along each axis from the middle of the cloud; points farther away count to the outermost cell."""
_DENSE = 0.5
"""The middle of all points is dense enough if there are this share of the points of the densest place."""
_MOST = 20_000
"""Most points of a class that are looked at, in even steps; more do not change the place."""


def densest(points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the indices of the points around the densest place of a class.

    Their middle is inside a cluster, whereas the middle of all points may be empty. A class in one place keeps about
    the middle of all its points.

    Parameters
    ----------
    points
        ``(n, 3)``: the points of one class in the world, at least one.
    """
    chosen = np.arange(0, len(points), -(-len(points) // _MOST))
    some = points[chosen]
    near = _around(some, np.median(some, axis=0))
    fullest = _fullest(some)
    fullest |= _around(some, np.median(some[fullest], axis=0))
    return chosen[near if near.sum() >= _DENSE * fullest.sum() else fullest]


def _around(points: NDArray[np.float32], middle: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(((points - middle) ** 2).sum(axis=1) <= _NEAR**2)


def _fullest(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which points are in the fullest cell of a grid; the cells around a cell count with it."""
    width = 2 * _CELLS + 2  # an empty cell around the grid, so that each cell has all neighbours
    cells = np.clip(np.floor(points / _CELL), -_CELLS, _CELLS - 1).astype(np.int64) + _CELLS + 1
    own = np.ravel_multi_index(tuple(cells.T), (width,) * 3)
    counts = np.bincount(own, minlength=width**3)
    taken = np.flatnonzero(counts)
    steps = [(x * width + y) * width + z for x, y, z in itertools.product((-1, 0, 1), repeat=3)]
    together = np.sum([counts[taken + step] for step in steps], axis=0)
    # Of equally full ones the cell with the most points of its own.
    best = taken[np.lexsort((counts[taken], together))[-1]]
    return np.asarray(own == best)
