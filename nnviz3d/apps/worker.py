"""Requests for captures to another process: a capture process, or the process that holds a live model.

TensorFlow is never imported here. Both processes send JSON lines: a `CaptureRequest` one way, `Event`s the other way.
The messages are imported with the first request, so that a command can start the process first of all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import IO, TYPE_CHECKING, TypeVar

from nnviz3d.apps.liveness import SILENCE, Watchdog
from nnviz3d.apps.worker_connections import Connection, ProcessConnection, WorkerCrashed
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals

if TYPE_CHECKING:
    from nnviz3d.data.request import CaptureRequest, Event, Finished

T = TypeVar("T")
_LONGEST = 16 * 2**20
"""Most characters of an event's line."""
_QUOTED = 200
"""Most characters that an error quotes of a line that is not an event."""


class Worker:
    """Sends capture requests one after another over one connection, which is made by `start` or with the first request.

    Parameters
    ----------
    connect
        Makes the connection; called again when the process has ended. By default it starts a capture process.
    patience
        Seconds without a sign of life after which the connection is closed.
    """

    def __init__(self, connect: Callable[[], Connection] = ProcessConnection, *, patience: float = SILENCE) -> None:
        self._connect = connect
        self._patience = patience
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Make the connection. A capture process imports TensorFlow from then on.

        Raises
        ------
        UserError
            If the process cannot be started.
        """
        self._ready()

    def run(
        self,
        request: CaptureRequest,
        on_event: Callable[[Event], None] | None = None,
        *,
        beside: Sequence[Callable[[], object]] = (),
    ) -> Finished:
        """Make a capture, and wait for it.

        Parameters
        ----------
        request
            The request.
        on_event
            Receives progress and notices, in this thread, or in another one if there is other work.
        beside
            Other work, in steps: this thread takes them one after another until the answer arrives.

        Raises
        ------
        UserError
            If the process refuses the request, or does not respond; its message is the sentence to show.
        WorkerCrashed
            If the process crashes or ends. The next request starts a new one.
        """
        from nnviz3d.data import request as messages
        from nnviz3d.data.json_lines import to_line

        stage = ""

        def hear(event: Event) -> None:
            nonlocal stage
            stage = event.stage if isinstance(event, messages.Progress) else stage
            if on_event is not None:
                on_event(event)

        line = to_line(request)  # before the connection is made: a request that cannot be written gets no answer
        connection = self._ready()
        watchdog = Watchdog(connection, self._patience)
        try:
            with watchdog:
                last = _wait(lambda: _exchange(connection, line, watchdog, hear), beside)
        except BaseException:
            # Its next message would still belong to this request.
            self._drop(connection)
            raise
        match last:
            case messages.Finished():
                return last
            case messages.Refused():
                raise UserError(last.message)
            case messages.Crashed():
                parts = ("The capture process failed.", last.traceback, connection.last_output())
                self._drop(connection)
                raise WorkerCrashed("\n".join(part for part in parts if part))
        death = (
            connection.silence_error()
            if watchdog.silent
            else connection.end_error(request.model if stage == "load" else None)
        )
        self._drop(connection)
        raise death

    def finish(self) -> None:
        """Let the process end, and wait until it has cleaned up."""
        with DelayedSignals():
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.finish()

    def interrupt(self) -> None:
        """End the connection, and with it the request that `run` waits for in another thread; the next one makes a new."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with DelayedSignals():
                connection.end()

    def close(self) -> None:
        """End the connection at once, even if `run` waits for it in another thread."""
        with DelayedSignals():
            with self._lock:
                self._closed = True
                connection, self._connection = self._connection, None
            if connection is not None:
                connection.end()

    def _ready(self) -> Connection:
        with self._lock:
            if self._closed:
                raise UserError("The model cannot be run, because the program ends.")
            gone = self._connection if self._connection is not None and not self._connection.alive else None
            if self._connection is None or gone is not None:
                with DelayedSignals():
                    self._connection = self._connect()
            connection = self._connection
        if gone is not None:
            gone.end()
        return connection

    def _drop(self, connection: Connection) -> None:
        with DelayedSignals():
            with self._lock:
                mine = self._connection is connection
                self._connection = None if mine else self._connection
            if mine:  # otherwise `close` ends it
                connection.end()


def run_capture(request: CaptureRequest, on_event: Callable[[Event], None] | None = None) -> Finished:
    """Capture a model in a new process, and wait for it.

    Raises
    ------
    UserError, WorkerCrashed
        As `Worker.run`.
    """
    worker = Worker()
    try:
        done = worker.run(request, on_event)
        worker.finish()
    finally:
        worker.close()
    return done


def _wait(work: Callable[[], T], beside: Sequence[Callable[[], object]]) -> T:
    """Do some work in a thread, and steps of other work in this one until the first is done; returns its result."""
    if not beside:
        return work()
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            result.set_exception(error)

    threading.Thread(target=run, name="nnviz3d worker", daemon=True).start()
    for step in beside:
        if result.done():
            break
        step()
    return result.result()


def _exchange(
    connection: Connection, request: str, watchdog: Watchdog, on_event: Callable[[Event], None]
) -> Event | None:
    """Send the request and pass its events on; returns the final event, or `None` if the process ends without one."""
    from nnviz3d.data import request as messages

    with contextlib.suppress(
        ConnectionError, ValueError
    ):  # it has ended or is being closed; the missing answer shows that
        connection.write.write(request + "\n")
        connection.write.flush()
    for line in _lines(connection.read):
        watchdog.count_message()
        event = _event(line)
        if isinstance(event, messages.Working):
            continue
        if not isinstance(event, messages.Progress | messages.Notice):
            return event
        on_event(event)
    return None


def _lines(read: IO[str]) -> Iterator[str]:
    """Yield lines until the stream ends."""
    while True:
        try:
            line = read.readline(_LONGEST)
        except (ConnectionError, ValueError):  # the connection was cut, or closed by this program
            return
        if not line:
            return
        yield line


def _event(line: str) -> Event:
    from nnviz3d.data.json_lines import read_event

    try:
        return read_event(line)
    except ValueError as error:
        why = " ".join(str(error).split())[:_QUOTED]
        raise WorkerCrashed(f"The capture process sent a line that is no event: {line[:_QUOTED]!r} ({why}).") from error
