"""Follow a training that another process is still recording, in a thread that does not draw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from nnviz3d.data.capture import open_capture
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training import Training
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import number
from nnviz3d.scene.scene import Scene
from nnviz3d.stopping import DelayedSignals

_PAUSE = 0.4
"""Shortest pause between two checks, in seconds."""
_LONGEST = 15.0
"""Longest pause between two checks, when there has been no news for long."""
_SHARE = 0.1
"""The pause as a share of the time since the last news."""
_BUSY = 2.0
"""The pause is at least this multiple of the time that the last scene took to prepare."""
_EXPECTED = 20.0
"""Seconds for which checks are frequent after the training was asked to do something."""
_QUIET = 20.0
"""Seconds without news after which the status says so."""


class TrainingFollower:
    """A context in which a thread checks a capture for steps that its recorder adds.

    After the recorder has finished it goes on, ever more rarely, because the program may call `fit` again.

    Parameters
    ----------
    capture
        A capture folder with a training.
    pause
        Shortest pause between two checks, in seconds.
    clock
        Returns the seconds since 1970.

    Raises
    ------
    ValueError
        If the capture holds no training.
    """

    def __init__(
        self, capture: CaptureReader, *, pause: float = _PAUSE, clock: Callable[[], float] = time.time
    ) -> None:
        if capture.training is None:
            raise ValueError(f"{capture.path} holds no training.")
        self._seen = capture
        self._make: Callable[[CaptureReader], Scene] | None = None
        self._made: Scene | None = None
        self._given: Scene | None = None
        self._took = 0.0
        self._training: Training = capture.training
        self._pause = pause
        self._clock = clock
        self._since = capture.training.written()
        self._progress = progress(capture.training)
        self._problem = ""
        self._replaced = False
        self._status = self._last_status = self._describe()
        self._call: Callable[[], None] = lambda: None
        self._closed = threading.Event()
        self._awake = threading.Event()
        self._expected = -_EXPECTED
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)

    @property
    def status(self) -> str:
        """The training's progress and state: ``training: step 1,230, epoch 3, loss 0.123 · live``."""
        return self._status

    @property
    def training(self) -> Training:
        """The training, as it was read last."""
        return self._training

    @property
    def path(self) -> Path:
        """The capture."""
        return self._seen.path

    def expect_news(self) -> None:
        """Check at once, and often for some seconds, because the training was asked to do something."""
        self._expected = time.monotonic()
        self._awake.set()

    def prepare(self, make: Callable[[CaptureReader], Scene]) -> None:
        """Set the function that makes the scene of each longer training, in the thread; without it nothing is checked."""
        self._make = make

    def on_news(self, call: Callable[[], None]) -> None:
        """Call a function, in the thread, whenever there is news or the words change."""
        self._call = call

    def news(self) -> Scene | None:
        """Return the newest scene if there is one since the last call."""
        made = self._made  # the other thread may replace it at any moment
        if made is self._given:
            return None
        self._given = made
        return made

    def check(self) -> None:
        """Check once."""
        self._problem = ""
        try:
            self._take(self._training.refreshed())
        except UserError:  # removed, or being replaced by the next training; the next check tries again
            self._problem = f"{self._seen.path.name} cannot be read any more"
        self._status = self._describe()
        if self._made is not self._given or self._status != self._last_status:
            self._last_status = self._status
            self._call()

    def _take(self, training: Training) -> None:
        if not len(training) or self._make is None:
            return
        # A training that was started again may have the same number of steps, so the time counts too.
        if training is self._training and training.written() == self._since:
            return
        capture = open_capture(self._seen.path)
        if capture.training is None or not len(capture.training):
            return
        if capture.graph != self._seen.graph or capture.provenance.samples != self._seen.provenance.samples:
            self._replaced = True
            return
        started = time.monotonic()
        made = self._make(capture)
        self._took = time.monotonic() - started
        self._since, self._progress = capture.training.written(), progress(capture.training)
        self._seen, self._training, self._made = capture, capture.training, made

    def _describe(self) -> str:
        return f"training: {self._progress} · {self._state()}"

    def _state(self) -> str:
        if self._replaced:
            return f"{self._seen.path.name} holds another training by now; open it again"
        if self._training.finished:
            return "finished"
        if self._training.paused:
            return "paused"
        quiet = self._quiet()
        return self._problem or ("live" if quiet < _QUIET else f"nothing new for {duration(quiet)}")

    def _quiet(self) -> float:
        """Return the seconds since the last news."""
        return max(self._clock() - self._since, 0.0)

    def _run(self) -> None:
        try:
            while not self._replaced:
                self._awake.wait(self._rest())
                self._awake.clear()
                if self._closed.is_set():
                    return
                self.check()
        except Exception:
            self._problem = "following stopped; the terminal shows why"
            self._status = self._describe()
            self._call()
            raise

    def _rest(self) -> float:
        """Return the seconds until the next check."""
        if time.monotonic() - self._expected < _EXPECTED:
            return self._pause
        return max(
            self._pause,
            self._took * _BUSY,
            min(self._quiet() * _SHARE, _LONGEST),
        )

    def __enter__(self) -> Self:
        try:
            with DelayedSignals():
                self._thread.start()
        except KeyboardInterrupt:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with DelayedSignals():
            self._closed.set()
            self._awake.set()
            self._thread.join()


def progress(training: Training) -> str:
    """Return a training's progress: ``step 1,230, epoch 3, loss 0.123``."""
    if not len(training):
        return "no step yet"
    parts = [f"step {training.steps[-1]:,}", f"epoch {training.epochs[-1] + 1}"]
    if not np.isnan(training.loss).all():  # all NaN if it was not recorded
        parts.append(f"loss {number(float(training.loss[-1]))}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration in rounded words: ``40 s``, ``3 min``, ``2 h``, ``5 days``."""
    for unit, size, least in (("days", 86400, 2 * 86400), ("h", 3600, 2 * 3600), ("min", 60, 2 * 60)):
        if seconds >= least:
            return f"{int(seconds // size):,} {unit}"
    return f"{int(seconds // 10 * 10)} s"
