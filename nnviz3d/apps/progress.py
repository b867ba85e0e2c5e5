"""Shows on standard error how far long work has come."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from nnviz3d.apps.worker import STAGES, Worker, run_capture
from nnviz3d.data import request as messages
from nnviz3d.data.printable import sentence
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import CaptureRequest, Event, Finished
from nnviz3d.scene.derived.embedding_trajectory import course_of, embedded_of

_QUIET = 1.0
"""Seconds that work may last without a progress bar."""


def capture_with_progress(
    request: CaptureRequest, *, worker: Worker | None = None, console: Console | None = None
) -> Finished:
    """Capture a model, with a progress bar on standard error once it lasts over a second, and notices there.

    Parameters
    ----------
    worker
        Who does it, and stays; by default a process for this request alone.

    Raises
    ------
    UserError, WorkerCrashed
        As `run_capture`.
    """
    screen = console or Console(stderr=True)
    with _Bar(screen) as bar:
        return run_capture(request, bar.hear) if worker is None else worker.run(request, bar.hear)


def place_with_progress(capture: CaptureReader, *, console: Console | None = None) -> None:
    """Place the points of a recorded training, if it has any, with a progress bar once that lasts over a second.

    Raises
    ------
    ModelError
        If they are too few.
    """
    embedded = embedded_of(capture)
    if embedded is None:
        return
    with _Bar(console or Console(stderr=True), "embed") as bar:
        course_of(
            capture,
            embedded,
            lambda done, total: bar.hear(messages.Progress(stage="embed", done=done, total=total)),
        )


def one_line(console: Console, *columns: ProgressColumn) -> Progress:
    """Make a line that moves while work lasts, and is gone after it."""
    # In a pipe or a log there is nothing to animate, and stopping would leave an empty line.
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class _Bar:
    """One line that says which stage the work is in; it shows itself only if the work lasts."""

    def __init__(self, console: Console, stage: str = "import") -> None:
        self._console = console
        self._progress = one_line(
            console,
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._task = self._progress.add_task(STAGES[stage], total=None)
        # A timer, because the first and longest stage, starting TensorFlow, says nothing while it lasts.
        self._timer = threading.Timer(_QUIET, self._progress.start)
        self._timer.daemon = True

    def __enter__(self) -> _Bar:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._progress.stop()

    def hear(self, event: Event) -> None:
        if isinstance(event, messages.Notice):
            # As `Text`: in a string rich takes [brackets] for markup and :cat: for a picture, and names may hold both.
            self._console.print(Text(sentence(event.text, None)), style="dim", soft_wrap=True)
        elif isinstance(event, messages.Progress):
            words = STAGES.get(event.stage, event.stage)
            self._progress.update(self._task, description=words, total=event.total, completed=event.done)
