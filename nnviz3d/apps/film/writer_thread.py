"""Thread that passes frames to a sink, so that drawing does not wait for encoding."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.stopping import DelayedSignals

_WAITING = 3
"""Most frames that wait for the thread."""


class FilmWriter:
    """A context in which a film is written. At its end the film is complete, or after an error removed.

    Parameters
    ----------
    sink
        Receives the frames.
    develop
        Turns a raw frame into the packed frame that the sink takes; called on the thread.
    """

    def __init__(self, sink: FrameSink, develop: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
        self._sink = sink
        self._develop = develop
        self._frames: queue.Queue[tuple[int, NDArray[np.uint8]] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="film", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def put(self, number: int, raw: NDArray[np.uint8]) -> None:
        """Add a frame. Waits while too many frames are waiting, and raises the error of an earlier frame."""
        if self._error is not None:
            raise self._error
        self._frames.put((number, raw))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        done = False
        try:
            if error is None:
                self._frames.put(None)
                self._thread.join()
                if self._error is not None:
                    raise self._error
                self._sink.finish()
                done = True
        finally:
            if not done:
                self._give_up()

    def _give_up(self) -> None:
        # A second Ctrl-C waits until the sink has removed its files.
        with DelayedSignals():
            while self._thread.is_alive():
                # Waiting frames are dropped, which also makes room for the signal to stop.
                while not self._frames.empty():
                    self._frames.get_nowait()
                self._frames.put(None)
                self._thread.join()
            self._sink.discard()

    def _work(self) -> None:
        while (given := self._frames.get()) is not None:
            if self._error is None:
                number, raw = given
                try:
                    self._sink.add(number, self._develop(raw))
                except BaseException as error:  # noqa: BLE001 - raised again on the thread that draws
                    self._error = error
