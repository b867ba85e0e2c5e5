"""Drawing of the frames of a film, in this process or in several others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.drawing_pool import DrawingPool
from nnviz3d.apps.film.formats import sink_class
from nnviz3d.apps.film.frame_range import FilmScene, FilmStudio
from nnviz3d.stopping import DelayedSignals

Frames = Iterator[tuple[int, NDArray[np.uint8]]]
"""Numbers of frames, and the frames."""


class FrameDrawing(Protocol):
    """Draws the frames of one film."""

    def frames(self, numbers: Sequence[int], check: Callable[[], object]) -> Frames:
        """Yield raw frames by their numbers and in their order.

        Parameters
        ----------
        check
            Called often while frames are drawn; may raise an error, which ends the drawing.
        """
        ...

    def developed(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a raw frame packed for the film's format; any thread may call it."""
        ...

    def close(self) -> None:
        """Free what drawing needs."""
        ...


def drawing_of(film: FilmScene, ending: str, processes: int) -> FrameDrawing:
    """Return the drawing of a film, by this process or by a pool of processes.

    Parameters
    ----------
    ending
        Ending of the film's name; nothing for a folder.
    processes
        Number of processes that draw. This process alone draws a film whose frames another one could not reproduce.
    """
    plan = film.plan() if processes > 1 else None
    return _Here(film, ending) if plan is None else DrawingPool(plan, ending, processes)


class _Here:
    """Draws in this process."""

    def __init__(self, film: FilmScene, ending: str) -> None:
        self._packed = sink_class(ending).packed
        with DelayedSignals():
            self._studio = FilmStudio(film)

    def frames(self, numbers: Sequence[int], check: Callable[[], object]) -> Frames:
        self._studio.place_labels(check)
        for number in numbers:
            yield number, self._studio.samples(number)

    def developed(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._packed(self._studio.averaged(raw))

    def close(self) -> None:
        self._studio.close()
