"""Runner of the model on further samples while a session goes on: one request at a time, the newest one first."""

from __future__ import annotations

import contextlib
import queue
import re
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import open_capture
from nnviz3d.data.printable import printable_lines
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import NOTHING_MORE, CaptureRequest, Event, Insights, Progress
from nnviz3d.data.targets import PREDICTED
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.stopping import DelayedSignals

ROOM = 2 * 2**30
"""Most bytes that captures of samples take on disk: some thirty photographs in a network of 150 layers."""
MOST = 256
"""Most samples that are kept. Each is an open file, and some systems allow a program only a thousand open files."""
_PAUSE = 0.25
"""Least seconds between two news of one stage's progress."""
_UPLOADED = "in-"
"""Prefix of the name of a folder for an uploaded file."""


@dataclass(frozen=True)
class SampleRequest:
    """A request to run the model on one sample.

    Attributes
    ----------
    source
        The sample's name in a capture request.
    insights
        What is computed for it in addition to what the template requests for all samples, such as further `targets`.
    of_model
        Whether the request is for what belongs to the model: then the sample is only an example, and nothing else is
        computed for it.
    changed_only
        Whether the request is for a changed run alone, because another capture holds the sample's unchanged run.
    perspective
        The perspective that shows the answer, if the request is for what belongs to the model.
    """

    source: str
    insights: Insights = NOTHING_MORE
    of_model: bool = False
    changed_only: bool = False
    perspective: str = ""


@dataclass(frozen=True)
class OtherModel:
    """A compared model, which runs on each further sample, too.

    Attributes
    ----------
    worker
        Runs the model.
    template
        A request for it, without a sample.
    """

    worker: Worker
    template: CaptureRequest


@dataclass(frozen=True)
class Answer:
    """The result of a request.

    Attributes
    ----------
    capture
        A capture of the sample alone; `None` if it could not be made.
    other
        The compared model's capture of the sample; `None` without such a model.
    problem
        A sentence that says why not; empty if the user has stopped it.
    kept
        A sentence that says where the answer is kept after the session; empty if nowhere.
    """

    request: SampleRequest
    capture: CaptureReader | None = None
    problem: str = ""
    other: CaptureReader | None = None
    kept: str = ""


