"""Handling of Ctrl-C and SIGTERM: a quiet end at any moment. It is imported first, so it imports almost nothing."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_PAUSE = 0.05
"""Seconds until a signal that arrived at a bad moment is sent again."""
_IMPORTS = "<frozen importlib"
"""Prefix of the file name of Python's import code."""


class Interrupted(KeyboardInterrupt):
    """Raised when a signal asks the program to stop.

    Attributes
    ----------
    code
        The exit code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.code = 128 + number


class DelayedSignals:
    """A context in which SIGINT and SIGTERM are only recorded; `check` and the end of the context handle them.

    Frames are drawn in it, because a signal during VTK's callbacks ends the process. What must be ended or removed later,
    such as a process, a thread or a file, is made and noted in it, because a signal in between would lose it.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._handlers: dict[int, Callable[[int, Any], object]] = {}
        self._delays = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only this thread receives signals
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        self._delays = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._delays = False
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None or not issubclass(kind, KeyboardInterrupt):  # a handled error must not take the signal along
            self.check()

    def check(self) -> None:
        """Call the handler of a recorded signal, which raises `KeyboardInterrupt` for Ctrl-C."""
        if self._noted is not None:
            number, self._noted = self._noted, None
            self._handlers[number](number, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._delays:
            self._noted = number
        else:  # a signal while the handlers are exchanged, which may leave this one in place
            self._handlers[number](number, frame)


def end_at_once() -> None:
    """Let a signal end the process immediately: nothing has to be cleaned up yet."""
    _listen(_end)


def end_in_order() -> None:
    """Let a signal raise `Interrupted` in the main thread, so that running work cleans up.

    The signal waits for the end of an import, because a C library whose import is interrupted may crash or raise
    another error. During the cleanup after an earlier signal, further signals have no effect.
    """
    sys.unraisablehook = _Unraisable(sys.unraisablehook)
    sys.excepthook = _uncaught
    _listen(_interrupt)


def ignore() -> None:
    """Ignore signals during the end of a finished program."""
    _listen(signal.SIG_IGN)


def _listen(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _NUMBERS:
        # A shell starts background commands so that they ignore Ctrl-C; that stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_cleaning_up():
        return
    if _is_importing(frame):
        _send_again(number)
        return
    _silence()
    raise Interrupted(number)


def _silence() -> None:
    """Hide libraries' messages about interrupted work from the terminal: half-made objects, locks, forgotten tasks."""
    if isinstance(sys.unraisablehook, _Unraisable):
        sys.unraisablehook.quiet = True
    warnings.simplefilter("ignore")
    if (logging := sys.modules.get("logging")) is not None:
        logging.disable()


def _is_cleaning_up() -> bool:
    """Whether an `Interrupted` is being handled: a `finally`, an `except` or the end of a `with` runs because of it."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, Interrupted):
            return True
        error = error.__context__
    return False


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTS):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    # `threading` is not used here, because the interrupted code may hold one of its locks.
    _thread.start_new_thread(_send, (number,))


def _send(number: int) -> None:
    time.sleep(_PAUSE)
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # this also ends a wait


class _Unraisable:
    """Hook for errors that cannot be raised, for example in a destructor.

    An interruption that is lost there is sent again. Errors of half-made objects after an interruption are hidden.
    """

    def __init__(self, report: Callable[[Any], object]) -> None:
        self._report = report
        self.quiet = False

    def __call__(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            _send_again(unraisable.exc_value.number)
        elif not self.quiet:
            self._report(unraisable)


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if isinstance(error, Interrupted):  # the signal arrived after all work and cleanup
        os._exit(error.code)
    sys.__excepthook__(kind, error, trace)
