"""Connection to pages that draw the scene themselves: their messages, and the arrays that they fetch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from aiohttp import web
from numpy.typing import NDArray
from wslink import register
from wslink.websocket import LinkProtocol

from nnviz3d.apps.web.client_messages import message_of
from nnviz3d.apps.web.client_view import TOPIC, ClientViews, content
from nnviz3d.apps.web.security import ARRAYS
from nnviz3d.client.bundle import bundle

ENTRIES = ("store.js", "viewer.js", "fonts.js", "view_text.js")
"""Scripts of the client whose names the page uses."""
_PIECE = 2**20
"""Most bytes that are written at a time."""


class ClientProtocol(LinkProtocol):  # type: ignore[misc]
    """Passes messages on. wslink calls `receive` and `onClose`.

    Parameters
    ----------
    views
        Handles the messages.
    last_sender
        Returns the page that sent the last message.
    left
        Called with each page that leaves.
    """

    def __init__(
        self, views: ClientViews, *, last_sender: Callable[[], str | None], left: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._views = views
        self._last_sender = last_sender
        self._left = left
        views.connect(lambda topic, data, *, client_id: self.publish(topic, data, client_id=client_id))

    @register(TOPIC)  # type: ignore[untyped-decorator]
    def receive(self, *sent: Any, **_: Any) -> dict[str, str]:
        """Handle a message of a page; the answer says why it is refused."""
        client = self._last_sender()
        try:
            self._views.receive(client or "", message_of(sent[0] if len(sent) == 1 else None))
        except ValueError as error:
            return {"refused": str(error)}
        return {}

    def onClose(self, client_id: str) -> None:  # noqa: N802 - wslink's name
        """Forget a page."""
        self._left(client_id)


def add_client(application: web.Application, views: ClientViews) -> None:
    """Add the client's script and the arrays to a server that does not run yet."""

    async def script(_request: web.Request) -> web.Response:
        return web.Response(
            text=bundle(*ENTRIES), content_type="text/javascript", headers={"Cache-Control": "no-cache"}
        )

    async def parcel(request: web.Request) -> web.StreamResponse:
        arrays = views.parcel(request.match_info["key"])
        if arrays is None:
            return web.Response(status=404, text="There are no such arrays.\n")
        headers = {"Cache-Control": "no-store", "Content-Type": "application/octet-stream"}
        return web.Response(body=_pieces(arrays), headers=headers)

    application.add_routes([web.get("/client.js", script), web.get(f"{ARRAYS}{{key}}", parcel)])


async def _pieces(arrays: Iterable[NDArray[Any]]) -> AsyncIterator[bytes]:
    """Yield the bytes of arrays in small pieces, so that other pages' messages get their turn."""
    for part in content(arrays):
        for start in range(0, len(part), _PIECE):
            yield bytes(part[start : start + _PIECE])
