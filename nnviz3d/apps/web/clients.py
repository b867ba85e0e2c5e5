"""Counts the pages that look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wslink.websocket import LinkProtocol


class Clients(LinkProtocol):  # type: ignore[misc]
    """Tells how many connections there are, whenever that changes.

    wslink calls the methods that carry its names.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        super().__init__()
        self._changed = changed
        self._ids: set[str] = set()

    def onConnect(self, _request: Any, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Count one more."""
        self._ids.add(client_id)
        self._changed(len(self._ids))

    def onClose(self, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Count one less."""
        self._ids.discard(client_id)
        self._changed(len(self._ids))
