"""The command line in a process of its own, started from Python, and what this process has to do for it meanwhile."""

from __future__ import annotations

import atexit
import codecs
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent_process import PARENT
from nnviz3d.viewer_process.stderr_filter import Speech

_PATIENCE = 20.0
"""Seconds that a viewer gets to close in."""
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)
"""How a process ends that was asked to: in good order, or before it listened."""


class Child:
    """The command line in a process of its own. What it says on standard error is passed on, but for its last sentence."""

    def __init__(self, verb: str, arguments: Sequence[str], *, listen: bool = False) -> None:
        environment = {**os.environ, PARENT: str(os.getpid())}
        if sys.stderr is not None and sys.stderr.isatty():
            # Its progress bars go through this process to the same terminal.
            environment |= {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d", verb, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if listen else None,
            stderr=subprocess.PIPE,
            env=environment,
            process_group=0,  # a Ctrl-C is for this process, which goes on or ends that one, as its user sees fit
        )
        self._ended = False
        self._speech = Speech()
        self._reader = threading.Thread(target=self._pass_on, name="nnviz3d viewer's words", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def first_line(self) -> str:
        """Wait for the first line on its standard output; empty if there is none."""
        return "" if self._process.stdout is None else self._process.stdout.readline().decode().strip()

    def wait(self, *, stoppable: bool = False) -> None:
        """Wait for its end, and raise what it ended of.

        Parameters
        ----------
        stoppable
            Whether it is an ordinary end if it was asked to close: by Ctrl-C, SIGTERM or `end`.
        """
        code = self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        sentence = self._speech.sentence.strip().removeprefix("nnviz3d: ")
        stopped = self._ended or code in _STOPPED
        if code == 2:
            raise UserError(sentence)
        if stopped and not stoppable:
            raise Nnviz3dError("The viewer was interrupted before it was done; start it again.")
        if code != 0 and not stopped:
            raise Nnviz3dError(
                sentence or f"The viewer died ({f'exit code {code}' if code > 0 else f'signal {-code}'})."
            )
        say(self._speech.sentence)

    def end(self) -> None:
        """Ask it to close, and see that it does."""
        if self.running:
            self._ended = True
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _pass_on(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            raise RuntimeError("The viewer has no pipe.")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # what is read may end within a letter
        with pipe:
            while said := os.read(pipe.fileno(), 4096):
                say(self._speech.hear(decoder.decode(said)))
        say(self._speech.end())


def say(words: str) -> None:
    """Write to standard error, if there is one."""
    if words and sys.stderr is not None:
        sys.stderr.write(words)
        sys.stderr.flush()


class Viewer:
    """A window or a server that was opened from Python. It closes with this program, or with `close`, or as a context.

    Parameters
    ----------
    child
        Its process.
    url
        The address of a server, with the secret that it takes; empty for a window.
    close
        Is called once it is closed, whoever closed it.
    awaited
        Whether `wait` is called next, and raises what it could not go on for. As long as nobody waits, that is printed.

    Attributes
    ----------
    url
        As above.
    """

    def __init__(self, child: Child, url: str, close: Callable[[], None], *, awaited: bool = False) -> None:
        self._child = child
        self._close = close
        self.url = url
        self._problem: Nnviz3dError | None = None
        self._awaited = awaited
        atexit.register(self.close)
        self._watch = threading.Thread(target=self._close_with_child, name="nnviz3d viewer's end", daemon=True)
        self._watch.start()

    @property
    def running(self) -> bool:
        """Whether it is still open."""
        return self._child.running

    def wait(self) -> None:
        """Wait until it is closed; Ctrl-C closes it.

        Raises
        ------
        UserError
            If it could not go on.
        """
        self._awaited = True
        try:
            self._watch.join()
        except KeyboardInterrupt:
            self.close()
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """Close it."""
        atexit.unregister(self.close)
        self._child.end()
        self._watch.join()

    def _close_with_child(self) -> None:
        try:
            self._child.wait(stoppable=True)
        except Nnviz3dError as error:
            self._problem = error
            if not self._awaited:
                say(f"nnviz3d: {error}\n")
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = (self.url or "a window") if self.running else "closed"
        return f"<nnviz3d viewer: {state}>"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank">{self.url}</a>' if self.url and self.running else repr(self)
