"""The command line in a process of its own, started from Python, and what this process has to do for it meanwhile."""

from __future__ import annotations

import atexit
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
from nnviz3d.parent import PARENT

_PATIENCE = 20.0
"""Seconds that a viewer gets to close in."""


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
        )
        self._sentence = b""
        self._reader = threading.Thread(target=self._pass_on, name="nnviz3d viewer's words", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def first_line(self) -> str:
        """Wait for the first line on its standard output; empty if there is none."""
        return "" if self._process.stdout is None else self._process.stdout.readline().decode().strip()

    def wait(self) -> None:
        """Wait for its end, and raise what it ended of."""
        code = self._process.wait()
        self._reader.join()
        sentence = self._sentence.decode(errors="replace").strip().removeprefix("nnviz3d: ")
        if code == 2:
            raise UserError(sentence)
        if code not in (0, 130, 128 + signal.SIGTERM):
            raise Nnviz3dError(
                sentence or f"The viewer died ({f'exit code {code}' if code > 0 else f'signal {-code}'})."
            )

    def end(self) -> None:
        """Ask it to close, and see that it does."""
        if self.running:
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
        with pipe:
            while said := os.read(pipe.fileno(), 4096):
                if self._sentence or said.startswith(b"nnviz3d: "):
                    self._sentence += said
                elif sys.stderr is not None:
                    sys.stderr.write(said.decode(errors="replace"))
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

    Attributes
    ----------
    url
        As above.
    """

    def __init__(self, child: Child, url: str, close: Callable[[], None]) -> None:
        self._child = child
        self._close = close
        self.url = url
        self._problem: Nnviz3dError | None = None
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
            self._child.wait()
        except Nnviz3dError as error:
            self._problem = error
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
