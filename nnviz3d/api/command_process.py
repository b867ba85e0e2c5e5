"""A command of the command line in a process of its own, started from Python."""

from __future__ import annotations

import codecs
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from nnviz3d.api.embedded import in_notebook
from nnviz3d.api.stderr_filter import StderrFilter
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent_process import PARENT, end_process, run_module
from nnviz3d.stopping import DelayedSignals

_PATIENCE = 20.0
"""Seconds that the process has to close after SIGTERM; then it is killed."""
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)
"""Exit codes of a process that a signal ended, after its cleanup or before its signal handlers were installed."""


class CommandProcess:
    """A running command. This process passes its standard error on, except for the final error message.

    Parameters
    ----------
    command
        ``serve``, ``show``, ``record``, ``snapshot`` or ``export``.
    arguments
        Its arguments.
    listen
        Whether to capture its standard output, for `first_line`.
    """

    def __init__(self, command: str, arguments: Sequence[str], *, listen: bool = False) -> None:
        environment = {**os.environ, PARENT: str(os.getpid())}
        if "--custom" in arguments:
            # The process imports the user's modules from where this program does.
            environment["PYTHONPATH"] = os.pathsep.join(one or os.getcwd() for one in sys.path)
        if in_notebook():
            # Its kernel asks every program for colours, but its page keeps progress bars, which a terminal removes.
            environment.pop("FORCE_COLOR", None)
        elif sys.stderr is not None and sys.stderr.isatty():
            # Its progress bars reach the same terminal through this process.
            environment |= {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        self._ended = False
        self._filter = StderrFilter()
        self._reader = threading.Thread(target=self._pass_on, name="nnviz3d viewer's stderr", daemon=True)
        try:
            with DelayedSignals():
                self._process = subprocess.Popen(
                    run_module("nnviz3d", command, *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if listen else None,
                    stderr=subprocess.PIPE,
                    env=environment,
                    process_group=0,  # Ctrl-C reaches this process only, which decides whether the command ends
                )
                self._reader.start()
        except KeyboardInterrupt:
            self.end()
            raise

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def first_line(self) -> str:
        """Wait for the first line of its standard output and return it; empty if the process ends without one."""
        return "" if self._process.stdout is None else self._process.stdout.readline().decode().strip()

    def wait(self, *, stoppable: bool = False) -> None:
        """Wait for the end of the process.

        Parameters
        ----------
        stoppable
            Whether an end by Ctrl-C, SIGTERM or `end` counts as success.

        Raises
        ------
        UserError
            If the command ended because of a user's mistake.
        Nnviz3dError
            If it failed otherwise, or was interrupted although it is not stoppable.
        """
        code = self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        message = self._filter.message.strip().removeprefix("nnviz3d: ")
        stopped = self._ended or code in _STOPPED
        if code == 2:
            raise UserError(message)
        if stopped and not stoppable:
            raise Nnviz3dError("The viewer was interrupted before it was done; start it again.")
        if code != 0 and not stopped:
            raise Nnviz3dError(
                message or f"The viewer died ({f'exit code {code}' if code > 0 else f'signal {-code}'})."
            )
        print_error(self._filter.message)

    def end(self) -> None:
        """Ask the process to close; kill it if it does not."""
        if self.running:
            self._ended = True
            end_process(self._process, _PATIENCE)

    def _pass_on(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            raise RuntimeError("The process has no pipe for its standard error.")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a character
        with pipe:
            while output := os.read(pipe.fileno(), 4096):
                tell_remark(self._filter.feed(decoder.decode(output)))
        tell_remark(self._filter.end())


def tell_remark(text: str) -> None:
    """Pass on progress and remarks. A notebook shows standard error in red, as if something were wrong."""
    if in_notebook():
        sys.stdout.write(text)
    else:
        print_error(text)


def print_error(text: str) -> None:
    """Write to standard error, if there is one."""
    if text and sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()
