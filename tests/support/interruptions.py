"""Ctrl-C at each call of the system that a piece of work makes, one after another."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from nnviz3d.stopping import end_in_order
from tests.support.processes import descendants

SLOW = frozenset(
    {
        *(
            "mkdir",
            "open",
            "FileIO",
            "rename",
            "replace",
            "unlink",
            "rmdir",
            "remove",
            "scandir",
            "close",
            "stat",
            "lstat",
        ),
        *("fork_exec", "waitpid", "kill", "pipe", "start_new_thread", "connect", "shutdown", "read"),
    }
)
"""C functions that wait for the system: Python handles a signal that arrives meanwhile when they return."""
_PATIENCE = 200
"""Tenths of a second that what was told to end may take."""
_WAITS = frozenset({"wait", "join", "_wait_for_tstate_lock"})
"""Functions in which a thread waits for another one; elsewhere locks are free."""


class _Interrupter:
    """Sends SIGINT to this process when a given one of the slow functions returns."""

    def __init__(self, at: float) -> None:
        self._at = at
        self.count = 0
        self.sent = False
        self.where = ""

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_return" or self.sent:
            return
        name = getattr(called, "__name__", "")
        if name not in SLOW and not (name == "acquire" and frame.f_code.co_name in _WAITS):
            return
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return
        self.count += 1
        if self.count > self._at:
            self.sent = True
            names, one = [], frame
            while one is not None and len(names) < 8:
                names.append(f"{Path(one.f_code.co_filename).stem}.{one.f_code.co_name}:{one.f_lineno}")
                one = one.f_back  # type: ignore[assignment]
            self.where = f"{called.__name__} in {' < '.join(names)}"
            signal.raise_signal(signal.SIGINT)


def _still_running(processes: set[int], threads: set[threading.Thread]) -> list[str]:
    """Return the child processes and threads, other than these, that do not end within seconds."""
    found: list[str] = []
    for _ in range(_PATIENCE):
        found = [f"process {one}" for one in descendants(os.getpid()) if one not in processes]
        found += [thread.name for thread in threading.enumerate() if thread not in threads]
        if not found:
            break
        time.sleep(0.1)
    return found


def left_by_interruptions(
    work: Callable[[Path], object], folder: Path, *, keeps: frozenset[str] = frozenset(), most: int = 60
) -> list[str]:
    """Interrupt some work at each moment at which it waits for the system; returns what it leaves behind.

    Parameters
    ----------
    work
        The work, as in a command, with an empty folder for its files. It is done once without a signal before.
    folder
        An empty folder.
    keeps
        Names of files that are complete, and may stay.
    most
        Most interruptions; if there are more moments, they are spread over these.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, unraisable = sys.excepthook, sys.unraisablehook
    # Other tests may have left a process for those after them, such as the one that `command_line` forks.
    processes, threads, problems = set(descendants(os.getpid())), set(threading.enumerate()), []
    moments: list[float] = [math.inf]
    try:
        for number, moment in enumerate(moments):
            own = folder / str(number)
            own.mkdir()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            end_in_order()
            interrupter = _Interrupter(moment)
            sys.setprofile(interrupter)
            try:
                work(own)
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)
            if moment == math.inf:
                moments += sorted({i * interrupter.count // most for i in range(most)})
            files = sorted(path.relative_to(own).as_posix() for path in own.rglob("*"))
            left = [name for name in files if name.split("/")[0] not in keeps]
            left += _still_running(processes, threads)
            if left:
                problems.append(f"{interrupter.where} leaves {left}")
            for one in set(descendants(os.getpid())) - processes:
                os.kill(one, signal.SIGKILL)
            shutil.rmtree(own)
        return problems
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.excepthook, sys.unraisablehook = hook, unraisable
