"""Connections to the process that makes captures: a capture process, or the process that holds a live model.

Neither pydantic nor another large library is imported, so that a command can start the process first of all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from typing import IO, Protocol

from nnviz3d.apps.liveness import SILENCE, Peer, processor_time
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent_process import PARENT, ProcessOutput, end_process, run_module

_TAIL = 4000
"""Most characters of the process's own output that are shown with a bug."""
_GRACE = 15.0
"""Seconds that the process has to clean up before it is killed."""
_KILLED_BY_A_FILE = {
    getattr(signal, name): how
    for name, how in {
        "SIGVTALRM": "did not finish it in time",  # the capture process's own limit
        "SIGSEGV": "crashed on it",
        "SIGBUS": "crashed on it",
        "SIGABRT": "aborted on it",
        "SIGFPE": "crashed on it",
    }.items()
    if hasattr(signal, name)
}
"""Signals that end a capture process while it reads a damaged model file, and their meaning in words."""


class WorkerCrashed(Nnviz3dError):  # noqa: N818 - named after what happened
    """The capture process crashed; the message contains its traceback and the end of its output."""


class Connection(Peer, Protocol):
    """A connection to the process that makes captures."""

    @property
    def read(self) -> IO[str]:
        """The stream of its events."""
        ...

    @property
    def write(self) -> IO[str]:
        """The stream for requests."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the process exists, as far as is known without a request."""
        ...

    def end_error(self, reading: str | None) -> Exception:
        """Return the error to raise when the process has ended without a message.

        Parameters
        ----------
        reading
            The model file that the process was reading, if any.
        """
        ...

    def silence_error(self) -> UserError:
        """Return the error to raise when the connection was closed because the process did not respond."""
        ...

    def last_output(self) -> str:
        """Return the end of its output, to be shown with a bug."""
        ...

    def finish(self) -> None:
        """Let the process end, because there are no more requests."""
        ...

    def end(self) -> None:
        """End the process or the connection at once."""
        ...


class ProcessConnection:
    """A connection to a capture process that it starts."""

    def __init__(self) -> None:
        try:
            self._printed = ProcessOutput()
            self._process = subprocess.Popen(
                run_module("nnviz3d.capture.process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed.file,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",  # a line that is not text is not an event, and is quoted
                env={**os.environ, PARENT: str(os.getpid())},
                process_group=0,  # Ctrl-C reaches only this process, which then ends that one cleanly
            )
        except OSError as error:
            raise UserError(f"The capture process cannot be started: {error.strerror or error}.") from None
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The capture process has no pipes.")
        self.read, self.write = self._process.stdout, self._process.stdin

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end_error(self, reading: str | None) -> Exception:
        """Return an error that says how the process ended, or which model file made it crash."""
        try:
            code = self._process.wait(_GRACE)
            if reading is not None and -code in _KILLED_BY_A_FILE:
                return UserError(
                    f"{reading} cannot be read: the library that reads model files {_KILLED_BY_A_FILE[-code]}. Most "
                    "likely the file is damaged; copy or save it again."
                )
            how = f"died ({f'exit code {code}' if code >= 0 else f'signal {-code}'})."
        except subprocess.TimeoutExpired:
            self.cut()
            how = "stopped answering, and was ended."
        return WorkerCrashed("\n".join(p for p in (f"The capture process {how}", self.last_output()) if p))

    def silence_error(self) -> UserError:
        """Return an error that says that the process was ended."""
        return UserError(
            f"The capture process showed no sign of life for {SILENCE:.0f} s and was ended: it may have been stopped, or a "
            "disk or device may not answer; check these and start again."
        )

    def work_done(self) -> int | None:
        """Return the processor time that the process has used."""
        return processor_time(self._process.pid)

    def last_output(self) -> str:
        """Return the end of the process's output."""
        return self._printed.last(_TAIL)

    def finish(self) -> None:
        """Close the process's standard input, and wait until it has cleaned up."""
        with contextlib.suppress(BrokenPipeError):
            self.write.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.end()

    def cut(self) -> None:
        """Ask the process to end; kill it if it does not."""
        end_process(self._process, _GRACE)

    def end(self) -> None:
        """End the process, and close the pipes to it."""
        self.cut()
        self._close()

    def _close(self) -> None:
        for pipe in (self.write, self.read):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._printed.close()


class SocketConnection:
    """A connection to the process that holds a live model.

    Parameters
    ----------
    port, token
        The process's port on the loopback interface, and the secret that it expects first.
    """

    def __init__(self, port: int, token: str) -> None:
        try:
            self._socket = socket.create_connection(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"The process that holds the model no longer answers ({error.strerror}).") from None
        self.read = self._socket.makefile("r", encoding="utf-8", errors="backslashreplace")
        self.write = self._socket.makefile("w", encoding="utf-8")
        self.write.write(f"{token}\n")

    @property
    def alive(self) -> bool:
        """Return `True`: only a request can tell."""
        return True

    def end_error(self, reading: str | None) -> Exception:
        """Return an error that says that the process has ended."""
        return UserError("The process that holds the model has ended, so other samples cannot be run.")

    def silence_error(self) -> UserError:
        """Return an error that says that waiting for the process has ended."""
        return UserError(
            f"The process that holds the model showed no sign of life for {SILENCE:.0f} s; resume it if it was stopped, "
            "and choose the sample again."
        )

    def work_done(self) -> int | None:
        """Return `None`: the process may be busy with something else."""
        return None

    def last_output(self) -> str:
        """Return nothing: the process prints on its own terminal."""
        return ""

    def finish(self) -> None:
        """Close the connection."""
        for end in (self.read, self.write, self._socket):
            with contextlib.suppress(OSError):
                end.close()

    def cut(self) -> None:
        """Shut the connection down, so that pending reads return."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Shut the connection down, and close it."""
        self.cut()
        self.finish()
