"""Access of the panels to the session and the page."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol

from nnviz3d.apps.session import Session
from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError


class Redraw(Protocol):
    """Draws the picture again."""

    def __call__(self, *, moving: bool = False) -> None:
        """Draw again; `moving` if more changes are likely to follow at once."""


class PageContext:
    """Everything that a panel may use of the page. A panel sees neither the application nor another panel.

    Parameters
    ----------
    server
        Trame's server, whose state all open pages share.
    session
        The session that the page shows.
    redraw
        Draws the picture again.
    synchronize
        Lets the page and all its panels show the session.
    tick
        Lets all panels show a new time of the session's clock.

    Attributes
    ----------
    session, redraw
        As above.
    group
        The open group of layers that a camera was sent to, until something else is chosen.
    """

    def __init__(
        self,
        server: Any,
        session: Session,
        *,
        redraw: Redraw,
        synchronize: Callable[[], None],
        tick: Callable[[], None],
    ) -> None:
        self._server = server
        self._state = server.state
        self.session = session
        self.redraw = redraw
        self.group: str | None = None
        self._synchronize = synchronize
        self._tick = tick
        self.show({"message": "", "said": 0})

    # Values and events of the page.

    def show(self, values: Mapping[str, Any]) -> None:
        """Set values of the page's state, by name. They reach the browsers when the current event has been handled."""
        self._state.update(dict(values))

    def set(self, values: Mapping[str, Any]) -> None:
        """Set values of the page's state outside of any event, and send them."""
        with self._state:
            self.show(values)

    def client_only(self, **values: Any) -> None:
        """Set initial values that each browser then changes on its own, such as the text of a filter."""
        self._state.update(values)
        self._state.client_only(*values)

    def on_change(self, key: str, changed: Callable[[Any], None]) -> None:
        """Call a function with the new value whenever a value of the page's state changes, here or in a browser."""
        self._state.change(key)(self.guarded(lambda **values: changed(values[key])))

    def on_trigger(self, name: str, triggered: Callable[..., Any]) -> None:
        """Let the page's scripts and widgets call a function: ``trigger('name', [arguments])``."""
        self._server.trigger(name)(self.guarded(triggered))

    # Changes of the session.

    def select(self, *, moving: bool = False, **changes: Any) -> None:
        """Change fields of the selection, and show it."""
        self.session.select(**changes)
        selection = self.session.selection
        if selection.layer is not None or selection.pick is not None:
            self.group = None
        self.refresh(moving=moving)

    def toggle_layer(self, layer: str) -> None:
        """Highlight a layer, or stop highlighting it."""
        self.select(layer=None if self.session.selection.layer == layer else str(layer))

    def refresh(self, *, moving: bool = False) -> None:
        """Show the session as it is: in the panels and in the picture."""
        self.synchronize()
        self.redraw(moving=moving)

    def synchronize(self) -> None:
        """Let the page and all its panels show the session."""
        with self._state:
            self._synchronize()

    def tick(self) -> None:
        """Let all panels show a new time of the session's clock."""
        with self._state:
            self._tick()

    # Errors and messages.

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a callback so that its errors are reported instead of lost in trame's log."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
                self.report(error)

        return call

    def report(self, error: Exception) -> None:
        """Show an error: a user's mistake as a sentence on the page, a bug in the terminal too."""
        if isinstance(error, ConnectionResetError):
            return  # the browser closed the page while a message was being sent to it
        if not isinstance(error, UserError):
            traceback.print_exception(error, file=sys.stderr)
        text = str(error) if isinstance(error, UserError) else "Something went wrong; the terminal says what."
        self.say(text)
        if self.session.revert():
            self.redraw()
        self.synchronize()

    def say(self, sentence: str) -> None:
        """Show a sentence on the page for some seconds."""
        with self._state:
            self._state.message = printable(sentence, None)
            self._state.said += 1

    def heard(self, number: object) -> None:
        """Forget the sentence after a page has shown it for its time, unless a later one has taken its place."""
        if number == self._state.said:
            self._state.message = ""
