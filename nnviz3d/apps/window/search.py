"""The window's search: a line of text, the places that it means, and a flight to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnviz3d.apps.layer_search import FoundPlace, find_places, show_place
from nnviz3d.apps.session import Session
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Panel

_LISTED = 9
"""Most places that are listed at once."""
_LONGEST = 80
"""Most characters of the text."""
NO_PLACES = "This perspective gives layers no place to fly to; Tab shows another one"


class Search:
    """Takes the keys while the user types, and flies to what was found.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.
    fly_to
        Flies to some nodes, or to the pick if there is one; returns whether the scene shows them.

    Attributes
    ----------
    on
        Whether the user is typing, so that keys belong to the search.
    """

    def __init__(self, session: Session, tell: Callable[[str], None], fly_to: Callable[[Sequence[str]], bool]) -> None:
        self._session = session
        self._tell = tell
        self._fly_to = fly_to
        self._text = ""
        self._at = 0
        self._kept: tuple[object, str, tuple[FoundPlace, ...]] = (None, "", ())
        self.on = False

    def begin_search(self) -> None:
        """Take the keys, with an empty line."""
        self.on, self._text, self._at = True, "", 0

    def press(self, key: str) -> None:
        """Take a key: a character, or the X11 name of another key."""
        match key:
            case "Escape":
                self.on = False
            case "Return" | "KP_Enter":
                self._go()
            case "BackSpace":
                self._write(self._text[:-1])
            case "Up" | "Down":
                count = len(self._found())
                self._at = (self._at + (1 if key == "Down" else -1)) % count if count else 0
            case _ if len(key) == 1:
                self._write((self._text + key)[:_LONGEST])

    def panels(self) -> tuple[Panel, ...]:
        """Return the panel with the line and the places; none while the user does not type."""
        if not self.on:
            return ()
        found = self._found()
        first = min(max(self._at - _LISTED + 1, 0), max(len(found) - _LISTED, 0))
        rows = [TextRow(f"Search: {self._text}|", "title")]
        for number, place in enumerate(found[first : first + _LISTED], first):
            chosen = number == self._at
            rows.append(TextRow(f"{'›' if chosen else '  '} {words_of(place)}", "text" if chosen else "quiet"))
        rows.append(TextRow(self._hint(found), "quiet"))
        return (Panel("search", "side", tuple(rows)),)

    def _hint(self, found: Sequence[FoundPlace]) -> str:
        if not self._text.strip():
            return "a layer's name or kind, or with a number its channel: conv2d 3 · Esc: end"
        if not found:
            return "no layer, group or channel is called so · Esc: end"
        count = f"{self._at + 1} of {len(found):,}"
        return f"{count} · ↑ ↓: choose · Return: fly there · Esc: end"

    def _write(self, text: str) -> None:
        self._text, self._at = text, 0

    def _found(self) -> tuple[FoundPlace, ...]:
        scene, text, found = self._kept
        if scene is not self._session.scene or text != self._text:
            found = find_places(self._session, self._text)
            self._kept = (self._session.scene, self._text, found)
        return found

    def _go(self) -> None:
        found = self._found()
        if not found:
            return
        self.on, place = False, found[self._at]
        shown = show_place(self._session, place)
        self._tell(words_of(place) if self._fly_to(shown) else NO_PLACES)


def words_of(place: FoundPlace) -> str:
    """Return the name of a place for users."""
    return f"{place.name} · {place.kind}" if place.channel is None else f"{place.name} {place.channel} · {place.kind}"
