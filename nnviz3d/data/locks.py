"""The right to write under one name: one holder at a time, in this process and in all others that see the folder.

It is a file beside what is written, ``.run.zarr.lock``, and says which process has it. What is only read needs none.
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

from nnviz3d.data.owner import runs, started
from nnviz3d.errors import UserError


@dataclass(frozen=True)
class Owner:
    """The process that has a lock.

    Attributes
    ----------
    pid, started
        The process, and when it was started, in words of its system: a later process may have the same number.
    host
        The machine's name.
    since
        When it took the lock.
    token
        Tells this lock from all others.
    """

    pid: int
    started: str
    host: str
    since: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @staticmethod
    def of(pid: int) -> Owner:
        """Describe a process of this machine."""
        return Owner(pid, started(pid), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))

    @staticmethod
    def read(file: Path) -> Owner | None:
        """Read a lock; `None` if it says nothing, as one does whose process was killed while it wrote it.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            return Owner(int(told["pid"]), *(str(told[name]) for name in ("started", "host", "since", "token")))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def alive(self) -> bool:
        """Whether the process still runs, or may: of another machine nothing is known."""
        if self.host != socket.gethostname():
            return True
        return runs(self.pid) and self.started == started(self.pid)


class WriterLock:
    """A lock, once it is taken; released by the program's end at the latest.

    Parameters
    ----------
    path
        What is written.
    busy
        Whether its holder is still at work. Another one of the same process may take it over if not.
    """

    def __init__(self, path: Path, busy: Callable[[], bool] = lambda: True) -> None:
        self.path = path
        self.busy = busy
        self._release: weakref.finalize[[Path, Owner], WriterLock] | None = None

    @property
    def held(self) -> bool:
        """Whether it is taken, and was not taken over since."""
        return self._release is not None and self._release.alive

    def take(self) -> None:
        """Take it.

        Raises
        ------
        UserError
            If another one has it, or no file can be written there.
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
                _create(lock_file(self.path), owner)
            except FileExistsError:
                check_free(self.path)
                raise UserError(f"{self.path} is just being written by another process; choose another name.") from None
            except OSError as error:
                raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None
            self._release = weakref.finalize(self, _remove, lock_file(self.path), owner)
            _taken[_key(self.path)] = self

    def give_back(self) -> None:
        """Release it, if it is taken."""
        if self._release is not None:
            self._release()


_ONE_AT_A_TIME = threading.RLock()
_taken: weakref.WeakValueDictionary[str, WriterLock] = weakref.WeakValueDictionary()
"""What this process has taken, by path."""


def lock_file(path: Path) -> Path:
    """Say where the lock of a path is."""
    return path.absolute().parent / f".{path.name}.lock"


def check_free(path: Path) -> None:
    """Refuse to write where somebody is writing.

    Raises
    ------
    UserError
        If so; it names the process.
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
    except OSError:  # none, or a folder that says so when something is written there
        return
    if owner is not None and owner.alive:
        where = "" if owner.host == socket.gethostname() else f" on {owner.host}"
        raise UserError(
            f"{path} is being written by process {owner.pid}{where} since {owner.since}; wait for its end, or choose "
            f"another name. If that process runs no more, remove {lock_file(path)}."
        )


def _create(file: Path, owner: Owner) -> None:
    """Write a lock file where there is none, or a stale one."""
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
    # It is first moved aside, which only one process can do; were it another one's new lock by now, it is put back.
    aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        file.rename(aside)
        owner = Owner.read(aside)
        if owner is not None and owner.alive:
            aside.rename(file)
        else:
            aside.unlink()


def _remove(file: Path, owner: Owner) -> None:
    """Remove a lock file if it is still this owner's, and this is its process and no fork of it."""
    with suppress(OSError):
        if owner.pid == os.getpid() and Owner.read(file) == owner:
            file.unlink()


def _key(path: Path) -> str:
    return str(path.absolute().parent.resolve() / path.name)
