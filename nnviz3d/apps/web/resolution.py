"""Size of moving pictures: the largest at which as many are displayed each second as a motion needs."""

from __future__ import annotations

import statistics

_SHARES = (0.5, 0.625, 0.75, 1.0)
"""Possible sizes of a moving picture, as shares of the full width and height."""
_SETTLING = 2
"""Pictures after a change of size that do not count: the window makes new buffers."""
_COUNT = 8
"""Pictures whose mean time decides."""
_DEPENDENT = 0.6
"""Assumed part of a picture's time that grows with the number of pixels, until a larger size was tried."""


class Resolution:
    """Chooses the size of moving pictures by the seconds that each one takes until a page displays it.

    Attributes
    ----------
    share
        Share of the full width and height.
    """

    def __init__(self) -> None:
        self.share = _SHARES[0]
        self._budget = 1.0
        self._seconds: list[float] = []
        self._growth: dict[float, float] = {}
        self._before: tuple[float, float] | None = None

    def begin(self, budget: float) -> None:
        """Begin a motion, in which each picture may take at most so many seconds."""
        self._budget = budget
        self._seconds = []
        self._before = None

    def learn(self, seconds: float) -> None:
        """Record the seconds of one more picture of the motion, and change the size if another one is better."""
        self._seconds.append(seconds)
        if len(self._seconds) < _SETTLING + _COUNT:
            return
        taken = statistics.fmean(self._seconds[_SETTLING:])
        self._note_growth(taken)
        at = _SHARES.index(self.share)
        if taken > self._budget and at > 0:
            self._change(_SHARES[at - 1], taken)
        elif at + 1 < len(_SHARES) and taken * self._growth_to(_SHARES[at + 1]) <= self._budget:
            self._change(_SHARES[at + 1], taken)
        else:
            self._seconds = self._seconds[:_SETTLING]
            self._before = None

    def _change(self, share: float, taken: float) -> None:
        self._before = (self.share, taken)
        self.share = share
        self._seconds = []

    def _note_growth(self, taken: float) -> None:
        """Learn from the size before the last change how the time grows with the size."""
        if self._before is None:
            return
        share, before = self._before
        larger, factor = (self.share, taken / before) if self.share > share else (share, before / taken)
        # Never more than the number of pixels: then other programs have taken time.
        self._growth[larger] = max(1.0, min(factor, _pixels(larger)))

    def _growth_to(self, share: float) -> float:
        """Return by how much the time of a picture grows from the next smaller size to a size."""
        return self._growth.get(share, 1 + _DEPENDENT * (_pixels(share) - 1))


def _pixels(share: float) -> float:
    """Return the ratio of the numbers of pixels of a size and the next smaller one."""
    return (share / _SHARES[_SHARES.index(share) - 1]) ** 2
