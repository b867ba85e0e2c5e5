"""The loop that answers capture requests over a pair of text streams, without TensorFlow.

The capture process uses its standard streams; a program with a live model uses a local socket.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from nnviz3d.data.json_lines import read_request, to_line
from nnviz3d.data.request import CaptureRequest, Crashed, Event, Finished, Refused, Working
from nnviz3d.errors import UserError
from nnviz3d.stopping import Interrupted

Report = Callable[[Event], None]
INTERRUPTED = 130
"""Exit code of an interrupted process."""
_BEAT = 10.0
"""Seconds between two `Working` events."""


def serve_requests(
    read: IO[str],
    write: IO[str],
    capture: Callable[[CaptureRequest, Report], Finished],
    *,
    beat: float = _BEAT,
) -> int:
    """Read requests, one line of JSON each, until the stream ends, and answer each with lines of events.

    The last event of each is `Finished`, `Refused` or `Crashed`; the loop continues after a request that is refused or
    crashes. It ends if it is interrupted or if the reader of the answers is gone: the running capture is interrupted and
    cleans up.

    Parameters
    ----------
    read, write
        Streams of requests and of answers.
    capture
        Executes one request and reports its progress.
    beat
        Seconds between two `Working` events during a request.

    Returns
    -------
    int
        An exit code: the result of the last request (0 finished, 2 refused, 1 crashed), or 130 after an interrupt.
    """
    one_at_a_time = threading.Lock()

    def say(event: Event) -> None:
        try:
            with one_at_a_time:
                write.write(to_line(event) + "\n")
                write.flush()
        except (OSError, ValueError):  # a broken pipe, or a stream that was closed
            raise Interrupted(signal.SIGTERM) from None  # signals do not interrupt the cleanup

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
    """Send a `Working` event every few seconds from a separate thread: the work may report nothing for hours."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every):
            try:
                say(Working())
            except KeyboardInterrupt:  # the reader is gone; the work notices this at its next event
                return

    threading.Thread(target=beat, name="nnviz3d heartbeat", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _next(read: IO[str]) -> str:
    try:
        return read.readline()
    except ConnectionError:  # the client is gone
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
    except Exception:  # noqa: BLE001 - the client shows any error in full
        return Crashed(traceback=traceback.format_exc()), 1
