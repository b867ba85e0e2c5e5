"""The window's bookmarks: views that the user keeps in a file, and comes back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnviz3d.apps.bookmark_shelf import BookmarkShelf, identity, state_file
from nnviz3d.apps.breadcrumbs import breadcrumbs
from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.data.printable import printable
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import PoseSpec
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view

_MOST = 50
"""Most bookmarks of one network."""


@dataclass(frozen=True)
class Bookmark:
    """A kept view.

    Attributes
    ----------
    name
        What it shows, in words.
    text
        The view with its camera, as the file has it.
    view, pose
        The view and its camera as they were, or as the text says them; no pose if the user had not moved the camera.
    """

    name: str
    text: str
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
        self._kept: list[Bookmark] | None = None
        self._problem = ""
        self._last = -1
        self._unfit: tuple[str, Bookmark] | None = None
        self._shelf = BookmarkShelf(identity(session), state_file())

    def keep_bookmark(self) -> None:
        """Keep the view, or remove its bookmark if it has one."""
        kept, here = self._all(), self._here()
        # A pose of the file is rounded, and may round to another text.
        same = ((one.text == here.text or (one.view, one.pose) == (here.view, here.pose), one) for one in kept)
        known = next((one for is_here, one in same if is_here), None)
        if self._unfit is not None and self._unfit[0] == here.text:
            known = self._unfit[1]  # the view may have a bookmark itself, but the user was told of the other one
        self._unfit = None
        if known is not None:
            kept.remove(known)
            self._last = min(self._last, len(kept) - 1)
            self._put(known, None)
            self._say(f"removed the bookmark: {known.name}")
        elif len(kept) >= _MOST:
            self._say(f"{_MOST} bookmarks are kept; go to one with V, then remove it with v")
        else:
            kept.append(here)
            self._last = len(kept) - 1
            self._put(here, here.name)
            self._say(f"bookmark {len(kept)}: {here.name} · V: next bookmark")

    def next_bookmark(self) -> None:
        """Show the next bookmark."""
        kept = self._all()
        if not kept:
            self._say("There is no bookmark; v keeps this view as one")
            return
        self._last = (self._last + 1) % len(kept)
        found, self._unfit = kept[self._last], None
        try:
            show_view(self._session, found.view)
        except UserError as error:
            self._unfit = self._here().text, found
            reason = str(error).removeprefix("look.")
            self._say(f"bookmark {self._last + 1} of {len(kept)} does not fit, and v removes it: {reason}")
            return
        self._enter(found.pose)
        self._say(f"bookmark {self._last + 1} of {len(kept)}: {found.name}")

    def _all(self) -> list[Bookmark]:
        """Return the bookmarks of this network; those of the file are read once."""
        if self._kept is None:
            self._kept = []
            try:
                for name, view in self._shelf.read():
                    self._kept.append(self._read(name, view))
            except UserError as error:
                self._problem = f" · {error}"
        return self._kept

    def _read(self, name: str, text: str) -> Bookmark:
        try:
            view = decode_view(text)
        except SceneError:
            raise SceneError("Another version of nnviz3d has kept further bookmarks.") from None
        width, height = self._session.renderer.size
        pose = None if view.pose is None else view.pose.pose(width / height)
        return Bookmark(printable(name), text, view.model_copy(update={"pose": None}), pose)

    def _here(self) -> Bookmark:
        width, height = self._session.renderer.size
        view, pose = view_of(self._session), self._pose()
        spec = None if pose is None else PoseSpec.of(pose, width / height)
        return Bookmark(self._name(), encode_view(view.model_copy(update={"pose": spec})), view, pose)

    def _put(self, found: Bookmark, name: str | None) -> None:
        """Change the file; if that fails, the sentence on the bookmark ends with the reason."""
        try:
            self._shelf.put(found.text, name)
        except UserError as error:
            self._problem = f" · only until the window closes: {error}"

    def _say(self, text: str) -> None:
        """Tell a sentence, with what the file has refused since the last one."""
        problem, self._problem = self._problem, ""
        self._tell(text + problem)

    def _name(self) -> str:
        """Return the perspective, and the path to what is chosen."""
        session = self._session
        perspective = next(one for one in session.perspectives.all if one.name == session.perspectives.current)
        sample = session.samples[session.samples.chosen].name
        return " · ".join([perspective.title, sample, *(crumb.words for crumb in breadcrumbs(session)[1:])])
