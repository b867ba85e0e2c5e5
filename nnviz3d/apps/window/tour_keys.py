"""The tour in the window: its keys, and its caption in front of the scene."""

from __future__ import annotations

from collections.abc import Callable

from nnviz3d.apps.session import Session
from nnviz3d.errors import UserError
from nnviz3d.scene.primitives import Panel
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.tours.story import caption_of


class TourKeys:
    """Leads the tour of a session by keys.

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
        session.tour.captioned = True
        self._departures = session.tour.departures
        self._caption: tuple[StoryStop, Panel] | None = None

    def departed(self) -> bool:
        """Whether the tour has set out for another stop, or has ended, since the last call."""
        before, self._departures = self._departures, self._session.tour.departures
        return before != self._departures

    def panels(self) -> tuple[Panel, ...]:
        """Return the caption, if the tour leads; the same object until the next stop, so that it is placed once."""
        stop = self._session.tour.stop
        if stop is None:
            return ()
        if self._caption is None or self._caption[0] is not stop:
            self._caption = stop, caption_of(stop)
        return (self._caption[1],)

    def toggle(self) -> None:
        """Start or end the tour."""
        tour = self._session.tour
        if tour.on:
            tour.end()
            return
        try:
            tour.start()
        except UserError as error:
            self._tell(str(error))
        else:
            self._say()

    def step(self, by: int) -> None:
        """Fly to the next stop, or to the one before."""
        self._session.tour.go(self._session.tour.index + by)
        self._say()

    def pause(self) -> None:
        """Pause the tour, or let it go on by itself."""
        self._session.tour.toggle()
        self._say()

    def _say(self) -> None:
        tour = self._session.tour
        goes = "Space: pause" if tour.playing else "paused, Space: go on"
        self._tell(f"stop {tour.index + 1} of {len(tour.stops)} · ← → · {goes} · Esc: end")
