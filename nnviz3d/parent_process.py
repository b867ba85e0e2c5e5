"""Start of a process, its end by its parent, and its end after its parent has ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any

PARENT = "NNVIZ3D_PARENT"
"""Environment variable that holds the id of the parent with which a process has to end."""
MAIN_THREAD = "NNVIZ3D_MAIN_THREAD"
"""Environment variable that holds the parent's id too if its main thread started the process."""
_PARENT_DEATH_SIGNAL = 1
"""Linux' option of `prctl` for the signal that a process gets when the thread that started it has ended."""
_INTERVAL = 0.5
"""Seconds between two checks."""
_GRACE = 10.0
"""Seconds for the cleanup after the parent has ended."""


def run_module(*words: str) -> list[str]:
    """Return the command line that runs a module with arguments in a process of its own.

    Without ``-P``, Python imports modules from the working folder first, so a downloaded ``numpy.py`` beside a model would
    run.
    """
    return [sys.executable, "-P", "-m", *words]


def end_process(process: subprocess.Popen[Any], grace: float) -> None:
    """Ask a process to end, and wait for it; kill it if it does not end within `grace` seconds."""
    process.terminate()
    if sys.platform != "win32":
        process.send_signal(signal.SIGCONT)  # a stopped process would not receive SIGTERM
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ProcessOutput:
    """The output of a process, in a temporary file. One thread may read the end of it while another thread closes it.

    Attributes
    ----------
    file
        The file into which the process prints.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._one_at_a_time = threading.Lock()

    def last(self, most: int) -> str:
        """Return the end of the output, at most `most` bytes, for an error; empty for nothing, or after `close`."""
        with self._one_at_a_time:
            if self.file.closed:
                return ""
            self.file.seek(0, os.SEEK_END)
            self.file.seek(max(0, self.file.tell() - most))
            tail = self.file.read().decode("utf-8", errors="replace").strip()
        return tail and f"It printed last:\n{tail}"

    def close(self) -> None:
        """Close the file, which removes it."""
        with self._one_at_a_time:
            self.file.close()


def parent_variables() -> dict[str, str]:
    """Return the environment variables of a process that this thread starts and that calls `end_with_parent`."""
    own = str(os.getpid())
    return {PARENT: own, MAIN_THREAD: own if threading.current_thread() is threading.main_thread() else ""}


def end_with_parent(parent: int | None = None) -> None:
    """End this process when its parent has ended: by SIGTERM, and by force if it does not react.

    A thread of this process looks for the parent twice a second, but not while a library draws or computes. Linux itself
    sends the signal at once if the parent's main thread started this process.

    Parameters
    ----------
    parent
        The parent's id; by default the value of the environment variable `PARENT`, if that process is the parent.
    """
    named = os.environ.get(PARENT, "")
    if parent is None and named.isdigit() and os.getppid() == int(named):
        parent = int(named)
    if parent is not None:
        if sys.platform == "linux" and os.environ.get(MAIN_THREAD) == str(parent):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(130)
