"""Keys of the window that choose the sample, move the time, and lead the tour."""

from __future__ import annotations

from collections.abc import Callable

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.tour_keys import TourKeys

_MOMENT = 0.25
"""Seconds by which a key changes the time."""


class TimeKeys:
    """Methods that go to another sample, time or stop of the tour.

    Parameters
    ----------
    session
        The session that the window shows.
    tour
        The tour, which takes the keys of samples and time while it leads.
    tell
        Shows a sentence for some seconds.
    """

    def __init__(self, session: Session, tour: TourKeys, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tour = tour
        self._tell = tell

    def previous_sample(self) -> None:
        """Show the sample before."""
        self._step(-1)

    def next_sample(self) -> None:
        """Show the sample after."""
        self._step(1)

    def _step(self, by: int) -> None:
        if self._session.tour.on:
            self._tour.step(by)
        elif len(self._session.samples) < 2:
            self._tell("There is only one sample")
        else:
            self._session.choose_next(by)

    def play(self) -> None:
        """Start or stop the clock, or the tour if it leads."""
        if self._session.tour.on:
            self._tour.pause()
        elif self._session.clock.playing:
            self._session.clock.pause()
        elif self._timed():
            self._session.clock.play()

    def toggle_tour(self) -> None:
        """Start or end the tour."""
        self._tour.toggle()

    def back(self) -> None:
        """Go back in time by a quarter of a second."""
        self._seek(self._session.clock.t - _MOMENT)

    def forward(self) -> None:
        """Go forward in time by a quarter of a second."""
        self._seek(self._session.clock.t + _MOMENT)

    def reveal_more(self) -> None:
        """Go forward in time to where the next layer is visible, or where the gradient has passed it."""
        self._reveal(1)

    def reveal_less(self) -> None:
        """Go back in time by one layer."""
        self._reveal(-1)

    def _timed(self) -> bool:
        if self._session.scene.duration <= 0:
            self._tell("This scene has no animation")
        return self._session.scene.duration > 0

    def _seek(self, t: float) -> None:
        if self._timed():
            self._session.clock.pause()
            self._session.clock.seek(t)
            self._tell(f"{self._session.clock.t:.2f} of {self._session.scene.duration:.2f} s")

    def _reveal(self, by: int) -> None:
        line = self._session.scene.timeline
        moment = line.stop(self._session.clock.t, by)
        if moment is None:
            self._tell("This scene does not show layers one after another")
            return
        self._seek(moment)
        self._tell(line.phase(self._session.clock.t))
