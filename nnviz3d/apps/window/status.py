"""The words below the scene: what a key did, what the model does, and what is changed in the shown run."""

from __future__ import annotations

import math

from nnviz3d.apps.session import Session
from nnviz3d.scene.colors import score
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Panel

_READ = 4.0
"""Seconds that a message is visible."""
_TOLD = 3
"""Number of scores that are told before and after a change."""


class Status:
    """Up to three lines: a message or a hint, and below it what the model does or, if it rests, the state of the session.

    The state has a line of its own for what a change does to the answer.

    Parameters
    ----------
    session
        The session that the window shows.

    Attributes
    ----------
    shows_hint
        Whether the hint at the key of the help is shown, until the first key or message.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._message, self._until = "", -math.inf
        self._lines: tuple[str, ...] = ()
        self._quiet = ""
        self._change: tuple[object, int, str, str] = (None, -1, "", "")
        self.shows_hint = True

    def tell(self, text: str, now: float) -> None:
        """Show a message for some seconds from now on."""
        self._message, self._until, self.shows_hint = text, now + _READ, False

    def end_message(self) -> None:
        """Take the message away."""
        self._until = -math.inf

    def advance(self, now: float, hint: str) -> bool:
        """Take news of the session; returns whether the lines have changed.

        Parameters
        ----------
        now
            The time in seconds.
        hint
            What a drag does, unless it turns the scene; shown while there is no message.
        """
        session, (answer, scores) = self._session, self._told_change()
        undo = "D: undo" if scores and not hint and session.interventions.can_undo else ""
        told = (session.training_status, scores, undo, "h: keys" if self.shows_hint else "")
        idle = " · ".join(text for text in told if text)
        first = self._message if now < self._until else hint
        rest = (session.queries.busy,) if session.queries.busy else (answer, idle)
        before, self._lines = self._lines, tuple(text for text in (first, *rest) if text)
        self._quiet = "" if scores else idle
        return self._lines != before

    def panels(self) -> tuple[Panel, ...]:
        """Return the panel with the lines; none if there is nothing to say."""
        rows = tuple(TextRow(text, "quiet" if text == self._quiet else "text") for text in self._lines)
        return (Panel("status", "bottom", rows),) if rows else ()

    def _told_change(self) -> tuple[str, str]:
        """Return the answer and the largest scores before and after what was changed; empty if nothing is."""
        context, sample = self._session.context, self._session.selection.sample
        if self._change[0] is not context or self._change[1] != sample:
            found = self._session.interventions
            words = " · ".join(
                f"{one.name}: {score(one.before)} → {score(one.after)}" for one in found.scores()[:_TOLD]
            )
            self._change = (context, sample, found.told_answer(), words)
        return self._change[2:]
