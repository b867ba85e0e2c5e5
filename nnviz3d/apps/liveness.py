"""Ends a process that is asked for something and shows no sign of life, so that nobody waits for it for ever."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol, Self

SILENCE = 60.0
"""Seconds without a sign of life that are too long. A capture process gives one every ten seconds if it can."""
_LOOKS = 60
"""How often a process is looked at in that time."""


class Watched(Protocol):
    """The other end of a connection, as far as it can be watched."""

    def work_done(self) -> int | None:
        """Return a number that grows while the other end works; `None` if that is not known."""
        ...

    def cut(self) -> None:
        """End the conversation, so that whoever reads the other end's words waits no longer."""
        ...


class Watch:
    """A context in which a conversation is cut once the other end has shown no sign of life for too long.

    There is no limit on how long the work lasts. Signs of life are words, which a thread of the other end says every few
    seconds, and processor time, because a library may keep that thread from running.

    Parameters
    ----------
    other
        The other end.
    patience
        Seconds without a sign of life.

    Attributes
    ----------
    silent
        Whether the conversation was cut.
    """

    def __init__(self, other: Watched, patience: float = SILENCE) -> None:
        self._other = other
        self._pause = patience / _LOOKS
        self._heard = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="nnviz3d watch", daemon=True)
        self.silent = False

    def heard(self) -> None:
        """Take note of a word."""
        self._heard += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        # Looks are counted and not seconds: this program itself may have been stopped for a while.
        idle, before = 0, (self._heard, self._other.work_done())
        while not self._over.wait(self._pause):
            now = (self._heard, self._other.work_done())
            idle, before = (idle + 1 if now == before else 0), now
            if idle >= _LOOKS:
                self.silent = True
                self._other.cut()
                return


def processor_time(process: int) -> int | None:
    """Return the processor time that a process has used, in the system's ticks; `None` where that is not told."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return None
    # The name of the program, in parentheses, may hold anything. User and system time are fields 14 and 15.
    fields = status.rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])
