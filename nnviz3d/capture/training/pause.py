"""A training that waits because a page asks it to, and goes on when the page says so or is closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nnviz3d.data.training_control import ControlFile

_LOOK = 0.05
"""Seconds from one look for a request to the next one while the training waits."""


class Pause:
    """Looks for requests of a page before each step, and waits as long as one asks for it.

    Parameters
    ----------
    path
        The capture of the training.
    sleep
        Waits some seconds; Ctrl-C interrupts it.
    """

    def __init__(self, path: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._file = ControlFile(path)
        self._sleep = sleep
        self._made: int | None = None

    def is_asked(self) -> bool:
        """Whether a page asks the training to wait after the next step."""
        request = self._file.read()
        if request is None or not request.pause:
            self._made = None
            return False
        if self._made is None or self._made > request.steps:  # the page's program was started again
            self._made = request.steps
        return True

    def wait(self) -> None:
        """Wait until no page asks for it any more, or one asks for a single step."""
        while self.is_asked():
            request = self._file.read()
            if request is not None and self._made is not None and request.steps > self._made:
                self._made += 1
                return
            self._sleep(_LOOK)

    def end(self) -> None:
        """Remove the request, at the end of the training."""
        self._made = None
        self._file.clear()
