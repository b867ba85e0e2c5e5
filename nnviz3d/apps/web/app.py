"""The web application: one server shows one session, and all pages show the same state."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex
from typing import Any

from trame.app import TrameApp, get_server
from wslink.websocket import LinkProtocol

from nnviz3d.apps.picking import pick_at
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.aria import allow_aria
from nnviz3d.apps.web.client_counter import ClientCounter
from nnviz3d.apps.web.client_protocol import ClientProtocol, add_client
from nnviz3d.apps.web.client_view import ClientViews
from nnviz3d.apps.web.connection_limits import ConnectionLimits
from nnviz3d.apps.web.drawing import Drawer
from nnviz3d.apps.web.exports import Exports
from nnviz3d.apps.web.flights import Flights
from nnviz3d.apps.web.motion import Motion
from nnviz3d.apps.web.page import GONE, build_page, file_stem, page_values
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.paint_files import add_paint
from nnviz3d.apps.web.panels import panel_classes
from nnviz3d.apps.web.picture_pages import PictureProtocol
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.apps.web.sample_files import add_files
from nnviz3d.apps.web.saves import Saves
from nnviz3d.apps.web.security import Gate
from nnviz3d.apps.web.start_page import MODULE, add_pages
from nnviz3d.free_memory import return_free_memory
from nnviz3d.scene.selection import Pick

_READING = 0.1
"""Seconds between two looks at whether a tour's caption has been read."""
_RENEWED = 2.0
"""Seconds from one renewal of a request to the training to the next one."""


