"""Callbacks of VTK, whose errors reach whoever made VTK call them; VTK itself prints a traceback and goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vtkmodules.vtkCommonCore import vtkObject


class _Raised(threading.local):
    """Errors of callbacks on one thread, on which VTK calls them."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []


_raised = _Raised()


def observe(subject: vtkObject, event: str, callback: Callable[..., object]) -> int:
    """Have VTK call back, inside of `calling_back`; returns the number by which `RemoveObserver` knows it."""

    def call(*arguments: object) -> None:
        try:
            callback(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again by `calling_back`
            _raised.errors.append(error)

    return int(subject.AddObserver(event, call))  # type: ignore[arg-type]  # VTK takes names too


@contextmanager
def calling_back() -> Iterator[None]:
    """Let VTK call its observers; at the end raises the first error of any of them."""
    _raised.errors.clear()
    yield
    if _raised.errors:
        raise _raised.errors[0]
