"""Handle of a window or a page that was opened from Python."""

from __future__ import annotations

import atexit
import html
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal, Self

from nnviz3d.api.command_process import CommandProcess, print_error
from nnviz3d.api.embedded import frame
from nnviz3d.errors import Nnviz3dError
from nnviz3d.stopping import DelayedSignals


def _nothing() -> None:
    """Do nothing."""


class Viewer:
    """A window, or a page in the browser, in a process of its own.

    It closes with this program, with `close`, or at the end of a ``with`` block.

    Parameters
    ----------
    command
        ``serve`` for a page, ``show`` for a window.
    arguments
        Arguments of the command.
    on_close
        Called once, after the viewer has closed.
    in_background
        Whether the viewer accompanies other work of this program, such as a training: its address is printed when the
        page answers, and its errors are printed and never raised.

    Attributes
    ----------
    url
        Address of the page, with the secret that it requires; empty for a window, and until the page answers.
    """

    def __init__(
        self,
        command: Literal["serve", "show"],
        arguments: Sequence[str],
        *,
        on_close: Callable[[], None] = _nothing,
        in_background: bool = False,
    ) -> None:
        self._command = command
        self._arguments = tuple(arguments)
        self._on_close = on_close
        self._in_background = in_background
        self._process: CommandProcess | None = None
        self._thread: threading.Thread | None = None
        self._answered = threading.Event()
        self._closed = False
        self._raises = False
        self._problem: Nnviz3dError | None = None
        self.url = ""
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        """Whether the viewer was started and is open."""
        return self._process is not None and self._process.running

    @property
    def closed(self) -> bool:
        """Whether the viewer was closed, by the user or by this program; false before its start."""
        return self._closed or (self._process is not None and not self._process.running)

    def open(self, *, block: bool) -> None:
        """Start the viewer, and wait until its page answers.

        Parameters
        ----------
        block
            Whether to print the address and wait until the viewer is closed.

        Raises
        ------
        UserError
            If the viewer cannot show what it was given. If this is not known before a window appears, and nobody waits,
            the message is printed.
        """
        self._raises = block
        try:
            self.start()
            self._wait_for_answer()
            if self._command == "serve" and not self.url:
                self.wait()
            if block:
                if self.url:
                    print(self.url, flush=True)
                self.wait()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start the viewer's process; without effect if it was started or closed before."""
        if self._process is not None or self._closed:
            return
        try:
            self._process = CommandProcess(self._command, self._arguments, listen=self._command == "serve")
        except OSError as error:
            self.close()
            if not self._in_background:
                raise
            print_error(f"nnviz3d: The viewer cannot be started: {error.strerror or error}.\n")
            return
        thread = threading.Thread(target=self._attend, args=(self._process,), name="nnviz3d viewer", daemon=True)
        with DelayedSignals():
            thread.start()
            self._thread = thread

    def wait(self) -> None:
        """Wait until the viewer is closed; Ctrl-C closes it. Without effect before its start.

        Raises
        ------
        UserError
            If the viewer failed. A viewer in the background prints its error instead.
        """
        self._raises = not self._in_background
        if self._thread is not None:
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self.close()
        if self._problem is not None and self._raises:
            raise self._problem

    def close(self) -> None:
        """Close the viewer; it cannot be started afterwards."""
        atexit.unregister(self.close)
        already, self._closed = self._closed, True
        if self._process is not None:
            self._process.end()
        if self._thread is not None:
            self._thread.join()
        elif not already:
            self._on_close()

    def _wait_for_answer(self) -> None:
        self._answered.wait()

    def _attend(self, process: CommandProcess) -> None:
        """Follow the process from its start to its end, in a thread of its own."""
        self.url = process.first_line()
        self._answered.set()
        if self.url and self._in_background and sys.stdout is not None:
            # A progress bar may stand in the terminal's line.
            print(f"\n{self.url}" if sys.stdout.isatty() else self.url, flush=True)
        opened = self._command == "show" or bool(self.url)
        try:
            process.wait(stoppable=opened or self._closed)
        except Nnviz3dError as error:
            self._problem = error
            is_raised = not self._in_background and (self._raises or not opened)
            if not is_raised:
                print_error(f"nnviz3d: {error}\n")
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        address = self.url or ("a window" if self._command == "show" else "no address yet")
        return f"<nnviz3d viewer: {'closed' if self.closed else address}>"

    def _repr_html_(self) -> str:
        """Return the page in a frame, and its address; in a notebook."""
        if not self.url or not self.running:
            return html.escape(repr(self))
        address = html.escape(self.url, quote=True)
        page = frame(f'src="{address}"')
        return f'{page}<a href="{address}" target="_blank">{address}</a>'
