"""Bookmarks of a user in one file: names and views, each for all captures of one network."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from nnviz3d.apps.session import Session
from nnviz3d.apps.whole_files import whole_file
from nnviz3d.data.files.file_lock import locked
from nnviz3d.data.files.paths import quoted
from nnviz3d.errors import UserError

_LARGEST = 8 * 2**20
"""Most bytes of the file."""


def identity(session: Session) -> str:
    """Return a text that is the same for all captures of one network: bookmarks of another one are not offered."""
    graph = session.scene.capture.graph
    text = "\n".join([graph.own_name or graph.name, *(node.id for node in graph)])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def state_file() -> Path:
    """Return the file of the user's bookmarks, below ``XDG_STATE_HOME`` or ``~/.local/state``."""
    folder = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not folder.is_absolute():  # such a value is ignored, as the XDG Base Directory Specification says
        folder = Path(os.path.expanduser("~")) / ".local" / "state"
    return folder / "nnviz3d" / "bookmarks.json"


class BookmarkShelf:
    """The bookmarks of one network in the file.

    Parameters
    ----------
    of
        The network's `identity`.
    path
        The file.
    """

    def __init__(self, of: str, path: Path) -> None:
        self._of = of
        self._path = path

    def read(self) -> list[tuple[str, str]]:
        """Return name and view of the network's bookmarks, in the order in which they were made.

        Raises
        ------
        UserError
            If there is a file that cannot be read, or that something else has written.
        """
        return [(name, view) for name, view, of in self._all() if of == self._of]

    def put(self, view: str, name: str | None) -> None:
        """Write the bookmark of a view, or remove it if it has no name any more. Those of other windows stay.

        Raises
        ------
        UserError
            If the file cannot be read or written; then it stays as it is.
        """
        self._check_folder()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._path):
                content = self._content_with(view, name)
                with whole_file(self._path) as file:
                    file.write(content)
        except OSError as error:
            raise UserError(f"{quoted(self._path)} cannot be written: {error.strerror or error}.") from None

    def _content_with(self, view: str, name: str | None) -> bytes:
        """Return the file's next content, with or without the bookmark of a view."""
        kept = [one for one in self._all() if one[1:] != (view, self._of)]
        kept += [] if name is None else [(name, view, self._of)]
        text = json.dumps([dict(zip(("name", "view", "of"), one, strict=True)) for one in kept], indent=1)
        if len(text) > _LARGEST:
            raise UserError(f"{quoted(self._path)} is full; remove bookmarks of this or other networks.")
        return text.encode()

    def _check_folder(self) -> None:
        if not self._path.is_absolute():
            raise UserError("There is no home folder for bookmarks; set XDG_STATE_HOME to a folder.")

    def _all(self) -> list[tuple[str, str, str]]:
        """Return name, view and network of all bookmarks."""
        self._check_folder()
        try:
            with self._path.open("rb") as file:
                text = file.read(_LARGEST)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"{quoted(self._path)} cannot be read: {error.strerror or error}.") from None
        try:
            return [(str(one["name"]), str(one["view"]), str(one["of"])) for one in json.loads(text)]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(f"{quoted(self._path)} holds something else than bookmarks; move it away.") from None
