"""Ctrl-C waits for the end of a frame: VTK ends the process at once where one reaches Python code that it calls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which signals to stop are only noted; `check`, and its end, do what they would have done."""

    def __init__(self) -> None:
        self._noted: int | None = None
        self._handlers: dict[int, Callable[[int, Any], object]] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python tells no other of signals
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise `KeyboardInterrupt`, or whatever the signal's own handler does, if one has come."""
        if self._noted is not None:
            number, self._noted = self._noted, None
            self._handlers[number](number, None)

    def _note(self, number: int, _frame: object) -> None:
        self._noted = number
