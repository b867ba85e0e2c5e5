"""Panel of the window with the arithmetic of the pick."""

from __future__ import annotations

from nnviz3d.apps.pick_explanation import explanation_of, explanation_rows
from nnviz3d.apps.session import Session
from nnviz3d.scene.panel_rows import Row
from nnviz3d.scene.primitives import Panel


class Arithmetic:
    """The arithmetic of the session's pick, which a key shows and hides.

    Parameters
    ----------
    session
        The session that the window shows.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shown = False
        self._kept: tuple[tuple[object, ...], tuple[Row, ...]] = ((), ())

    def toggle(self) -> str:
        """Show or hide it; returns a sentence about it."""
        if not self._shown and not self._rows():
            return "Click a cell or a line, then press i"
        self._shown = not self._shown
        return f"arithmetic: {'shown' if self._shown else 'hidden'}"

    def panels(self) -> tuple[Panel, ...]:
        """Return the panel; none while it is hidden or nothing is picked that can be taken apart."""
        rows = self._rows() if self._shown else ()
        return (Panel("arithmetic", "side", rows),) if rows else ()

    def _rows(self) -> tuple[Row, ...]:
        session = self._session
        if session.selection.pick is None or not session.scene.blocks:
            return ()
        context, selection = session.context, session.selection
        key = (context, selection.pick, selection.sample, selection.target)
        if not self._kept[0] or self._kept[0][0] is not context or self._kept[0][1:] != key[1:]:
            found = explanation_of(context, selection)
            self._kept = (key, () if found is None else explanation_rows(found))
        return self._kept[1]
