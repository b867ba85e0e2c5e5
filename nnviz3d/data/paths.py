"""Look at the paths that a user names: each refusal of the file system becomes one sentence."""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path

from nnviz3d.data.words import printable
from nnviz3d.errors import UserError

_LONGEST = 120
"""Characters of a path that a sentence quotes."""


class Kind(Enum):
    """The kind of thing that stands at a path."""

    FILE = "file"
    FOLDER = "folder"
    SPECIAL = "special"
    """A device, a pipe or a socket: reading it may never end."""


def user_path(text: str | Path) -> Path:
    """Make a path of a name, with a leading ``~`` as the home folder.

    `Path.expanduser` raises where no user has that name; here the name stays as it is.
    """
    return Path(os.path.expanduser(text))


def kind_of(path: Path, error: type[UserError] = UserError) -> Kind | None:
    """Return the kind of thing that stands at a path, links followed; `None` if nothing does.

    `Path.exists`, `is_file` and `is_dir` raise what the system says where a folder may not be entered or a name is too
    long, and call a loop of links nothing.

    Parameters
    ----------
    error
        The kind of mistake that it is if the path cannot be looked at.

    Raises
    ------
    UserError
        If the system refuses to look.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as refusal:
        raise error(
            f"{quoted(path)} cannot be opened ({refusal.strerror or refusal}); expected a path that you may read."
        ) from None
    except ValueError:
        raise error(f"{quoted(path)} is no path: it holds a character that no file name can hold.") from None
    if stat.S_ISREG(mode):
        return Kind.FILE
    return Kind.FOLDER if stat.S_ISDIR(mode) else Kind.SPECIAL


def exists(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether anything stands at a path; raises as `kind_of`."""
    return kind_of(path, error) is not None


def is_file(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a plain file stands at a path; raises as `kind_of`."""
    return kind_of(path, error) is Kind.FILE


def is_folder(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a folder stands at a path; raises as `kind_of`."""
    return kind_of(path, error) is Kind.FOLDER


def refuse_special(path: Path, error: type[UserError] = UserError) -> None:
    """Refuse a device, a pipe or a socket, of which nobody knows how much there is to read.

    Raises
    ------
    UserError
        If it is one, or cannot be looked at.
    """
    if kind_of(path, error) is Kind.SPECIAL:
        raise error(f"{quoted(path)} is a device or a pipe, not a file; save what it gives in a file first.")


def listed(folder: Path, error: type[UserError] = UserError) -> list[Path]:
    """List what stands in a folder, by name; hidden files and folders, whose names begin with a dot, are passed over.

    Raises
    ------
    UserError
        If the folder may not be read.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as refusal:
        raise error(f"The folder {quoted(folder)} cannot be read: {refusal.strerror or refusal}.") from None
    return [path for path in found if not path.name.startswith(".")]


def quoted(path: Path | str) -> str:
    """Return a path as a sentence quotes it: of a very long one the beginning and the end."""
    return printable(str(path), _LONGEST)
