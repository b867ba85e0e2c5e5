"""Starts the capture process and listens to it. TensorFlow never enters this process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from nnviz3d.data import request as messages
from nnviz3d.data.request import EVENT, CaptureRequest, Event, Finished
from nnviz3d.errors import Nnviz3dError, UserError

_TAIL = 4000
"""Characters of the process's own chatter that are shown with a bug."""
_GRACE = 15.0
"""Seconds that the process gets to clean up in before it is killed."""
_QUIET = 1.0
"""Seconds that work may last without a progress bar."""
_WORDS = {
    "import": "Starting TensorFlow",
    "load": "Loading the model",
    "trace": "Tracing the model",
    "forward": "Running the model",
    "write": "Writing the capture",
    "connections": "Finding the strongest connections",
}


class WorkerCrashed(Nnviz3dError):  # noqa: N818 - what happened, not what was wrong
    """The capture process died of a bug; the message holds its traceback and the end of what it printed."""


def run_capture(request: CaptureRequest, on_event: Callable[[Event], None] | None = None) -> Finished:
    """Capture a model in a process of its own, and wait for it.

    Parameters
    ----------
    request
        What to capture, and where to.
    on_event
        Is told of progress and notices, in this thread.

    Raises
    ------
    UserError
        If the process refuses; its message is the sentence to show.
    WorkerCrashed
        If it crashes or dies.
    """
    with tempfile.TemporaryFile() as chatter:
        process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d.capture.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=chatter,
            text=True,
            encoding="utf-8",
        )
        try:
            last = _converse(process, request, on_event)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        match last:
            case messages.Finished():
                return last
            case messages.Refused():
                raise UserError(last.message)
            case messages.Crashed():
                raise WorkerCrashed(_obituary("The capture process failed.", last.traceback, chatter))
        raise WorkerCrashed(_obituary(f"The capture process died with exit code {code}.", "", chatter))


def capture_with_progress(request: CaptureRequest, *, console: Console | None = None) -> Finished:
    """Capture a model, with a progress bar on standard error once it lasts over a second, and notices there.

    Raises
    ------
    UserError, WorkerCrashed
        As `run_capture`.
    """
    screen = console or Console(stderr=True)
    with _Bar(screen) as bar:
        return run_capture(request, bar.hear)


class _Bar:
    """One line that says which stage the work is in; it shows itself only if the work lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            # In a pipe or a log there is nothing to animate, and stopping would leave an empty line.
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(_WORDS["import"], total=None)
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
            self._console.print(Text(event.text), style="dim", soft_wrap=True)
        elif isinstance(event, messages.Progress):
            words = _WORDS.get(event.stage, event.stage)
            self._progress.update(self._task, description=words, total=event.total, completed=event.done)


def _converse(
    process: subprocess.Popen[str], request: CaptureRequest, on_event: Callable[[Event], None] | None
) -> Event | None:
    """Hand over the request and pass on what comes; returns the last word, if there was one."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The capture process has no pipes.")
    with contextlib.suppress(BrokenPipeError):  # it died at once; its exit code tells
        process.stdin.write(request.model_dump_json() + "\n")
        process.stdin.flush()
    for event in _events(process.stdout):
        if isinstance(event, messages.Progress | messages.Notice):
            if on_event is not None:
                on_event(event)
        else:
            return event
    return None


def _events(lines: IO[str]) -> Iterator[Event]:
    for line in lines:
        try:
            yield EVENT.validate_json(line)
        except ValidationError as error:
            raise WorkerCrashed(f"The capture process said something that is no event: {line!r} ({error}).") from error


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the process to clean up and go, and see that it does."""
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _obituary(first: str, trace: str, chatter: IO[bytes]) -> str:
    chatter.seek(0, 2)
    chatter.seek(max(0, chatter.tell() - _TAIL))
    tail = chatter.read().decode("utf-8", errors="replace").strip()
    return "\n".join(part for part in (first, trace, tail and f"It printed last:\n{tail}") if part)