class WebApp(TrameApp):  # type: ignore[misc]
    """Connects the session, the picture, the panels and the server.

    Parameters
    ----------
    session
        The session to show. All drawing happens on the thread of the event loop, which owns the window.
    gate
        Checks who may connect.
    drawer
        Whether the pages draw the scene, or the server.

    Attributes
    ----------
    view
        The picture that the server draws.
    client_views
        The scene for pages that draw it themselves.
    """

    def __init__(self, session: Session, gate: Gate, drawer: Drawer = "auto") -> None:
        # A unique name, because trame keeps servers by name for the whole process.
        super().__init__(get_server(f"nnviz3d-{token_hex(4)}", client_type="vue3"))
        self._session = session
        self._gate = gate
        self._limits = ConnectionLimits(gate)
        self._page = PageContext(
            self.server, session, redraw=self._redraw, synchronize=self._synchronize, tick=self._tick
        )
        motion = Motion(session, self._moved)
        self.view = RemoteView(
            session,
            failed=self._page.report,
            advance=motion.advance,
            clicked=self._page.guarded(self._pick_at),
            last_sender=self._last_sender,
        )
        self.client_views = ClientViews(
            session, advance=motion.advance, failed=self._page.report, picked=self._page.guarded(self._pick)
        )
        client = ClientProtocol(self.client_views, last_sender=self._last_sender, left=self._left)
        pictures = PictureProtocol(self.view.pages, self.view.displayed, last_sender=self._last_sender)
        self._panels = tuple(make(self._page) for make in panel_classes())
        self._keys: dict[str, Callable[[], None]] = {
            "home": self._home,
            "clear": lambda: self._page.select(pick=None),
        }
        for panel in self._panels:
            self._keys.update(panel.keys)
        self._perspective = session.perspectives.current
        self._departures = session.tour.departures
        self._clients = ClientCounter(self._show_clients)
        self._saves = Saves(
            self._page, self.view, lambda: self._clients.count, lambda: self.client_views.stay(self._last_sender())
        )
        self._flights = Flights(self._page, self.view, self._saves.camera, self._home)
        self._exports = Exports(
            self._page, self._saves.camera, lambda: self.view.camera_set_by_user, f"{file_stem(session)}.html"
        )
        # The secret for files: in a frame of another site, the browser may keep no cookie.
        self._page.show({"clients": 0, "draw": drawer, "secret": gate.token})
        self._page.client_only(drawer=None, drawing="", drawing_reason="")
        self._page.synchronize()
        self.state.trame__template_error = GONE
        for protocol in (self._limits, self._clients, client, pictures):
            self.server.add_protocol_to_configure(partial(_register, protocol))
        self.ctrl.on_exception.add(self._page.report)
        self.ctrl.on_error.add(lambda message: print(f"The page reports: {message}", file=sys.stderr))
        self.ctrl.on_server_bind.add(self._add_routes)
        self.ctrl.on_server_ready.add(lambda **_: self.ctrl.rc_area_register(self.view))
        self._page.on_trigger("picture", self.view.picture)
        self._page.on_trigger("key", self._key)
        self._page.on_trigger("heard", self._page.heard)
        allow_aria()
        self.ui = build_page(self.server, self._page, self._panels, home=self._home)
        # After the widgets' own styles, so that the page's styles override them.
        self.server.enable_module(MODULE)

    # Running.

    def listen(self, host: str, port: int) -> Awaitable[None]:
        """Return the coroutine that serves; nothing listens before it runs."""
        serving: Awaitable[None] = self.server.start(
            host=host,
            port=port,
            timeout=0,
            exec_mode="coroutine",
            backend="aiohttp",
            thread=True,  # the caller handles the signals
            open_browser=False,
            show_connection_info=False,
            disable_logging=True,
            follow_symlinks=False,
        )
        # In place of trame's default secret, which is the same everywhere.
        self.server.protocol.updateSecret(self._gate.token)
        return serving

    async def ready(self) -> None:
        """Wait until the server answers."""
        self._follow_session()
        await self.server.ready

    async def stop(self) -> None:
        """End all connections."""
        self._limits.forget_unfinished_handshakes()
        await self.server.stop()

    async def draw(self) -> None:
        """Draw each new state, as long as the server runs."""
        runs = (self.view.run(), self.client_views.run(), self._saves.run(), self._exports.run())
        await asyncio.gather(*runs, self._lead(), self._renew_control())

    async def _renew_control(self) -> None:
        """Keep a training waiting that was asked to, as long as a page is open."""
        while True:
            await asyncio.sleep(_RENEWED)
            if self._clients.count:
                self._session.training_control.renew()

    async def watch(self) -> None:
        """Close idle connections without the token and stalled pages, as long as the server runs."""
        await self._limits.watch()

    def _add_routes(self, server: Any) -> None:
        add_pages(server.app, self._gate, title=page_values(self._session)["trame__title"])
        self._limits.guard(server)
        server.config["ws_compress"] = False  # pictures and floats, nearly all that is sent, become slower, not smaller
        add_files(server.app, self._page)
        add_paint(server.app, self._page)
        self._exports.add_file(server.app)
        add_client(server.app, self.client_views)

    def _show_clients(self, clients: int) -> None:
        with self.state:
            self._page.show({"clients": clients})

    # The session.

    def _redraw(self, *, moving: bool = False) -> None:
        seen = (self._session.perspectives.current, self._session.tour.departures)
        if (self._perspective, self._departures) != seen:
            self._perspective, self._departures = seen
            self.client_views.enter()
            self.view.home()
        self.view.changed(moving=moving)
        self.client_views.changed()

    def _moved(self) -> None:
        self._redraw()
        self._page.tick()

    async def _lead(self) -> None:
        """Let the tour go on when its caption has been read, as long as the server runs."""
        tour = self._session.tour
        while True:
            await asyncio.sleep(_READING)
            if tour.reading and self._clients.count and tour.advance(_READING):
                self._page.refresh()

    def _last_sender(self) -> str | None:
        return self._limits.last_sender

    def _left(self, client: str) -> None:
        self.view.leave(client)
        self.client_views.leave(client)
        return_free_memory()

    def _synchronize(self) -> None:
        self._page.show(page_values(self._session))
        for panel in self._panels:
            panel.synchronize()

    def _tick(self) -> None:
        for panel in self._panels:
            panel.tick()

    def _follow_session(self) -> None:
        """Handle the model's answers and the news of its training on the event loop of the caller."""
        loop = asyncio.get_running_loop()
        answered = self._page.guarded(self._answered)

        def call_answered() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so have all pages
                loop.call_soon_threadsafe(answered)

        self._session.on_news(call_answered)

    def _answered(self) -> None:
        changed = self._session.poll()
        self._page.synchronize()
        if self._session.queries.message:
            self._page.say(self._session.queries.message)
            self._session.queries.message = ""
        if changed:
            self._redraw()

    # Input on the picture.

    def _key(self, name: str) -> None:
        if name in self._keys:
            self._keys[name]()

    def _home(self) -> None:
        if self._page.group is not None:
            self._page.group = None
            self._page.synchronize()
        client = self._last_sender()
        if client is not None and self.client_views.has(client):
            self.client_views.home(client)
        else:
            self.view.home()

    def _pick_at(self, at: tuple[float, float]) -> None:
        self._pick(pick_at(self._session, at, self.view.scene))

    def _pick(self, pick: Pick | None) -> None:
        if pick is not None and pick.of_layer is not None and self._session.groups.is_closed(pick.of_layer):
            self._session.groups.open(pick.of_layer)
            self._page.refresh()
            return
        if pick != self._session.selection.pick:
            self._page.select(pick=pick)


def _register(own: LinkProtocol, protocol: Any) -> None:
    protocol.registerLinkProtocol(own)
