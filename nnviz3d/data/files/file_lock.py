"""A lock of the system around the reading and writing of one small file, which several programs change.

The system releases it when its process ends, however that ends. `locks` has the locks of captures, which are held as long
as a training runs and name their process.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nnviz3d.data.files.locks import lock_file
from nnviz3d.data.files.paths import quoted
from nnviz3d.errors import UserError

_PATIENCE = 5.0
"""Most seconds until another program has written: longer than that, it was stopped meanwhile."""
_PAUSE = 0.005
"""Seconds between two attempts."""
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems that have no locks."""


@contextmanager
def locked(path: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock of a file, which need not exist; its folder must. Waits until other programs have released it.

    The lock is that of an empty file beside it, ``.NAME.lock``, which stays: the file itself is another one after each
    writing. In a file system without locks, nothing is held.

    Raises
    ------
    UserError
        If another program holds the lock for longer than `patience` seconds.
    OSError
        If the folder cannot be written to.
    """
    with lock_file(path).open("ab") as opened:
        end = time.monotonic() + patience
        while not _take(opened):
            if time.monotonic() > end:
                raise UserError(f"{quoted(path)} is being written by another program; try again when that has ended.")
            time.sleep(_PAUSE)
        yield


def _take(opened: IO[bytes]) -> bool:
    """Take the lock of an open file until it is closed; returns whether it is free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            opened.seek(0)
            msvcrt.locking(opened.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            return True
        if error.errno not in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}:
            raise
        return False
    return True
