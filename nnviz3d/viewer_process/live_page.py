"""A page on a capture that this program is still writing: opened while the program goes on, closed with it."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Sequence

from nnviz3d.errors import Nnviz3dError
from nnviz3d.viewer_process.viewer import Child, say


class Watching:
    """A server in a process of its own, for which this program never waits unless it wants to.

    Parameters
    ----------
    arguments
        Of ``nnviz3d serve``.

    Attributes
    ----------
    url
        The address, with the secret that it takes; empty until it answers.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self._child: Child | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self.url = ""

    def begin(self) -> None:
        """Start it, once; its address is printed when it answers. What goes wrong is said and costs nothing else."""
        if self._child is not None or self._closed:
            return
        try:
            self._child = Child("serve", self._arguments, listen=True)
        except OSError as error:
            self._closed = True
            say(f"nnviz3d: The viewer cannot be started: {error.strerror or error}.\n")
            return
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._attend, args=(self._child,), name="nnviz3d viewer", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it was started and is still open."""
        return self._child is not None and self._child.running

    @property
    def closed(self) -> bool:
        """Whether it was closed, by whomever, or will never be opened."""
        return self._closed or (self._child is not None and not self._child.running)

    def wait(self) -> None:
        """Wait until it is closed, as at the end of a program that people go on to look at; Ctrl-C closes it."""
        if self._thread is not None:
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self.close()

    def close(self) -> None:
        """Close it, or see that it is never opened."""
        self._closed = True
        if self._child is not None and self._thread is not None:
            atexit.unregister(self.close)
            self._child.end()
            self._thread.join()

    def _attend(self, child: Child) -> None:
        self.url = child.first_line()
        if self.url and sys.stdout is not None:
            # A progress bar may stand in the terminal's line.
            print(f"\n{self.url}" if sys.stdout.isatty() else self.url, flush=True)
        try:
            child.wait(stoppable=True)
        except Nnviz3dError as error:
            say(f"nnviz3d: {error}\n")

    def __repr__(self) -> str:
        return f"<nnviz3d viewer: {'closed' if self.closed else self.url or 'not yet there'}>"
