"""The other end of `drawing_process`: start the process, send it films and numbers of frames, and read the frames."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.liveness import processor_time
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent_process import ProcessOutput, end_process, parent_variables, run_module

_GRACE = 5.0
"""Seconds that the process has to end before it is killed."""
_TAIL = 4000
"""Most characters of the process's own output that are shown with a bug."""
_PART = 2**20
"""Most bytes that are read at a time."""
_KEEP = str(2**32)
# Otherwise the C library returns the memory of each frame to the system, which clears it again for the next one.
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": _KEEP, "MALLOC_TRIM_THRESHOLD_": _KEEP}

Answer = tuple[dict[str, Any], NDArray[np.uint8] | None]
"""A message of the process, and the packed frame if it sends one."""


class DrawingCrashed(Nnviz3dError):  # noqa: N818 - named after what happened
    """A process that draws crashed; the message contains its traceback or the end of its output."""

    @staticmethod
    def by_bug(traceback: str) -> DrawingCrashed:
        """Return the error for a process that answered with a traceback."""
        return DrawingCrashed(f"A process that draws failed.\n{traceback}")


def film_line(plan: str, ending: str) -> str:
    """Return the line that sends a film to the process.

    Parameters
    ----------
    plan
        JSON of `FilmPlan`.
    ending
        Ending of the film's name; nothing for a folder. The frames are packed for its format.
    """
    return json.dumps({"plan": json.loads(plan), "ending": ending})


class DrawingConnection:
    """A process that draws frames, and the pipes to it.

    Parameters
    ----------
    threads
        Number of threads with which Mesa draws; by default one for each core.

    Attributes
    ----------
    last_output
        The end of what the process printed, after `end`; nothing if it printed nothing.

    Raises
    ------
    UserError
        If the system cannot start the process.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.last_output = ""
        self._printed = ProcessOutput()
        settings = {} if threads is None else {"LP_NUM_THREADS": str(threads)}
        try:
            self._process = subprocess.Popen(
                run_module("nnviz3d.apps.film.drawing_process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed.file,
                env={**_MEMORY, **settings, **os.environ, **parent_variables()},
                process_group=0,  # Ctrl-C reaches only this process, which then ends that one
            )
        except OSError as error:
            self._printed.close()
            raise UserError(f"A process that draws cannot be started: {error.strerror or error}.") from None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def was_killed(self) -> bool:
        """Whether the process was ended from outside, by SIGKILL or SIGTERM."""
        return self._process.returncode in (-9, -15)

    def work_done(self) -> int | None:
        """Return the processor time that the process has used."""
        return processor_time(self._process.pid)

    def cut(self) -> None:
        """Kill the process, because it does not respond; `read` returns its end."""
        self._process.kill()

    def send(self, line: str) -> None:
        """Send a line: a `film_line`, or the number of a frame."""
        pipe = self._process.stdin
        if pipe is None:
            raise RuntimeError("The process has no pipe.")
        with suppress(OSError):  # it has ended; `read` says so
            pipe.write(line.encode() + b"\n")
            pipe.flush()

    def read(self) -> Answer | None:
        """Wait for one answer; `None` at the end of the process, also in the middle of an answer."""
        pipe = self._process.stdout
        if pipe is None:
            raise RuntimeError("The process has no pipe.")
        answer = _answer(pipe)
        if answer is None:
            self._process.wait()
        return answer

    def stop(self) -> None:
        """Ask the process to end."""
        with suppress(OSError):
            self._process.terminate()

    def end(self) -> None:
        """End the process, and wait for it. No other thread may read meanwhile."""
        self._wait()
        self._close()

    def death(self) -> Nnviz3dError:
        """Return the error that tells why the process ended by itself; to be called after `end`."""
        if self.was_killed:
            return UserError(
                "The system ended a process that draws, perhaps because the memory is too small; choose a smaller --size."
            )
        return DrawingCrashed("\n".join(filter(None, ("A process that draws ended.", self.last_output))))

    def _wait(self) -> None:
        end_process(self._process, _GRACE)

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self.last_output = self.last_output or self._printed.last(_TAIL)
        self._printed.close()


def _answer(pipe: IO[bytes]) -> Answer | None:
    """Read one answer; `None` at the end of the stream, also in the middle of an answer."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    answer: dict[str, Any] = json.loads(line)
    if "frame" not in answer:
        return answer, None
    frame = np.empty(answer["shape"], dtype=np.uint8)
    rest = frame.data.cast("B")
    while rest:
        part = pipe.read(min(len(rest), _PART))
        if not part:
            return None
        rest[: len(part)] = part
        rest = rest[len(part) :]
    return answer, frame
