"""Counter of the open pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wslink.websocket import LinkProtocol


class ClientCounter(LinkProtocol):  # type: ignore[misc]
    """Counts the connections and reports each change.

    wslink calls `onConnect` and `onClose`.

    Parameters
    ----------
    changed
        Called with the new number of connections.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        super().__init__()
        self._changed = changed
        self._ids: set[str] = set()

    @property
    def count(self) -> int:
        """The number of connections."""
        return len(self._ids)

    def onConnect(self, _request: Any, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Count a new connection."""
        self._ids.add(client_id)
        self._changed(len(self._ids))

    def onClose(self, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Stop counting a connection."""
        self._ids.discard(client_id)
        self._changed(len(self._ids))
