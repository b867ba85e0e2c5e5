"""Delay signals such as Ctrl-C to the end of a frame, because a signal during VTK's callbacks ends the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class DelayedSignals:
    """A context in which SIGINT and SIGTERM are only recorded; `check` and the end of the context handle them."""

    def __init__(self) -> None:
        self._noted: int | None = None
        self._handlers: dict[int, Callable[[int, Any], object]] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only this thread receives signals
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
        """Call the handler of a recorded signal, which raises `KeyboardInterrupt` for Ctrl-C."""
        if self._noted is not None:
            number, self._noted = self._noted, None
            self._handlers[number](number, None)

    def _note(self, number: int, _frame: object) -> None:
        self._noted = number
