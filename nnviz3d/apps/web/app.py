"""The page around the picture, and what its controls do. One server shows one session: all pages see the same."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from secrets import token_hex
from typing import Any

from trame.app import TrameApp, get_server
from wslink.websocket import LinkProtocol

from nnviz3d.apps.picking import pick_at
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.clients import Clients
from nnviz3d.apps.web.connection_limits import Door
from nnviz3d.apps.web.files import add_files
from nnviz3d.apps.web.page import GONE, build_page
from nnviz3d.apps.web.pages import MODULE, add_pages
from nnviz3d.apps.web.panels.appearance import Appearance
from nnviz3d.apps.web.panels.closeup import Views
from nnviz3d.apps.web.panels.explanation import Insights
from nnviz3d.apps.web.panels.history import HistoryChart
from nnviz3d.apps.web.panels.layers import Layers
from nnviz3d.apps.web.panels.playback import Transport
from nnviz3d.apps.web.panels.samples import Samples
from nnviz3d.apps.web.panels.training import Steps
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.apps.web.security import Gate
from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError


class WebApp(TrameApp):  # type: ignore[misc]
    """The page and its state.

    Parameters
    ----------
    session
        What is shown. All drawing happens on the thread of the event loop, which owns the window.
    gate
        Who may look.

    Attributes
    ----------
    view
        The picture.
    """

    def __init__(self, session: Session, gate: Gate) -> None:
        # A name of its own, because trame keeps servers by name for the whole process.
        super().__init__(get_server(f"nnviz3d-{token_hex(4)}", client_type="vue3"))
        self.session = session
        self._gate = gate
        self._door = Door(gate)
        self.view = RemoteView(
            session,
            failed=self.report,
            ticked=self._ticked,
            clicked=self.guarded(self._pick),
            asker=lambda: self._door.asker,
        )
        self.samples = Samples(self)
        self.layers = Layers(self)
        self.insights = Insights(self)
        self.views = Views(self)
        self.appearance = Appearance(self)
        self.steps = Steps(self)
        self.history = HistoryChart(self)
        self.transport = Transport(self)
        self._clients = Clients(self._count)
        self.state.training = session.training_status
        self.state.update({"message": "", "clients": 0, "title": self.title, "trame__title": f"{self.title} · nnviz3d"})
        self.state.trame__template_error = GONE
        self.state.client_only("drawer", "layer_filter")
        for protocol in (self._door, self._clients):
            self.server.add_protocol_to_configure(partial(_register, protocol))
        self.ctrl.on_exception.add(self.report)
        self.ctrl.on_error.add(lambda message: print(f"The page reports: {message}", file=sys.stderr))
        self.ctrl.on_server_bind.add(self._bound)
        self.ctrl.on_server_ready.add(lambda **_: self.ctrl.rc_area_register(self.view))
        self.server.trigger("picture")(self.guarded(self._picture))
        self.server.trigger("key")(self.guarded(self._key))
        self.ui = build_page(self)
        # After the widgets' own style, so that ours has the last word.
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
            thread=True,  # the signals are ours
            open_browser=False,
            show_connection_info=False,
            disable_logging=True,
            follow_symlinks=False,
        )
        # In place of trame's default, which is the same everywhere.
        self.server.protocol.updateSecret(self._gate.token)
        return serving

    async def ready(self) -> None:
        """Wait until it answers."""
        self.samples.listen()
        await self.server.ready

    async def stop(self) -> None:
        """End all connections."""
        self._door.forget_half_made()
        await self.server.stop()

    async def watch(self) -> None:
        """Close harmful connections of strangers as long as the server runs."""
        await self._door.watch()

    def _bound(self, server: Any) -> None:
        add_pages(server.app, self._gate, title=f"{self.title} · nnviz3d")
        self._door.guard(server)
        add_files(server.app, self)

    def _count(self, clients: int) -> None:
        with self.state:
            self.state.clients = clients

    @property
    def title(self) -> str:
        """The heading above the picture: the title of the current sample."""
        return self.session.scene.title(self.session.selection.sample)

    # What may go wrong.

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a callback that tells what goes wrong, instead of losing it in trame's log."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the page says so and lives on
                self.report(error)

        return call

    def report(self, error: Exception) -> None:
        """Say what went wrong: a person's mistake as a sentence on the page, a bug in the terminal too."""
        if isinstance(error, ConnectionResetError):
            return  # a page that was closed while something was being said to it
        if not isinstance(error, UserError):
            traceback.print_exception(error, file=sys.stderr)
        text = str(error) if isinstance(error, UserError) else "Something went wrong; the terminal says what."
        self.say(text)
        if self.session.revert():
            self.view.changed()
        self.synchronize()

    def say(self, sentence: str) -> None:
        """Show a sentence on the page for a while."""
        with self.state:
            self.state.message = printable(sentence, None)

    # What the controls do.

    def select(self, *, moving: bool = False, **changes: Any) -> None:
        """Change what is selected, and show it."""
        self.session.select(**changes)
        self.refresh(moving=moving)

    def refresh(self, *, moving: bool = False) -> None:
        """Show what is selected now."""
        self.synchronize()
        self.view.changed(moving=moving)

    def synchronize(self) -> None:
        """Let all pages show what is selected."""
        with self.state:
            self.state.training = self.session.training_status
            self.state.update({"title": self.title, "trame__title": f"{self.title} · nnviz3d"})
            panels = (self.samples, self.layers, self.insights, self.views, self.appearance, self.steps, self.history)
            for panel in panels:
                panel.synchronize()

    def _ticked(self) -> None:
        with self.state:
            self.transport.synchronize()
            self.steps.synchronize()
            self.samples.follow()
            self.history.synchronize()

    def _key(self, name: str) -> None:
        match name:
            case "play":
                self.transport.toggle()
            case "home":
                self.view.home()
            case "previous":
                self.samples.step(-1)
            case "next":
                self.samples.step(1)
            case "clear":
                self.select(pick=None)

    def _pick(self, at: tuple[float, float]) -> None:
        pick = pick_at(self.session, at)
        if pick != self.session.selection.pick:
            self.select(pick=pick)

    def _picture(self) -> bytes:
        return self.view.picture()


def _register(own: LinkProtocol, protocol: Any) -> None:
    protocol.registerLinkProtocol(own)
