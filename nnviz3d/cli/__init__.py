"""The command line."""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

from cyclopts import CycloptsError

from nnviz3d.cli.commands import app
from nnviz3d.data.printable import printable_lines, sentence
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent_process import end_with_parent
from nnviz3d.stopping import Interrupted, end_in_order, ignore

_ZARR_ENDS = 30.0
"""Most seconds until Zarr's thread ends; on a busy machine it may take some."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The system's error codes for writing without free space."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with exit code 0, 2 (a user's mistake, one sentence on stderr) or 1 (a bug).

    After Ctrl-C the exit code is 130, after SIGTERM 143; running work cleans up first.
    """
    end_in_order()
    if sys.stdout is None:  # the shell closes it after `>&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open until the end
    end_with_parent()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold bytes that are not text
    try:
        _run_command(arguments)
    except KeyboardInterrupt as error:
        sys.exit(error.code if isinstance(error, Interrupted) else 130)
    finally:
        ignore()
        # Not here: a program that calls this function may go on using Zarr. Zarr's own handler runs after this one.
        atexit.register(_end_zarr_thread)


def _run_command(arguments: list[str] | None) -> None:
    try:
        try:
            app(arguments, exit_on_error=False, print_error=False)
        finally:
            sys.stdout.flush()  # here, and not at Python's end, so that a closed pipe is not reported as a bug
    except CycloptsError as error:
        _fail(f"{error} See nnviz3d --help.", 2)
    except UserError as error:
        _fail(str(error), 2)
    except Nnviz3dError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        _drop_output()  # the reader, such as `head`, has closed the pipe
        sys.exit(0)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        _fail(f"The output cannot be written: {error.strerror}.", 2)


def _end_zarr_thread() -> None:
    """End the thread of Zarr, which waits for it 0.2 s only at Python's end and then prints a traceback."""
    sync = sys.modules.get("zarr.core.sync")
    if sync is not None and sync.loop[0] is not None:
        sync.loop[0].call_soon_threadsafe(sync.loop[0].stop)
        sync.iothread[0].join(_ZARR_ENDS)


def _drop_output() -> None:
    """Discard the rest of the output, because Python flushes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    # Names from models and files may hold control characters. The traceback of a bug keeps all its lines.
    text = sentence(message) if code == 2 else printable_lines(message)
    with suppress(OSError):  # a full device
        print(f"nnviz3d: {text}", file=sys.stderr)
    sys.exit(code)
