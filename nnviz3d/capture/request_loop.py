"""Answers capture requests, one after another, over a pair of text streams. Needs no TensorFlow.

The capture process speaks so over its standard streams, and a program that holds a live model over a local socket.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from nnviz3d.data.json_lines import read_request, to_line
from nnviz3d.data.request import CaptureRequest, Crashed, Event, Finished, Refused, Working
from nnviz3d.errors import UserError

Report = Callable[[Event], None]
INTERRUPTED = 130
"""The exit code of a process that was interrupted."""
_BEAT = 10.0
"""Seconds between two signs of life."""


def serve_requests(
    read: IO[str],
    write: IO[str],
    capture: Callable[[CaptureRequest, Report], Finished],
    *,
    beat: float = _BEAT,
) -> int:
    """Read requests, a line of JSON each, until there are no more, and answer each with lines of events.

    The last event of each is `Finished`, `Refused` or `Crashed`; a request that is refused or crashes ends nothing. An
    interrupt does, and so does a reader that is gone: the capture that is under way cleans up as if interrupted.

    Parameters
    ----------
    read, write
        Where requests come from and answers go.
    capture
        Does one request, telling of its progress.
    beat
        Seconds between two signs of life while a request is being done.

    Returns
    -------
    int
        An exit code: how the last request ended (0 finished, 2 refused, 1 crashed), or 130 after an interrupt.
    """
    one_at_a_time = threading.Lock()

    def say(event: Event) -> None:
        try:
            with one_at_a_time:
                write.write(to_line(event) + "\n")
                write.flush()
        except (OSError, ValueError):  # a broken pipe, or a stream that was closed
            raise KeyboardInterrupt from None

    code = 0
    try:
        while line := _next(read):
            with _beating(say, beat):
                last, code = _answer(line, capture, say)
            say(last)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


@contextmanager
def _beating(say: Report, every: float) -> Iterator[None]:
    """Send a sign of life every few seconds from a separate thread: the work may be silent for hours."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every):
            try:
                say(Working())
            except KeyboardInterrupt:  # the reader is gone; the work itself notices at its next message
                return

    threading.Thread(target=beat, name="nnviz3d signs of life", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _next(read: IO[str]) -> str:
    try:
        return read.readline()
    except ConnectionError:  # who asked is gone, and asks no more
        return ""


def _answer(line: str, capture: Callable[[CaptureRequest, Report], Finished], say: Report) -> tuple[Event, int]:
    try:
        request = read_request(line)
    except ValueError as error:
        return Crashed(traceback=f"The request is not valid: {error}"), 1
    try:
        return capture(request, say), 0
    except UserError as error:
        return Refused(message=str(error)), 2
    except Exception:  # noqa: BLE001 - whatever it is, the one who asked shows it whole
        return Crashed(traceback=traceback.format_exc()), 1