class SampleRunner:
    """A worker that runs the model, and the thread that waits for it.

    Parameters
    ----------
    worker
        Runs the model; closed by `close`.
    template
        A request for the model, without a sample.
    folder
        Where captures are written, a folder that exists longer than this object.
    answers
        Whether the model has an answer, a vector or one number, that is explained together with other targets.
    room
        Most bytes that captures of samples take on disk; the oldest are removed first.
    other
        A compared model, whose worker is closed by `close`, too.
    keep
        Keeps what a capture holds of the model after the session, and returns one sentence on it.
    """

    def __init__(
        self,
        worker: Worker,
        template: CaptureRequest,
        folder: Path,
        *,
        answers: bool = True,
        room: int = ROOM,
        other: OtherModel | None = None,
        keep: Callable[[CaptureReader], str] | None = None,
    ) -> None:
        self._worker = worker
        self._keep = keep
        self._other = other
        self._template = template
        self._folder = folder
        self._predicts = answers
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._next: SampleRequest | None = None
        self._expected: SampleRequest | None = None
        self._example = ""
        self._closed = False
        self._count = 0
        self._stage = ""
        self._share: float | None = None
        self._told = 0.0
        self._works = self._stopped = False
        self._room = room
        self._kept: dict[int, tuple[tuple[Path, ...], int]] = {}
        self._sources: dict[int, str] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._call: Callable[[], None] = lambda: None

    @property
    def stage(self) -> str:
        """The current stage of the work, one of the stages of `Progress`; empty if there is no work."""
        return self._stage

    @property
    def share(self) -> float | None:
        """The finished share of the current stage, 0 to 1; `None` if it is not known."""
        return self._share

    def new_folder(self) -> Path:
        """Make an empty folder for an uploaded file; it is removed at the end of the session."""
        return Path(tempfile.mkdtemp(prefix=_UPLOADED, dir=self._folder))

    def on_news(self, call: Callable[[], None]) -> None:
        """Call a function, in another thread, for every answer and whenever the next stage of the work begins."""
        self._call = call

    def ask(self, request: SampleRequest) -> None:
        """Request a sample; an earlier request whose work has not begun is dropped."""
        with self._changed:
            self._next = request
            self._changed.notify()
        self._start()

    def prepare(self, example: str) -> None:
        """Load and compile the model before the first request, which then takes as long as later ones.

        Parameters
        ----------
        example
            The source of a sample; the model is compiled for samples like it.
        """
        self._example = example
        self._start()

    def expect(self, request: SampleRequest) -> None:
        """Compile what a request would need, once there is no other work; nothing if the model is not loaded yet."""
        if self._thread is not None:
            with self._changed:
                self._expected = request
                self._changed.notify()

    def _start(self) -> None:
        if self._thread is None:
            # Without the delay, Ctrl-C could leave a thread whose start is not complete, which `close` could not join.
            with DelayedSignals():
                self._thread = threading.Thread(target=self._run, name="sample runner", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop the request whose work goes on, or has not begun. The next one starts a new process."""
        with self._changed:
            self._next = None
            self._stopped = self._works
        if self._stopped:
            # The process may take some seconds to clean up.
            for worker in self._workers:
                threading.Thread(target=worker.interrupt, name="sample runner stop", daemon=True).start()

    @property
    def _workers(self) -> tuple[Worker, ...]:
        return (self._worker,) if self._other is None else (self._worker, self._other.worker)

    def answers(self) -> list[Answer]:
        """Return the answers that have arrived since the last call."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def keep(self, sample: int, answer: Answer) -> None:
        """Record where the captures of a sample of a series are on disk."""
        paths = tuple(one.path for one in (answer.capture, answer.other) if one is not None)
        self._kept[sample] = (paths, sum(path.stat().st_size for path in paths))
        self._sources[sample] = answer.request.source

    def keeps(self, sample: int) -> bool:
        """Whether this object made the capture of a sample of a series, and it is still on disk."""
        return sample in self._kept

    def made(self, sample: int, source: str) -> bool:
        """Whether this object made the capture of a sample of a series, from this source and no earlier one."""
        return self.keeps(sample) and self._sources[sample] == source

    def oldest(self, *, besides: Collection[int | None]) -> int | None:
        """Return the sample that was run first, if there are too many samples or they take too much of the disk.

        Parameters
        ----------
        besides
            The samples that are shown, which are never returned.
        """
        if len(self._kept) <= MOST and sum(size for _, size in self._kept.values()) <= self._room:
            return None
        return next((sample for sample in self._kept if sample not in besides), None)

    def forget(self, sample: int) -> None:
        """Remove the captures of a sample from the disk."""
        paths, _ = self._kept.pop(sample)
        del self._sources[sample]
        for path in paths:
            path.unlink()

    def close(self) -> None:
        """End the worker, and wait for the thread."""
        with DelayedSignals():
            with self._changed:
                self._closed = True
                self._changed.notify()
            for worker in self._workers:
                worker.close()
            if self._thread is not None:
                self._thread.join()

    def _run(self) -> None:
        if self._example:
            self._prepare()
        while True:
            with self._changed:
                while self._next is None and self._expected is None and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                expected, self._expected = self._expected, None
                request, self._next = self._next, None
                self._works, self._stopped = request is not None, False
            if request is None:
                if expected is not None:
                    self._compile(expected)
                continue
            answer = self._capture(request)
            self._works, self._stage, self._share = False, "", None
            if not self._closed:
                self._answers.put(answer)
                self._call()

    def _prepare(self) -> None:
        self._compile(SampleRequest(self._example))

    def _compile(self, request: SampleRequest) -> None:
        out = self._folder / "prepared.zarr.zip"
        found = self._capture_request(request, out).model_copy(update={"prepare": True})
        # Nobody asked for this run. Where it fails, the first request fails too, and says why.
        with contextlib.suppress(Nnviz3dError):
            self._worker.run(found, self._hear)
            if self._other is not None and not request.changed_only:
                self._other.worker.run(_of_other(self._other, found, out), self._hear)
        self._stage = ""

    def _hear(self, event: Event) -> None:
        if not isinstance(event, Progress):
            return
        begins, now = event.stage != self._stage, time.monotonic()
        self._stage = event.stage
        self._share = min(event.done / event.total, 1.0) if event.total else None
        if begins or now - self._told > _PAUSE:
            self._told = now
            self._call()

    def _capture_request(self, request: SampleRequest, out: Path) -> CaptureRequest:
        if request.of_model or request.changed_only:
            return self._template.model_copy(
                update={
                    "inputs": (request.source,),
                    "out": out,
                    "insights": request.insights,
                    "changed_only": request.changed_only,
                }
            )
        insights = self._template.insights.plus(request.insights)
        if self._predicts and request.insights.targets and not self._template.insights.targets:
            insights = insights.model_copy(update={"targets": (PREDICTED, *insights.targets)})
        return self._template.model_copy(update={"inputs": (request.source,), "out": out, "insights": insights})

    def _plain(self, sentence: str) -> str:
        """Remove the temporary folder from a sentence: users know an uploaded file by its name only."""
        uploaded = rf"(?:{re.escape(_UPLOADED)}\w+[/\\])?"
        return re.sub(rf"{re.escape(str(self._folder))}[/\\]{uploaded}", "", sentence)

    def _capture(self, request: SampleRequest) -> Answer:
        self._count += 1
        out = self._folder / f"live-{self._count}.zarr.zip"
        try:
            asked = self._capture_request(request, out)
            self._worker.run(asked, self._hear)
            other = None
            if self._other is not None and not (request.of_model or request.changed_only):
                beside = self._folder / f"live-{self._count}-other.zarr.zip"
                self._other.worker.run(_of_other(self._other, asked, beside), self._hear)
                other = open_capture(beside)
            made = open_capture(out)
            kept = self._keep(made) if request.of_model and self._keep is not None else ""
            return Answer(request, made, other=other, kept=kept)
        except UserError as error:
            return Answer(request, problem="" if self._stopped else self._plain(str(error)))
        except Exception as error:  # noqa: BLE001 - the user is told of any error, and the next request is served
            if self._stopped:
                return Answer(request)
            if not self._closed:
                known = isinstance(error, Nnviz3dError)
                told = str(error) if known else "".join(traceback.format_exception(error))
                print(printable_lines(told), file=sys.stderr)
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            again = "choose a sample again" if request == SampleRequest(request.source) else "ask again"
            return Answer(
                request, problem=f"{self._plain(first)} The terminal shows details; {again} to start a new one."
            )


def _of_other(other: OtherModel, request: CaptureRequest, out: Path) -> CaptureRequest:
    """Return a request for the compared model, on the sample of another request."""
    return other.template.model_copy(update={"inputs": request.inputs, "out": out, "prepare": request.prepare})
