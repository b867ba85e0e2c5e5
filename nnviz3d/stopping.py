"""Ctrl-C and SIGTERM: a quiet end at any moment. Imports next to nothing, because it is called before all else."""

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
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_PAUSE = 0.05
"""Seconds until a signal that came at a bad moment is sent again."""
_IMPORTS = "<frozen importlib"
"""Beginning of the file name of the code that imports modules."""


class Interrupted(KeyboardInterrupt):
    """A signal asks the program to stop.

    Attributes
    ----------
    code
        The exit code that says so: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.code = 128 + number


def end_at_once() -> None:
    """Let a signal end the process without further ado: nothing has been made yet that has to be cleaned up."""
    _listen(_end)


def end_in_order() -> None:
    """Let a signal raise `Interrupted` in the main thread, so that what is under way cleans up.

    It waits for the end of an import, because a library in C that is interrupted while it is imported may crash, or fail
    with an error of its own. While something cleans up after an earlier signal, further ones change nothing.
    """
    sys.unraisablehook = _Unraisable(sys.unraisablehook)
    sys.excepthook = _uncaught
    _listen(_interrupt)


def ignore() -> None:
    """Let no signal disturb the end of a program that is done."""
    _listen(signal.SIG_IGN)


def _listen(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _NUMBERS:
        # A shell has commands in the background ignore Ctrl-C, and so they go on doing.
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
    """Keep from the terminal what libraries say of work that is cut short: half-made objects, locks, forgotten tasks."""
    if isinstance(sys.unraisablehook, _Unraisable):
        sys.unraisablehook.quiet = True
    warnings.simplefilter("ignore")
    if (logging := sys.modules.get("logging")) is not None:
        logging.disable()


def _is_cleaning_up() -> bool:
    """Whether an `Interrupted` is on its way out: a `finally`, an `except` or the end of a `with` runs because of it."""
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
    # Without `threading`, one of whose locks the interrupted code may hold.
    _thread.start_new_thread(_send, (number,))


def _send(number: int) -> None:
    time.sleep(_PAUSE)
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # which also ends a wait


class _Unraisable:
    """A hook for errors where nobody can be told, such as in a destructor.

    An interruption that is lost there comes again. After one, objects that were only half made complain when they are
    discarded, which is no news to anybody.
    """

    def __init__(self, told: Callable[[Any], object]) -> None:
        self._told = told
        self.quiet = False

    def __call__(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            _send_again(unraisable.exc_value.number)
        elif not self.quiet:
            self._told(unraisable)


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if isinstance(error, Interrupted):  # it came when all was done and cleaned up
        os._exit(error.code)
    sys.__excepthook__(kind, error, trace)
