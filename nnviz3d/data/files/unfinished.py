"""Unfinished files and folders: hidden names, the move to the destination, and removal of what killed processes left."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from nnviz3d.data.files.process_identity import runs, started
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals

_MADE_BY = re.compile(r"\.([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}\.partial")
"""Ending of a hidden name: the machine, the process and its start time, and a part that makes the name unique."""
_LONGEST = 120
"""Bytes of a file's name that its hidden name repeats; file systems allow 255."""


def partial_path(out: Path) -> Path:
    """Return a new hidden name beside a file or folder that will be written.

    Files that killed processes left behind for the same name are removed.
    """
    out = out.absolute()
    beginning = _beginning(out)
    for entry in _beside(out):
        made_by = _MADE_BY.fullmatch(entry.name, len(beginning)) if entry.name.startswith(beginning) else None
        if made_by is not None and _is_left_behind(*made_by.groups()):
            _remove(entry)
    pid = os.getpid()
    return out.with_name(f"{beginning}.{_host()}-{pid}-{_digest(started(pid))}-{secrets.token_hex(4)}.partial")


def make_temporary_folder() -> Path:
    """Make an empty folder for one session; folders of killed sessions are removed.

    Raises
    ------
    UserError
        If the system refuses to make it.
    """
    try:
        folder = partial_path(Path(tempfile.gettempdir()) / "nnviz3d")
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise UserError(
            f"No temporary folder can be made ({error.strerror or error}); set TMPDIR to a folder with room."
        ) from None
    return folder


def move_to(path: Path, made: Path, aside: Path) -> None:
    """Move a finished file or folder to its destination; an earlier folder there is removed from it only then.

    Parameters
    ----------
    path
        The destination.
    made
        The finished file or folder, on the same file system.
    aside
        A free name for the earlier folder, which the caller removes.

    Raises
    ------
    OSError
        If the system refuses to; an earlier file or folder is then still at its place.
    """
    if not made.is_dir():
        made.replace(path)
        return
    # A folder cannot be replaced in one operation.
    try:
        if path.exists():
            path.replace(aside)
        made.replace(path)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.replace(path)
        raise


def discard(folder: Path) -> None:
    """Remove a hidden folder; a signal meanwhile waits."""
    with DelayedSignals():
        shutil.rmtree(folder, ignore_errors=True)


def is_unfinished(name: str) -> bool:
    """Whether a path lies in a folder of `make_temporary_folder`, or in another one with such a hidden name."""
    return any(_MADE_BY.search(part) is not None for part in Path(name).parts)


def _beginning(out: Path) -> str:
    if len(os.fsencode(out.name)) <= _LONGEST:
        return f".{out.name}"
    return f".{_digest(os.fsencode(out.name).hex())}"


def _beside(out: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(out.parent) as entries:  # opening the file reports the problem
        return list(entries)
    return []


def _is_left_behind(host: str, pid: str, start: str) -> bool:
    if host != _host():
        return False
    now = started(int(pid))
    return not runs(int(pid)) or (bool(now) and _digest(now) != start)


def _remove(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _host() -> str:
    return _digest(socket.gethostname())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
