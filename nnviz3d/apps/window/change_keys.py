"""Keys for what if: they mute, scale or freeze a part of what is picked, and undo that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.interventions import Action
from nnviz3d.errors import UserError

_ACTIONS: tuple[tuple[Action, float], ...] = (("mute", 0.0), ("scale", 0.5), ("scale", 2.0), ("freeze", 0.0))
"""Actions and their factors, in the order of the key; after the last one nothing is changed."""


class ChangeKeys:
    """Changes at the pick, and a sentence on each.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._place = ""

    def mute(self) -> None:
        """Mute the part of the pick, or undo that."""
        self._change(self._mute)

    def next_change(self) -> None:
        """Mute, halve, double or freeze the part of the pick: the next of these; after the last one change nothing."""
        self._change(self._next)

    def undo(self) -> None:
        """Undo the last change."""
        self._change(self._undo)

    def reset_changes(self) -> None:
        """Undo all changes."""
        self._change(self._reset)

    def next_place(self) -> None:
        """Choose the part of the pick that the other keys change."""
        self._change(self._next_place)

    def tell_changes(self) -> None:
        """Tell what is changed."""
        self._tell(self._told())

    def _change(self, change: Callable[[], str]) -> None:
        if not self._session.scene.blocks:
            self._tell("This scene shows no blocks to change; Tab leads to the activations")
            return
        try:
            self._tell(change())
        except UserError as error:
            self._tell(str(error))

    def _mute(self) -> str:
        return self._session.interventions.toggle(self._place)

    def _next(self) -> str:
        found = self._session.interventions
        part = found.part(self._place)
        kinds = [replace(part, action=action, factor=factor) for action, factor in _ACTIONS]
        now = next((one for one in found.listed if one.place == part.place and not one.picture), None)
        if now in kinds[-1:]:
            found.remove(found.listed.index(now))
            return f"no longer changed: {part.place}"
        one = kinds[kinds.index(now) + 1 if now in kinds else 0]
        found.add(one)
        return one.shown_text

    def _next_place(self) -> str:
        places = tuple(self._session.interventions.places())
        if not places:
            return "Click a cell or a line first; then this key chooses its channel, its number or its layer"
        at = places.index(self._place) + 1 if self._place in places else 1  # without a choice the first one is changed
        self._place = places[at % len(places)]
        return f"what if: {self._place[0].lower()}{self._place[1:]} · d: mute · A: next change"

    def _undo(self) -> str:
        return self._told() if self._session.interventions.undo() else "There is no change to undo"

    def _reset(self) -> str:
        if not self._session.interventions.listed:
            return "Nothing is changed"
        self._session.interventions.reset()
        return self._told()

    def _told(self) -> str:
        listed = self._session.interventions.listed
        return f"changed: {', '.join(one.shown_text for one in listed)}" if listed else "nothing is changed"
