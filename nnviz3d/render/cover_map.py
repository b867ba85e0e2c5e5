"""Map of the part of a picture that rectangles cover. Pure geometry in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CELL = 2.0
"""Width of a cell of the map in pixels."""
_FEW = 200
"""Maximum number of rectangles that are compared one by one, which is faster than to make a map of the picture."""
_AT_ONCE = 2**21
"""Number of pairs of rectangles that are compared at once."""


class CoverMap:
    """Rectangles in a picture, for many queries whether another rectangle overlaps any of them.

    A summed-area table answers for the cells of a grid; only rectangles that touch a covered cell at their rim are compared
    one by one.

    Parameters
    ----------
    rects
        ``(n, 4)`` pixels: left, bottom, right, top; those with NaN are left out.
    low, high
        Corners of the part of the plane that is mapped; only rectangles inside it may be asked for.
    """

    def __init__(self, rects: NDArray[np.float64], low: tuple[float, float], high: tuple[float, float]) -> None:
        rects = rects[np.isfinite(rects).all(axis=1)]
        inside = (rects[:, :2] < high).all(axis=1) & (rects[:, 2:] > low).all(axis=1)
        self._rects = rects[inside & (rects[:, :2] < rects[:, 2:]).all(axis=1)]
        self._sums: NDArray[np.int32] | None = None
        if len(self._rects) <= _FEW:
            return
        self._low = np.array([*low, *low])
        shape = np.ceil((np.array(high) - low) / _CELL).astype(np.int64)
        self._limit = np.array([*shape, *shape])
        left, bottom, right, top = self._touched(self._rects).T
        edges = np.zeros((shape[0] + 1, shape[1] + 1), dtype=np.int32)
        for x, y, sign in ((left, bottom, 1), (right, bottom, -1), (left, top, -1), (right, top, 1)):
            np.add.at(edges, (x, y), sign)
        covered = edges.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
        sums = np.zeros((shape[0] + 1, shape[1] + 1), dtype=np.int32)
        np.cumsum(covered, axis=0, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
        self._sums = sums

    def overlap(self, rects: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether rectangles ``(m, 4)`` share any area with any of the map's, ``(m,)``."""
        if self._sums is None:
            found, rim = np.zeros(len(rects), dtype=np.bool_), np.arange(len(rects))
        else:
            found = self._any(self._filled(rects), self._sums)
            rim = np.flatnonzero(~found & self._any(self._touched(rects), self._sums))
        most = max(1, _AT_ONCE // max(1, len(self._rects)))
        for first in range(0, len(rim), most):
            some = rim[first : first + most]
            found[some] = overlap(rects[some], self._rects).any(axis=1)
        return found

    def _touched(self, rects: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the range of cells that rectangles touch, ``(m, 4)``."""
        cells = (rects - self._low) / _CELL
        found = np.concatenate([np.floor(cells[:, :2]), np.ceil(cells[:, 2:])], axis=1)
        return np.asarray(np.clip(found, 0, self._limit), dtype=np.int64)

    def _filled(self, rects: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the range of cells that are inside rectangles, ``(m, 4)``; empty ranges are of length zero."""
        cells = (rects - self._low) / _CELL
        low, high = np.ceil(cells[:, :2]), np.floor(cells[:, 2:])
        found = np.concatenate([low, np.maximum(low, high)], axis=1)
        return np.asarray(np.clip(found, 0, self._limit), dtype=np.int64)

    def _any(self, cells: NDArray[np.int64], sums: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether any cell of each range is covered."""
        left, bottom, right, top = cells.T
        inside = sums[right, top] - sums[left, top] - sums[right, bottom] + sums[left, bottom]
        return np.asarray(inside > 0)


def overlap(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether rectangles ``(m, 4)`` and others ``(n, 4)`` share any area: ``(m, n)``; false for NaN."""
    left, bottom, right, top = some.T[:, :, np.newaxis]
    return np.asarray(
        (left < others[:, 2]) & (others[:, 0] < right) & (bottom < others[:, 3]) & (others[:, 1] < top), dtype=np.bool_
    )
