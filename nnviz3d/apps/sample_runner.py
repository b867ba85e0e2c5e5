"""Runs the model on further samples while people look: one request at a time, the newest wish first."""

from __future__ import annotations

import queue
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import open_capture
from nnviz3d.data.printable import printable_lines
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import CaptureRequest, Event, Insights, Progress
from nnviz3d.data.targets import PREDICTED
from nnviz3d.errors import Nnviz3dError, UserError

NOTHING_MORE = Insights()
ROOM = 2 * 2**30
"""Bytes: some thirty photographs in a network of 150 layers."""
MOST = 256
"""Samples, each of which is an open file: some systems let a program have a thousand."""
_HANDED_IN = "in-"
"""Prefix of the name of a folder for an uploaded file."""


@dataclass(frozen=True)
class Wish:
    """What the model is to be run on.

    Attributes
    ----------
    source
        The sample, as a request names it.
    insights
        What is wanted of it beyond what is wanted of all; other `targets` than the model's own answer, for example.
    """

    source: str
    insights: Insights = NOTHING_MORE


@dataclass(frozen=True)
class Answer:
    """What came of a wish.

    Attributes
    ----------
    capture
        A capture of its sample alone; `None` if there is none.
    problem
        A sentence that says why not.
    """

    wish: Wish
    capture: CaptureReader | None = None
    problem: str = ""


class Live:
    """A worker and the thread that waits for it.

    Parameters
    ----------
    worker
        Who runs the model; closed with this.
    template
        A request for the model, without a sample.
    folder
        Where captures go, a folder that outlives this.
    room
        Bytes of the disk that samples may take before the oldest are forgotten.
    """

    def __init__(self, worker: Worker, template: CaptureRequest, folder: Path, *, room: int = ROOM) -> None:
        self._worker = worker
        self._template = template
        self._folder = folder
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._wish: Wish | None = None
        self._closed = False
        self._count = 0
        self._stage = ""
        self._room = room
        self._kept: dict[int, tuple[Path, int]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._told: Callable[[], None] = lambda: None

    @property
    def stage(self) -> str:
        """What is being done at the moment, one of the stages of `Progress`; empty if nothing."""
        return self._stage

    def new_folder(self) -> Path:
        """Make an empty folder for a file that somebody hands in; it goes with the session."""
        return Path(tempfile.mkdtemp(prefix=_HANDED_IN, dir=self._folder))

    def tell(self, told: Callable[[], None]) -> None:
        """Call this, in another thread, whenever there is an answer or the next stage of the work begins."""
        self._told = told

    def ask(self, wish: Wish) -> None:
        """Wish for a sample; an earlier wish that was not begun yet is forgotten."""
        with self._changed:
            self._wish = wish
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="live samples", daemon=True)
            self._thread.start()

    def answers(self) -> list[Answer]:
        """Take what has come since the last call."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def keep(self, sample: int, path: Path) -> None:
        """Take note of which sample of a series stands where on the disk."""
        self._kept[sample] = (path, path.stat().st_size)

    def keeps(self, sample: int) -> bool:
        """Whether a sample of a series was run here, and stands on the disk."""
        return sample in self._kept

    def oldest(self, *, besides: Collection[int | None]) -> int | None:
        """Return the sample that was run first, if they are too many, or take more of the disk than they may.

        Parameters
        ----------
        besides
            Those that are looked at, which stay.
        """
        if len(self._kept) <= MOST and sum(size for _, size in self._kept.values()) <= self._room:
            return None
        return next((sample for sample in self._kept if sample not in besides), None)

    def forget(self, sample: int) -> None:
        """Remove a sample from the disk."""
        path, _ = self._kept.pop(sample)
        path.unlink()

    def close(self) -> None:
        """End the worker, and wait for the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._wish is None and not self._closed:
                    self._changed.wait()
                if self._closed or self._wish is None:
                    return
                wish, self._wish = self._wish, None
            answer = self._capture(wish)
            self._stage = ""
            if not self._closed:
                self._answers.put(answer)
                self._told()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Progress) and event.stage != self._stage:
            self._stage = event.stage
            self._told()

    def _request(self, wish: Wish, out: Path) -> CaptureRequest:
        insights = self._template.insights.plus(wish.insights)
        if wish.insights.targets and not self._template.insights.targets:
            insights = insights.model_copy(update={"targets": (PREDICTED, *insights.targets)})
        return self._template.model_copy(update={"inputs": (wish.source,), "out": out, "insights": insights})

    def _plain(self, sentence: str) -> str:
        """Remove the temporary folder from a sentence: users know an uploaded file by its name only."""
        handed_in = rf"(?:{re.escape(_HANDED_IN)}\w+[/\\])?"
        return re.sub(rf"{re.escape(str(self._folder))}[/\\]{handed_in}", "", sentence)

    def _capture(self, wish: Wish) -> Answer:
        self._count += 1
        out = self._folder / f"live-{self._count}.zarr.zip"
        try:
            self._worker.run(self._request(wish, out), self._hear)
            return Answer(wish, open_capture(out))
        except UserError as error:
            return Answer(wish, problem=self._plain(str(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told, and the next wish is heard
            if not self._closed:
                known = isinstance(error, Nnviz3dError)
                told = str(error) if known else "".join(traceback.format_exception(error))
                print(printable_lines(told), file=sys.stderr)
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            return Answer(
                wish,
                problem=f"{self._plain(first)} The terminal shows details; choose a sample again to start a new one.",
            )
