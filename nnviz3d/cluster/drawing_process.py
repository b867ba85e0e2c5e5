"""The process in which a worker draws frames: ``python -m nnviz3d.cluster.drawing_process``, and its other end.

It reads lines of JSON, a `FilmPlan` and numbers of frames, and answers each frame with a line of JSON and the compressed
pixels. The film of the last plan stays open, so that its labels are placed once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.worker_connections import WorkerCrashed
from nnviz3d.errors import UserError
from nnviz3d.parent_process import PARENT, end_with_parent, run_module
from nnviz3d.stopping import end_at_once

_LEVEL = 1
"""Compression of pixels on their way, lossless and fast."""
_TAIL = 4000
"""Most characters of the process's own output that are shown with a bug."""


class DrawingProcess:
    """The other end: a process that draws the frames of one film after another."""

    def __init__(self) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            run_module("nnviz3d.cluster.drawing_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env={**os.environ, PARENT: str(os.getpid())},
            process_group=0,  # Ctrl-C reaches only this process, which then ends that one
        )
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def draw(self, plan: str, numbers: Sequence[int]) -> list[bytes]:
        """Draw frames, and return their compressed pixels.

        Parameters
        ----------
        plan
            The film: JSON of `FilmPlan`.
        numbers
            The frames, counted from 0.

        Raises
        ------
        UserError
            If the film cannot be drawn.
        WorkerCrashed
            If the process fails by a bug, or ends.
        """
        write, read = self._process.stdin, self._process.stdout
        if write is None or read is None:
            raise RuntimeError("The drawing process has no pipes.")
        frames: list[bytes] = []
        try:
            write.write(json.dumps({"plan": plan, "numbers": list(numbers)}).encode() + b"\n")
            write.flush()
            while len(frames) < len(numbers):
                told = json.loads(read.readline())
                if "refused" in told:
                    raise UserError(told["refused"])
                if "crashed" in told:
                    raise WorkerCrashed(f"The drawing process failed.\n{told['crashed']}")
                frames.append(_exactly(read, int(told["bytes"])))
        except (OSError, EOFError, ValueError):  # a broken pipe, or half a message
            raise WorkerCrashed(f"The drawing process ended.\n{self._last_output()}") from None
        return frames

    def end(self) -> None:
        """End the process."""
        with self._lock:
            self._process.kill()
            self._process.wait()

    def _last_output(self) -> str:
        self._process.wait(5)
        self._printed.seek(0)
        return self._printed.read().decode(errors="replace")[-_TAIL:]


def _exactly(read: Any, count: int) -> bytes:
    found: bytes = read.read(count)
    if len(found) < count:
        raise EOFError
    return found


def compressed(pixels: NDArray[np.uint8]) -> bytes:
    """Return a frame ``(H, W, 3)`` as compressed bytes."""
    return zlib.compress(np.ascontiguousarray(pixels).data, _LEVEL)


def decompressed(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the frame ``(H, W, 3)`` of a size, width and height, from compressed bytes."""
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[1], size[0], 3)


def main() -> None:
    """Answer all orders until standard input is closed."""
    end_at_once()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    end_with_parent()
    drawer = _Drawer()
    while line := sys.stdin.readline():
        try:
            drawer.answer(json.loads(line), answers)
        except UserError as error:
            _say(answers, {"refused": str(error)})
        except Exception:  # noqa: BLE001 - the other end shows any error in full
            _say(answers, {"crashed": traceback.format_exc()})


class _Drawer:
    """Draws frames of the film that was asked for last."""

    def __init__(self) -> None:
        self._plan = ""
        self._studio: Any = None

    def answer(self, asked: dict[str, Any], answers: BinaryIO) -> None:
        from nnviz3d.apps.film.frame_range import FilmPlan, FilmScene, FilmStudio

        if asked["plan"] != self._plan:
            if self._studio is not None:
                self._studio.close()
            self._studio, self._plan = None, ""
            self._studio = FilmStudio(FilmScene.of(FilmPlan.from_json(asked["plan"])))
            self._plan = asked["plan"]
        for number in asked["numbers"]:
            data = compressed(self._studio.frame(number))
            _say(answers, {"bytes": len(data)}, data)


def _say(answers: BinaryIO, told: dict[str, Any], data: bytes = b"") -> None:
    answers.write(json.dumps(told).encode() + b"\n" + data)
    answers.flush()


if __name__ == "__main__":
    main()
