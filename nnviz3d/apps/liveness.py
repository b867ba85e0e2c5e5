"""Watchdog for requests to another process: ends the wait when that process shows no sign of life."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol, Self

from nnviz3d.stopping import DelayedSignals

SILENCE = 60.0
"""Seconds without a sign of life until the watchdog acts. A capture process gives one every ten seconds if it can."""
_CHECKS = 60
"""Number of checks in that time."""


class Peer(Protocol):
    """The part of a connection that the watchdog needs."""

    def work_done(self) -> int | None:
        """Return a number that grows while the other end works; `None` if that is not known."""
        ...

    def cut(self) -> None:
        """Close the connection, so that pending reads from it return."""
        ...


class Watchdog:
    """Context manager that closes a connection when the other end shows no sign of life for too long.

    The work itself may take any time. Signs of life are messages, which a thread of the other end sends every few
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
        Whether the connection was closed for that reason.
    """

    def __init__(self, other: Peer, patience: float = SILENCE) -> None:
        self._other = other
        self._pause = patience / _CHECKS
        self._messages = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._check, name="nnviz3d watch", daemon=True)
        self.silent = False

    def count_message(self) -> None:
        """Count a message."""
        self._messages += 1

    def __enter__(self) -> Self:
        with DelayedSignals():  # a thread whose start is interrupted cannot be joined
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _check(self) -> None:
        # Checks are counted instead of seconds, because this program itself may have been stopped for a while.
        idle, before = 0, (self._messages, self._other.work_done())
        while not self._over.wait(self._pause):
            now = (self._messages, self._other.work_done())
            idle, before = (idle + 1 if now == before else 0), now
            if idle >= _CHECKS:
                self.silent = True
                self._other.cut()
                return


def processor_time(process: int) -> int | None:
    """Return the processor time that a process has used, in the system's ticks; `None` if the system does not tell."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return None
    # The program's name, in parentheses, may hold any character. User and system time are fields 14 and 15.
    fields = status.rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])
