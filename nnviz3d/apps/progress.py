"""Progress bars on standard error for captures and embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nnviz3d.apps.compared_notices import ComparedNotices
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.apps.worker import Worker, run_capture
from nnviz3d.data import request as messages
from nnviz3d.data.printable import sentence
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import CaptureRequest, Event, Finished
from nnviz3d.data.training_embedding import EmbeddingTrajectory

_QUIET = 1.0
"""Seconds that work may last without a progress bar."""


def capture_with_progress(
    request: CaptureRequest,
    *,
    worker: Worker | None = None,
    beside: Sequence[Callable[[], object]] = (),
    compared: ComparedNotices | None = None,
    console: Console | None = None,
) -> Finished:
    """Capture a model; show notices, and after one second a progress bar, on standard error.

    Parameters
    ----------
    worker
        The worker to use, which keeps its process; by default a new process for this request.
    beside
        Other work of this thread meanwhile; see `Worker.run`.
    compared
        Takes the notices, if two models are compared, and prints them later.

    Raises
    ------
    UserError, WorkerCrashed
        As `run_capture`.
    """
    screen = console or Console(stderr=True)
    hold = None if compared is None else partial(compared.hear, request.model)
    with CaptureBar(screen, hold=hold) as bar:
        return run_capture(request, bar.hear) if worker is None else worker.run(request, bar.hear, beside=beside)


def embed_with_progress(capture: CaptureReader, *, console: Console | None = None) -> EmbeddingTrajectory | None:
    """Embed the samples of a recorded training, if it keeps any, with a progress bar after one second.

    Raises
    ------
    ModelError
        If there are too few samples.
    """

    def report(done: int, total: int) -> None:
        bar.hear(messages.Progress(stage="embed", done=done, total=total))

    with CaptureBar(console or Console(stderr=True), "embed") as bar:
        return trajectory_of(capture, report=report)


def print_notice(console: Console, text: str) -> None:
    """Print a notice of a capture as one dim line."""
    # As `Text`, because names may contain [brackets] and :cat:, which rich replaces in a string.
    console.print(Text(sentence(text, None)), style="dim", soft_wrap=True)


def one_line(console: Console, *columns: ProgressColumn) -> Progress:
    """Return a progress line that disappears at the end of the work."""
    # In a pipe or a log an animation makes no sense, and would leave an empty line.
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def counting_line(console: Console) -> Progress:
    """Return a progress line for counted parts, with the remaining time."""
    return one_line(
        console,
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )


class LateLine:
    """A context that shows a progress line only if the work takes longer than a second.

    Parameters
    ----------
    progress
        The line.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        # A timer, because the first and longest stage, starting TensorFlow, sends no progress.
        self._timer = threading.Timer(_QUIET, progress.start)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self.progress.stop()


class CaptureBar(LateLine):
    """One line with the current stage of the work.

    Parameters
    ----------
    hold
        Takes the notices, which are printed by default.
    """

    def __init__(self, console: Console, stage: str = "import", *, hold: Callable[[str], None] | None = None) -> None:
        self._tell = hold or partial(print_notice, console)
        line = one_line(
            console,
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(compact=True),
        )
        super().__init__(line)
        self._task = line.add_task(messages.STAGES[stage], total=None)

    @classmethod
    def on_stderr(cls) -> Self:
        """Return a line on standard error."""
        return cls(Console(stderr=True))

    def hear(self, event: Event) -> None:
        """Show a notice, or the progress of a stage."""
        if isinstance(event, messages.Notice):
            self._tell(event.text)
        elif isinstance(event, messages.Progress):
            words = messages.STAGES[event.stage]
            self.progress.update(self._task, description=words, total=event.total, completed=event.done)
