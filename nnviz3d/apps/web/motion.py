"""The passing of a session's time, shared by the loops that draw it."""

from __future__ import annotations

import time
from collections.abc import Callable

from nnviz3d.apps.session import Session


class Motion:
    """Advances a session by the real time since the last call, whichever loop calls.

    Parameters
    ----------
    session
        The session, which may play or unfold a layer.
    moved
        Called whenever the session has moved.
    """

    def __init__(self, session: Session, moved: Callable[[], None]) -> None:
        self._session = session
        self._moved = moved
        self._advanced: float | None = None

    def advance(self) -> None:
        """Advance the session; the first frame of a motion starts at 0."""
        now, before = time.monotonic(), self._advanced
        self._advanced = now if self._session.moving else None
        if self._advanced is not None and before is not None and self._session.advance(now - before):
            self._moved()
