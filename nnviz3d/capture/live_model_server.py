"""Server for capture requests to a live model: the capture process's protocol on a local socket."""

from __future__ import annotations

import contextlib
import io
import secrets
import socket
import threading
from collections.abc import Callable

from nnviz3d.capture.request_loop import Report, serve_requests
from nnviz3d.data.request import CaptureRequest, Finished

_LONGEST_TOKEN = 256
_PATIENCE = 5.0
"""Seconds within which a client must send the token."""


class LiveModelServer:
    """Listens on the loopback interface, in threads of its own, and answers clients that send the token.

    Parameters
    ----------
    capture
        Executes one request; one runs at a time.

    Attributes
    ----------
    port, token
        Port of the socket, and the first line that a client must send.
    """

    def __init__(self, capture: Callable[[CaptureRequest, Report], Finished]) -> None:
        self._capture = capture
        self._one_at_a_time = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._listen, name="nnviz3d listener", daemon=True).start()

    def close(self) -> None:
        """Close all connections; open requests get no answer."""
        for end in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._converse, args=(connection,), name="nnviz3d viewer", daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            connection.settimeout(_PATIENCE)
            with connection, connection.makefile("rb") as said:  # bytes: a client may send anything
                if not secrets.compare_digest(said.readline(_LONGEST_TOKEN).rstrip(b"\n"), self.token.encode()):
                    return
                connection.settimeout(None)
                with (
                    io.TextIOWrapper(said, encoding="utf-8") as read,
                    connection.makefile("w", encoding="utf-8") as write,
                ):
                    serve_requests(read, write, self._answer)
        except OSError:  # the other end hung up
            return
        finally:
            self._open.discard(connection)

    def _answer(self, request: CaptureRequest, report: Report) -> Finished:
        with self._one_at_a_time:
            return self._capture(request, report)
