"""The window's bookmarks: views that the user keeps while the window is open, and comes back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnviz3d.apps.breadcrumbs import breadcrumbs
from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.view_text import ViewState

_MOST = 50
"""Most bookmarks."""


@dataclass(frozen=True)
class Bookmark:
    """A kept view.

    Attributes
    ----------
    name
        What it shows, in words.
    pose
        The camera; `None` if the user had not moved it.
    """

    name: str
    view: ViewState
    pose: CameraPose | None


class Bookmarks:
    """Keeps views, and shows them again.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.
    pose
        Returns the camera's pose; `None` if the user has not moved it.
    enter
        Moves the camera to a pose, or home with `None`, after the session has shown another view.
    """

    def __init__(
        self,
        session: Session,
        tell: Callable[[str], None],
        pose: Callable[[], CameraPose | None],
        enter: Callable[[CameraPose | None], None],
    ) -> None:
        self._session = session
        self._tell = tell
        self._pose = pose
        self._enter = enter
        self._kept: list[Bookmark] = []
        self._last = -1

    def keep_bookmark(self) -> None:
        """Keep the view, or remove its bookmark if it has one."""
        here = Bookmark(self._name(), view_of(self._session), self._pose())
        known = next((one for one in self._kept if (one.view, one.pose) == (here.view, here.pose)), None)
        if known is not None:
            self._kept.remove(known)
            self._last = min(self._last, len(self._kept) - 1)
            self._tell(f"removed the bookmark: {known.name}")
        elif len(self._kept) >= _MOST:
            self._tell(f"{_MOST} bookmarks are kept; go to one with V, then remove it with v")
        else:
            self._kept.append(here)
            self._last = len(self._kept) - 1
            self._tell(f"bookmark {len(self._kept)}: {here.name} · V: next bookmark")

    def next_bookmark(self) -> None:
        """Show the next bookmark."""
        if not self._kept:
            self._tell("There is no bookmark; v keeps this view as one")
            return
        self._last = (self._last + 1) % len(self._kept)
        found = self._kept[self._last]
        try:
            show_view(self._session, found.view)
        except UserError as error:
            self._tell(f"The bookmark does not fit: {str(error).removeprefix('look.')}")
            return
        self._enter(found.pose)
        self._tell(f"bookmark {self._last + 1} of {len(self._kept)}: {found.name}")

    def _name(self) -> str:
        """Return the perspective, and the path to what is chosen."""
        session = self._session
        perspective = next(one for one in session.perspectives.all if one.name == session.perspectives.current)
        sample = session.samples[session.samples.chosen].name
        return " · ".join([perspective.title, sample, *(crumb.words for crumb in breadcrumbs(session)[1:])])
