"""Limits on connections: closes those that send half a request, announce too large messages or read nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from wslink.chunking import UnChunker
from wslink.websocket import LinkProtocol

from nnviz3d.apps.web.security import Gate

_PATIENCE = 20.0
"""Seconds that a connection may last without the token."""
_MOST = 200
"""Most connections without the token at a time; beyond that the oldest are closed."""
_STALLED = 5.0
"""Seconds that a page may leave sent data unread while other pages wait for their turn."""
_INTERVAL = 0.25
"""Seconds between two checks."""
_LARGEST = 4 * 2**20
"""Most bytes of a message from the page. Files are uploaded another way."""
_UNFINISHED = 16
"""Most messages that a page may have begun and not finished."""


class ConnectionLimits(LinkProtocol):  # type: ignore[misc]
    """Watches the server's connections. wslink calls `onConnect` and `onClose`.

    Parameters
    ----------
    gate
        Checks whether a request has the token.
    """

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate
        self._server: Any = None
        self._known: set[Any] = set()
        self._pages: dict[str, Any] = {}
        self._since: dict[Any, float] = {}
        self._unsent: dict[Any, tuple[int, float]] = {}

    def guard(self, server: Any) -> None:
        """Attach to wslink's server before it runs."""
        self._server = server
        server.app.middlewares.append(self._middleware)

    @property
    def last_sender(self) -> str | None:
        """The page that sent the last message."""
        found: str | None = self._server.last_active_client_id
        return found

    @property
    def _middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._gate.path_of(request) == "/ws" and not web.WebSocketResponse().can_prepare(request):
                # Otherwise wslink counts it as a page and cannot close it at the end.
                return web.Response(status=426, text="This address is for the page's own connection.\n")
            known = self._gate.lets_in(request)
            if known:
                self._known.add(request.transport)
            try:
                return await handler(request)
            finally:
                self._known.discard(request.transport)

        return check

    def onConnect(self, request: web.Request, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Limit the messages of a new page."""
        self._pages[client_id] = request.transport
        for handler in self._server._ws_handlers:
            if client_id in handler.unchunkers:
                handler.unchunkers[client_id] = LimitedUnChunker()

    def onClose(self, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Forget a page."""
        self._pages.pop(client_id, None)

    async def watch(self) -> None:
        """Close idle connections without the token and stalled pages, as long as the server runs."""
        while True:
            await asyncio.sleep(_INTERVAL)
            now = time.monotonic()
            self._sweep(now)
            self._drop_stalled(now)

    def _sweep(self, now: float) -> None:
        # The oldest connection comes first.
        self._since = {one: self._since.get(one, now) for one in self._without_token()}
        for position, (one, since) in enumerate(self._since.items()):
            if now - since > _PATIENCE or position < len(self._since) - _MOST:
                one.abort()

    def _drop_stalled(self, now: float) -> None:
        """Close pages that read nothing: wslink sends to one page at a time, and waits for it."""
        before, self._unsent = self._unsent, {}
        for page in self._pages.values():
            size = page.get_write_buffer_size()
            earlier, since = before.get(page, (0, now))
            if size:
                self._unsent[page] = (size, since if size >= earlier > 0 else now)
        for page, (_, since) in self._unsent.items():
            if len(self._pages) > 1 and now - since > _STALLED:
                page.abort()

    def _without_token(self) -> list[Any]:
        runner = self._server.runner
        if runner is None or runner.server is None:
            return []
        pages = {page for client, page in self._pages.items() if self._has_sent_the_token(client)}
        connected = [one.transport for one in runner.server.connections]
        return [one for one in connected if one is not None and one not in pages and one not in self._known]

    def _has_sent_the_token(self, client: str) -> bool:
        return any(handler.isClientAuthenticated(client) for handler in self._server._ws_handlers)

    def forget_unfinished_handshakes(self) -> None:
        """Forget pages that left during the handshake; wslink would fail to close them."""
        for handler in self._server._ws_handlers:
            for client in [client for client, page in handler.connections.items() if not page.prepared]:
                del handler.connections[client]


class LimitedUnChunker(UnChunker):  # type: ignore[misc]
    """Joins the parts of a page's messages up to a limit; wslink's class allocates any size that a page announces."""

    def set_max_message_size(self, size: int) -> None:
        """Allow larger messages, up to a limit."""
        super().set_max_message_size(min(size, _LARGEST))

    def process_chunk(self, chunk: bytes) -> Any:
        """Add a part of a message; returns the message once it is whole.

        Raises
        ------
        ValueError
            If the message is too large, or too many messages are unfinished; the connection is closed then.
        """
        found = super().process_chunk(chunk)
        if len(self.pending_messages) > _UNFINISHED:
            raise ValueError("Too many messages were begun.")
        return found
