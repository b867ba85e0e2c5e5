"""Map of the pixels that lines cross, so that labels keep clear of them. Pure geometry in pixels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_CELL = 2.0
"""Width of a cell of the map in pixels."""
_LONGEST = 20_000
"""Most samples of one piece of a line; a longer piece leaves the picture by far."""


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
        marked = np.zeros(self._shape, dtype=np.int32)
        pieces = [np.stack([one[:, :-1], one[:, 1:]], axis=2).reshape(-1, 2, 2) for one in lines if one.shape[1] > 1]
        for cells in self._crossed(np.concatenate(pieces)) if pieces else ():
            marked[cells[:, 0], cells[:, 1]] = 1
        # Sums over all cells below and to the left give the number of marked cells in any rectangle.
        self._sums = np.zeros((self._shape[0] + 1, self._shape[1] + 1), dtype=np.int64)
        self._sums[1:, 1:] = marked.cumsum(axis=0).cumsum(axis=1)

    def _crossed(self, pieces: NDArray[np.float64]) -> Iterable[NDArray[np.int64]]:
        """Yield the cells that straight pieces ``(m, 2, 2)`` cross."""
        pieces = pieces[np.isfinite(pieces).all(axis=(1, 2))] / _CELL
        steps = np.clip(np.ceil(np.abs(pieces[:, 1] - pieces[:, 0]).max(axis=1) * 2), 1, _LONGEST).astype(np.int64)
        for count in np.unique(steps):
            some = pieces[steps == count]
            share = np.linspace(0, 1, count + 1)[:, np.newaxis]
            points = (some[:, :1] * (1 - share) + some[:, 1:] * share).reshape(-1, 2)
            inside = ((points >= 0) & (points < self._shape)).all(axis=1)
            yield points[inside].astype(np.int64)

    def cross(self, rects: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether any line crosses each rectangle, ``(m, 4)``: left, bottom, right, top."""
        low = np.clip(np.floor(rects[:, :2] / _CELL), 0, self._shape).astype(np.int64)
        high = np.clip(np.ceil(rects[:, 2:] / _CELL), low, self._shape).astype(np.int64)
        sums = self._sums
        inside = (
            sums[high[:, 0], high[:, 1]]
            - sums[low[:, 0], high[:, 1]]
            - sums[high[:, 0], low[:, 1]]
            + sums[low[:, 0], low[:, 1]]
        )
        return np.asarray(inside > 0)
