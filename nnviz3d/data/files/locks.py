"""Locks for writing: one writer per path at a time, among all processes that can see the folder.

A lock is a file beside the written capture, ``.run.zarr.lock``, that names the process that holds it. Readers need no
lock.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nnviz3d.data.files.process_identity import runs, started
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock.

    Attributes
    ----------
    pid, started
        The process's number, and its start time in the system's form, because a later process may get the same number.
    host
        The machine's name.
    since
        Time at which the process took the lock.
    token
        Distinguishes this lock from all others.
    """

    pid: int
    started: str
    host: str
    since: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @staticmethod
    def of(pid: int) -> Owner:
        """Return the owner for a process of this machine."""
        return Owner(pid, started(pid), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))

    @staticmethod
    def read(file: Path) -> Owner | None:
        """Read a lock; `None` if it is not readable, for example because its process was killed while writing it.

        Raises
        ------
        FileNotFoundError
            If there is no lock.
        """
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            return Owner(int(data["pid"]), *(str(data[name]) for name in ("started", "host", "since", "token")))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def alive(self) -> bool:
        """Whether the process still runs; `True` also for a process of another machine, which cannot be checked."""
        if self.host != socket.gethostname():
            return True
        return runs(self.pid) and self.started == started(self.pid)


class WriterLock:
    """A lock for writing; it is released at the latest when the program ends.

    Parameters
    ----------
    path
        Path of the written capture.
    busy
        Tells whether the holder still writes. If not, another writer of the same process may take the lock over.
    """

    def __init__(self, path: Path, busy: Callable[[], bool] = lambda: True) -> None:
        self.path = path
        self.busy = busy
        self._release: weakref.finalize[[Path, Owner], WriterLock] | None = None

    @property
    def held(self) -> bool:
        """Whether the lock is taken, and was not taken over since."""
        return self._release is not None and self._release.alive

    def take(self) -> None:
        """Take the lock.

        Raises
        ------
        UserError
            If another writer holds it, or no file can be written there.
        """
        with _ONE_AT_A_TIME:
            if self.held:
                return
            check_free(self.path)
            other = _taken.get(_key(self.path))
            if other is not None:
                other.give_back()
            owner = Owner.of(os.getpid())
            try:
                with DelayedSignals():
                    _create(lock_file(self.path), owner)
                    self._release = weakref.finalize(self, _remove, lock_file(self.path), owner)
                    _taken[_key(self.path)] = self
            except FileExistsError:
                check_free(self.path)
                raise UserError(f"{self.path} is just being written by another process; choose another name.") from None
            except OSError as error:
                raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None

    def give_back(self) -> None:
        """Release the lock if it is taken."""
        if self._release is not None:
            self._release()


_ONE_AT_A_TIME = threading.RLock()
_taken: weakref.WeakValueDictionary[str, WriterLock] = weakref.WeakValueDictionary()
"""Locks that this process holds, by path."""


def lock_file(path: Path) -> Path:
    """Return the path of the lock file for a path."""
    return path.absolute().parent / f".{path.name}.lock"


def check_free(path: Path) -> None:
    """Refuse to write a path that another writer has locked.

    Raises
    ------
    UserError
        If the path is locked; the sentence names the process.
    """
    own = _taken.get(_key(path))
    if own is not None and own.held:
        if own.busy():
            raise UserError(
                f"{path} is being written by another recorder of this program; close() that one, or choose another name."
            )
        return
    try:
        owner = Owner.read(lock_file(path))
    except OSError:  # no lock file; an unreadable folder is refused when it is written to
        return
    if owner is not None and owner.alive:
        where = "" if owner.host == socket.gethostname() else f" on {owner.host}"
        raise UserError(
            f"{path} is being written by process {owner.pid}{where} since {owner.since}; wait for its end, or choose "
            f"another name. If that process no longer runs, remove {lock_file(path)}."
        )


def _create(file: Path, owner: Owner) -> None:
    """Write a lock file if there is none, or only a stale one."""
    text = json.dumps(asdict(owner))
    for _ in range(2):
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
                return
        except FileExistsError:
            _remove_stale(file)
    raise FileExistsError(file)


def _remove_stale(file: Path) -> None:
    # The stale file is first moved aside, which only one process can do; if it is a new lock by now, it is put back.
    aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        file.rename(aside)
        owner = Owner.read(aside)
        if owner is not None and owner.alive:
            aside.rename(file)
        else:
            aside.unlink()


def _remove(file: Path, owner: Owner) -> None:
    """Remove a lock file if it still belongs to this owner, and this process is the owner and not its fork."""
    with suppress(OSError), DelayedSignals():
        if owner.pid == os.getpid() and Owner.read(file) == owner:
            file.unlink()


def _key(path: Path) -> str:
    return str(path.absolute().parent.resolve() / path.name)
