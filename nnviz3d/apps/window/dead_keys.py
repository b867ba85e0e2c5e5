"""The key that leads from one dead channel to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnviz3d.apps.layer_search import FoundPlace, show_place
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.search import NO_PLACES
from nnviz3d.errors import UserError

_NONE_CAN = "No layer has captured numbers and an activation, such as ReLU, that can be 0 for all samples"


class DeadKeys:
    """Looks for the dead channels of all layers at the first press of the key; each further press shows one of them.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence.
    fly_to
        Flies to the pick, or else to some layers; returns whether the scene shows them.
    """

    def __init__(self, session: Session, tell: Callable[[str], None], fly_to: Callable[[Sequence[str]], bool]) -> None:
        self._session = session
        self._tell = tell
        self._fly_to = fly_to
        self._told = ""

    def next_dead(self) -> None:
        """Look for the dead channels, or fly to the next one."""
        finder = self._session.dead
        if finder.busy:
            self._tell(f"{finder.busy} · Esc: stop")
            return
        if finder.offer and not finder.extent:
            finder.look()
            return
        found = finder.next()
        if found is None:
            self._tell(finder.summary or _NONE_CAN)
            return
        dead, channel, words = found
        shown = self._fly_to(show_place(self._session, FoundPlace(dead.layer, "", channel)))
        self._tell(words if shown else NO_PLACES)

    def advance(self) -> None:
        """Look at some more numbers; tell the result once all were looked at."""
        finder = self._session.dead
        try:
            finder.work()
        except UserError as error:  # the capture was removed or is damaged
            finder.cancel()
            self._tell(str(error))
            return
        if finder.take():
            self._told = ""
            self._tell(f"{finder.summary} · 0: next" if finder.dead else finder.summary)
        elif finder.searching and finder.busy != self._told:
            self._told = finder.busy
            self._tell(f"{self._told} · Esc: stop")

    def stop(self) -> bool:
        """Stop looking; returns whether there is something to stop."""
        busy = bool(self._session.dead.busy)
        self._session.dead.cancel()
        return busy
