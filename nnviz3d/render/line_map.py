"""Map of the pixels that lines cross, so that labels keep clear of them. Pure geometry in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_CELL = 2.0
"""Width of a cell of the map in pixels."""
_LONGEST = 20_000
"""Most samples of one piece of a line; a longer piece leaves the picture by far."""
_FEW = 4000
"""Number of questions up to which a search in the crossed cells is faster than a table of all cells."""


class LineMap:
    """The cells of a picture that polylines cross.

    Parameters
    ----------
    lines
        Polylines on the screen, ``(n, p, 2)`` pixels each; pieces with NaN, behind the camera, are left out.
    size
        Width and height of the picture.
    """

    def __init__(self, lines: Iterable[NDArray[np.float64]], size: tuple[int, int]) -> None:
        self._shape = (int(size[0] / _CELL) + 1, int(size[1] / _CELL) + 1)
        pieces = [np.stack([one[:, :-1], one[:, 1:]], axis=2).reshape(-1, 2, 2) for one in lines if one.shape[1] > 1]
        # Row by row, so that the cells of one row of a rectangle are neighbours.
        self._map = np.zeros(self._shape[0] * self._shape[1] + 1, dtype=np.bool_)
        if pieces:
            self._map[self._crossed(np.concatenate(pieces))] = True
        self._crossed_cells = np.flatnonzero(self._map)

    def _crossed(self, pieces: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the indices of the cells that straight pieces ``(m, 2, 2)`` cross; some more than once."""
        pieces = pieces[np.isfinite(pieces).all(axis=(1, 2))] / _CELL
        steps = np.clip(np.ceil(np.abs(pieces[:, 1] - pieces[:, 0]).max(axis=1) * 2), 1, _LONGEST).astype(np.int64)
        piece, step = _ranges(steps + 1)
        share = step / steps[piece]
        # Column by column, because NumPy's loops over axes of two numbers are slow.
        x, y = (pieces[piece, 0, k] * (1 - share) + pieces[piece, 1, k] * share for k in (0, 1))
        inside = (x >= 0) & (x < self._shape[0]) & (y >= 0) & (y < self._shape[1])
        return np.asarray(y[inside].astype(np.int64) * self._shape[0] + x[inside].astype(np.int64))

    def cross(self, rects: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether any line crosses each rectangle, ``(m, 4)``: left, bottom, right, top."""
        low = np.clip(np.floor(rects[:, :2] / _CELL), 0, self._shape).astype(np.int64)
        high = np.clip(np.ceil(rects[:, 2:] / _CELL), low, self._shape).astype(np.int64)
        rect, row = _ranges(high[:, 1] - low[:, 1])
        start = (low[rect, 1] + row) * self._shape[0]
        first, last = (self._before(start + end[rect, 0]) for end in (low, high))
        found = np.zeros(len(rects), dtype=np.bool_)
        found[rect[last > first]] = True
        return found

    def _before(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many crossed cells are before each of some cells."""
        if len(cells) <= _FEW:
            return np.searchsorted(self._crossed_cells, cells)
        return self._sums[cells]

    @cached_property
    def _sums(self) -> NDArray[np.int64]:
        """The number of crossed cells before each cell of the picture."""
        return np.cumsum(self._map) - self._map


def _ranges(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each of some counts the numbers 0 to count - 1, all one after the other, and the index of their count."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
