"""Requests of a page to the program that trains: to pause, to make single steps, and to go on.

The page writes a small file into the capture, and the recorder looks for it before each step. A request is only good for
some seconds, and the page renews it. So a training never waits for a page that was closed, or whose program was killed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from nnviz3d.data.storage import schema

LEASE = 15.0
"""Seconds for which a request is good; a page renews it far more often."""
_MOST = 1000
"""Most bytes of a request."""


@dataclass(frozen=True)
class ControlRequest:
    """The request of a page to a training.

    Attributes
    ----------
    pause
        Whether the training is to wait after the next step.
    steps
        How many single steps were asked for so far; one more asks a waiting training to make one step.
    """

    pause: bool
    steps: Annotated[int, Field(ge=0, lt=2**31)] = 0


_REQUEST: TypeAdapter[ControlRequest] = TypeAdapter(ControlRequest)


class ControlFile:
    """The file of the requests to one training.

    Parameters
    ----------
    path
        The capture, a folder.
    clock
        Returns the seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = path / schema.TRAINING / "control.json"
        self._clock = clock

    def ask(self, request: ControlRequest) -> None:
        """Ask the training; raises an `OSError` if the capture cannot be written."""
        unfinished = self._file.with_suffix(f".{os.getpid()}")
        try:
            unfinished.write_text(json.dumps(asdict(request)), encoding="utf-8")
            unfinished.replace(self._file)
        finally:
            unfinished.unlink(missing_ok=True)

    def renew(self) -> None:
        """Keep the last request good, if there is one."""
        with suppress(OSError):
            os.utime(self._file)

    def clear(self) -> None:
        """Remove the request."""
        with suppress(OSError):
            self._file.unlink()

    def read(self) -> ControlRequest | None:
        """Return the request that is good; `None` if there is none, or if it cannot be read."""
        try:
            if abs(self._clock() - self._file.stat().st_mtime) > LEASE:
                return None
            with self._file.open("rb") as file:
                return _REQUEST.validate_json(file.read(_MOST))
        except (OSError, ValueError):
            return None
