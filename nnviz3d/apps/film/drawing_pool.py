"""Processes that draw the frames of a film side by side. The frames come in order, and do not depend on their number."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.drawing_connection import DrawingConnection, DrawingCrashed, film_line
from nnviz3d.apps.film.frame_range import FilmPlan
from nnviz3d.apps.liveness import SILENCE, Watchdog
from nnviz3d.errors import UserError
from nnviz3d.processors import processors

_AHEAD = 2
"""Most frames that are given to one process at a time, so that it need not wait for the next one."""
_PIXELS_EACH = 40_000_000
"""Pixels of all frames for which one more process is worth its start, which takes two seconds."""
_BYTES_EACH, _BYTES_A_PIXEL = 500_000_000, 236
"""Memory of a process: for the program and a usual capture, and for each pixel of a frame, as measured."""
_DEATHS = 3
"""Number of processes that may die one after another without a single frame between them."""
_CHECK = 0.1
"""Seconds between two checks for a signal."""

Message = tuple["_Drawer", dict[str, Any] | None, NDArray[np.uint8] | None]
"""A process, its answer (`None` at its end), and the frame."""


def processes_for(frames: int, size: tuple[int, int]) -> int:
    """Return the number of processes that draw so many frames soonest: at most one for each core, and those that fit."""
    cores = processors()
    pixels = size[0] * size[1]
    fitting = cores if (free := _free_memory()) is None else free // (_BYTES_EACH + _BYTES_A_PIXEL * pixels)
    return max(1, min(cores, frames, frames * pixels // _PIXELS_EACH, fitting))


def _free_memory() -> int | None:
    """Return the bytes of memory that programs can still take; `None` if the system does not say it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines)
    return next((int(words[1]) * 1024 for words in found if words[0] == "MemAvailable:"), None)


class DrawingPool:
    """Processes that draw frames of a film.

    Parameters
    ----------
    ending
        Ending of the film's name; nothing for a folder. The frames are packed for its format.
    processes
        Most processes.
    patience
        Seconds without a sign of life after which a process that has frames to draw is replaced.
    """

    def __init__(self, plan: FilmPlan, ending: str, processes: int, *, patience: float = SILENCE) -> None:
        self._film = film_line(plan.to_json(), ending)
        self._count = processes
        self._patience = patience
        self._messages: queue.Queue[Message] = queue.Queue()
        self._drawers: list[_Drawer] = []

    def developed(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the packed frame."""
        return raw

    def frames(
        self, numbers: Sequence[int], check: Callable[[], object] = lambda: None
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield these frames, packed, in this order. Few of them are in memory at a time.

        Parameters
        ----------
        check
            Is called again and again meanwhile, and may raise an error.

        Raises
        ------
        UserError
            If the frames cannot be drawn, or one process after another is killed.
        DrawingCrashed
            If a process fails for another reason.
        """
        self._count = max(1, min(self._count, len(numbers)))
        for _ in range(self._count if numbers else 0):
            self._start()
        waiting, ready, deaths = deque(numbers), dict[int, NDArray[np.uint8]](), 0
        for number in numbers:
            while number not in ready:
                self._give(waiting, len(ready))
                drawer, answer, frame = self._next(check)
                if answer is None:
                    deaths += 1
                    self._replace(drawer, waiting, deaths)
                elif frame is not None:
                    deaths = 0
                    drawer.drawing.remove(answer["frame"])
                    ready[answer["frame"]] = frame
                elif "refused" in answer:
                    raise UserError(answer["refused"])
                else:
                    raise DrawingCrashed.by_bug(answer["crashed"])
            yield number, ready.pop(number)

    def close(self) -> None:
        """End all processes."""
        drawers, self._drawers = self._drawers, []
        for drawer in drawers:
            drawer.stop()
        for drawer in drawers:
            drawer.end()

    def _start(self) -> None:
        self._drawers.append(_Drawer(self._film, self._count, self._messages, self._patience))

    def _give(self, waiting: deque[int], ready: int) -> None:
        """Give waiting frames to the processes that have the fewest; frames that are ready early limit their number."""
        given = ready + sum(len(drawer.drawing) for drawer in self._drawers)
        while waiting and given < (_AHEAD + 1) * self._count:
            drawer = min(self._drawers, key=lambda one: len(one.drawing))
            if len(drawer.drawing) >= _AHEAD:
                return
            drawer.draw(waiting.popleft())
            given += 1

    def _next(self, check: Callable[[], object]) -> Message:
        while True:
            check()
            with suppress(queue.Empty):
                return self._messages.get(timeout=_CHECK)

    def _replace(self, drawer: _Drawer, waiting: deque[int], deaths: int) -> None:
        """Start another process for one that died; its frames are drawn again."""
        self._drawers.remove(drawer)
        drawer.end()
        if deaths >= _DEATHS:
            raise drawer.death()
        waiting.extendleft(reversed(drawer.drawing))
        self._start()


class _Drawer(DrawingConnection):
    """A process that draws, and the thread that reads its answers.

    Attributes
    ----------
    drawing
        Numbers of the frames that it was given and has not drawn yet.
    """

    def __init__(self, film: str, count: int, messages: queue.Queue[Message], patience: float) -> None:
        super().__init__(max(1, processors() // count))
        self.drawing: list[int] = []
        self._messages = messages
        self._reader = threading.Thread(target=self._pass_on, name="frames", daemon=True)
        self._watchdog = Watchdog(self, patience)
        self._reader.start()
        self._watchdog.__enter__()
        self.send(film)

    def draw(self, number: int) -> None:
        """Give the process a frame to draw."""
        self.drawing.append(number)
        self.send(str(number))

    def work_done(self) -> int | None:
        """Return the processor time that the process has used, or a number that grows while it has nothing to draw."""
        return super().work_done() if self.drawing else time.monotonic_ns()

    def end(self) -> None:
        """End the process, and wait for it and the threads."""
        self._watchdog.__exit__()
        self._wait()
        self._reader.join()
        self._close()

    def _pass_on(self) -> None:
        while (answer := self.read()) is not None:
            self._watchdog.count_message()
            self._messages.put((self, *answer))
        self._messages.put((self, None, None))
