"""Check the paths that a user names: each refusal of the file system becomes one sentence."""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

_LONGEST = 120
"""Most characters of a path that a sentence quotes."""


class PathKind(Enum):
    """The kind of entry at a path."""

    FILE = "file"
    FOLDER = "folder"
    SPECIAL = "special"
    """A device, a pipe or a socket: reading it may never end."""


def user_path(text: str | Path) -> Path:
    """Convert a name to a path, with a leading ``~`` as the home folder.

    `Path.expanduser` raises if there is no user of that name; here the name is kept unchanged.
    """
    return Path(os.path.expanduser(text))


def kind_of(path: Path, error: type[UserError] = UserError) -> PathKind | None:
    """Return the kind of entry at a path, links followed; `None` if there is none.

    `Path.exists`, `is_file` and `is_dir` raise the system's error if a folder may not be entered or a name is too long,
    and treat a loop of links as missing.

    Parameters
    ----------
    error
        The error class to raise if the path cannot be checked.

    Raises
    ------
    UserError
        If the system refuses the check.
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
        raise error(f"{quoted(path)} is no valid path: it holds a character that no file name can hold.") from None
    if stat.S_ISREG(mode):
        return PathKind.FILE
    return PathKind.FOLDER if stat.S_ISDIR(mode) else PathKind.SPECIAL


def exists(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a path exists; raises like `kind_of`."""
    return kind_of(path, error) is not None


def is_file(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a path is a regular file; raises like `kind_of`."""
    return kind_of(path, error) is PathKind.FILE


def is_folder(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a path is a folder; raises like `kind_of`."""
    return kind_of(path, error) is PathKind.FOLDER


def refuse_special(path: Path, error: type[UserError] = UserError) -> None:
    """Refuse a device, a pipe or a socket, because its size is unknown and reading it may never end.

    Raises
    ------
    UserError
        If the path is one of these, or cannot be checked.
    """
    if kind_of(path, error) is PathKind.SPECIAL:
        raise error(f"{quoted(path)} is a device or a pipe, not a file; save its content to a file first.")


def listed(folder: Path, error: type[UserError] = UserError) -> list[Path]:
    """List the entries of a folder by name; hidden files and folders, whose names begin with a dot, are ignored.

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
    """Return a path for use in a sentence; of a very long path only the beginning and the end."""
    return printable(str(path), _LONGEST)
