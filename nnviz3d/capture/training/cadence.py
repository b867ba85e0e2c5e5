"""Steps at which a training is recorded: multiples of a number, or as often as the time that a record takes allows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping

from nnviz3d.data.note_words import CADENCE
from nnviz3d.errors import UserError

NOTE = f"{CADENCE}recording usually takes 3 % of the training's time, and at most 8 %."
"""Sentence for the provenance of a capture that was recorded at this cadence."""
_USUAL, _MOST = 0.03, 0.08
"""Shares of the training's time that records take: the usual one, and the largest one that keeps a page up to date."""
_SOON = 0.8
"""Pause in seconds that keeps a page up to date."""
_LEAST = 0.25
"""Shortest pause between two records in seconds."""
_WEIGHTS_SHARE, _WEIGHTS_LEAST = 0.01, 5.0
"""Share of the training's time that copies of all weights take, and the shortest pause between two in seconds."""
_ROOM = 2 * 2**30
"""Bytes of one part; a part that takes more is recorded ever more rarely, so that its size grows by the logarithm."""


class Cadence:
    """Pauses between the records of a training, from the seconds and bytes that its parts take.

    The first record of each part does not count, because it compiles the programs.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began: float | None = None
        self._last: dict[str, float] = {}
        self._cost: dict[str, float | None] = {}
        self._bytes: dict[str, int] = {}
        self._ended = -math.inf

    def is_due(self, part: str) -> bool:
        """Whether a part is to be recorded: ``steps``, the measurements of a step, ``probes`` or ``weights``."""
        return part not in self._last or self._clock() - self._last[part] >= self.pause(part)

    def end_is_due(self) -> bool:
        """Whether to record the last step of `fit`: not less than 0.25 s after that of another `fit` was recorded.

        Programs that call `fit` for every few steps would otherwise record all parts each time.
        """
        return self._clock() - self._ended >= _LEAST

    def pause(self, part: str) -> float:
        """Return the seconds from one record of a part to the next."""
        elapsed = 0.0 if self._began is None else self._clock() - self._began
        full = elapsed * self._bytes.get(part, 0) / _ROOM
        if part == "weights":
            return max(_WEIGHTS_LEAST, (self._cost.get(part) or 0.0) / _WEIGHTS_SHARE, full)
        cost = sum(self._cost.get(each) or 0.0 for each in ("steps", "probes"))
        return max(_LEAST, min(cost / _USUAL, _SOON), cost / _MOST, full if part == "probes" else 0.0)

    def recorded(self, seconds: Mapping[str, float], sizes: Mapping[str, int], *, at_end: bool = False) -> None:
        """Store that parts were recorded: the seconds that each of them took, and its size in bytes.

        Parameters
        ----------
        at_end
            Whether the step was the last one of `fit`.
        """
        ended = self._clock()
        self._ended = ended if at_end else self._ended
        self._began = ended if self._began is None else self._began
        self._bytes.update(sizes)
        for part, spent in seconds.items():
            if part not in self._cost:
                self._cost[part] = None
            else:
                before = self._cost[part]
                self._cost[part] = spent if before is None else (before + spent) / 2
            self._last[part] = ended


class Schedule:
    """Decides which parts of a record are due at a step: ``steps``, the measurements, ``probes`` and ``weights``.

    Parameters
    ----------
    every, probes_every, weights_every
        As in `RecordingCallback`.

    Attributes
    ----------
    note
        A sentence for the provenance; empty if `every` was given.
    asked
        Whether a page asks the training to wait after the next step; then all parts of it are due.

    Raises
    ------
    UserError
        If a number of steps is not positive.
    """

    def __init__(self, every: int | None, probes_every: int | None, weights_every: int | None) -> None:
        self._intervals = {"steps": every, "probes": probes_every, "weights": weights_every}
        for name, steps in (("every", every), ("probes_every", probes_every), ("weights_every", weights_every)):
            if steps is not None and (not isinstance(steps, int) or steps < 1):
                raise UserError(f"{name} must be a number of steps, 1 or more; got {steps!r}.")
        if every is not None:
            self._intervals.update(probes=probes_every or 100, weights=weights_every or 500)
        self.note = NOTE if every is None else ""
        self._last = dict.fromkeys(self._intervals, 0)
        self._cadence = Cadence()
        self._at_end = False
        self.asked = False

    def is_due(self, part: str, step: int) -> bool:
        """Whether a part is due: it is the first, or the interval or the pause since the last one is over."""
        last, every = self._last[part], self._intervals[part]
        if last == 0 or self._at_end or self.asked:
            return True
        return self._cadence.is_due(part) if every is None else step // every > last // every

    def mark_end(self, ends: bool) -> None:
        """Store whether the next step is the last one; without `every`, all parts of it are due."""
        self._at_end = ends and self._intervals["steps"] is None and self._cadence.end_is_due()

    def due(self, step: int) -> frozenset[str]:
        """Return the parts that are due."""
        return frozenset(part for part in self._intervals if self.is_due(part, step))

    def recorded(self, step: int, parts: Iterable[str], seconds: Mapping[str, float], sizes: Mapping[str, int]) -> None:
        """Store that parts were recorded after a step; `seconds` and `sizes` as in `Cadence.recorded`."""
        self._last.update(dict.fromkeys(parts, step))
        self._cadence.recorded(seconds, sizes, at_end=self._at_end)
