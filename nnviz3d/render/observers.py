"""VTK callbacks whose errors are raised in the calling code; VTK itself would print a traceback and continue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vtkmodules.vtkCommonCore import vtkObject


class _Raised(threading.local):
    """Errors of the callbacks that VTK has called on one thread."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []


_raised = _Raised()


def observe(subject: vtkObject, event: str, callback: Callable[..., object]) -> int:
    """Register a callback whose errors `calling_back` raises; returns the number for `RemoveObserver`."""

    def call(*arguments: object) -> None:
        try:
            callback(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again by `calling_back`
            _raised.errors.append(error)

    return int(subject.AddObserver(event, call))  # type: ignore[arg-type]  # VTK takes names too


@contextmanager
def calling_back() -> Iterator[None]:
    """Context in which VTK may call observers; at its end the first error of an observer is raised."""
    _raised.errors.clear()
    yield
    if _raised.errors:
        raise _raised.errors[0]
