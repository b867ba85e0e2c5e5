"""Drawing of frames by a worker, and the form in which frames travel to the program that asked for them."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.drawing_connection import DrawingConnection, DrawingCrashed, film_line
from nnviz3d.apps.liveness import Watchdog
from nnviz3d.errors import UserError

_LEVEL = 1
"""Compression of frames on their way, lossless and fast."""

CompressedFrame = tuple[tuple[int, ...], bytes]
"""The shape of a packed frame, and its compressed bytes."""


class FrameDrawer:
    """A process that draws frames; the film that it was given last stays open, so that its labels are placed once."""

    def __init__(self) -> None:
        self._connection = DrawingConnection()
        self._film = ""
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._connection.alive

    def draw(self, plan: str, ending: str, numbers: Sequence[int]) -> list[CompressedFrame]:
        """Draw frames, and pack them for the film's format. After an error the process has ended.

        Parameters
        ----------
        plan
            JSON of `FilmPlan`.
        ending
            Ending of the film's name; nothing for a folder.
        numbers
            The frames, counted from 0.

        Raises
        ------
        UserError
            If the film cannot be drawn, or the system ends the process.
        DrawingCrashed
            If the process fails by a bug.
        """
        with self._lock:
            try:
                return self._drawn(film_line(plan, ending), numbers)
            except BaseException:
                self._connection.end()
                raise

    def _drawn(self, film: str, numbers: Sequence[int]) -> list[CompressedFrame]:
        lines = list(map(str, numbers))
        if film != self._film:
            lines.insert(0, film)
            self._film = film
        for line in lines:
            self._connection.send(line)
        frames = []
        for _ in numbers:
            with Watchdog(self._connection):
                answer, frame = self._connection.read() or ({}, None)
            if frame is not None:
                frames.append(compressed(frame))
            elif "refused" in answer:
                raise UserError(answer["refused"])
            elif "crashed" in answer:
                raise DrawingCrashed.by_bug(answer["crashed"])
            else:
                self._connection.end()
                raise self._connection.death()
        return frames

    def end(self) -> None:
        """End the process; work on frames in another thread fails."""
        self._connection.stop()
        with self._lock:
            self._connection.end()


def compressed(frame: NDArray[np.uint8]) -> CompressedFrame:
    """Return a packed frame as it travels."""
    return frame.shape, zlib.compress(np.ascontiguousarray(frame).data, _LEVEL)


def decompressed(shape: tuple[int, ...], data: bytes) -> NDArray[np.uint8]:
    """Return the packed frame that `compressed` was given."""
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
