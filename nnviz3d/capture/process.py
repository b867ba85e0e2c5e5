"""The capture process: ``python -m nnviz3d.capture.process``.

It reads `CaptureRequest`s, one line of JSON each, from its standard input until that is closed. It answers each with
`Event` lines on its standard output; the last one is `Finished`, `Refused` or `Crashed`. TensorFlow runs in this process
and never in one with a window, because on Linux TensorFlow and OpenGL in one process crash.

Exit codes, by the last request: 0 finished, 2 refused, 1 crashed; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from nnviz3d.capture.preflight import refuse_early
from nnviz3d.capture.request_loop import INTERRUPTED, Report, serve_requests
from nnviz3d.data.request import CaptureRequest, Finished, Progress
from nnviz3d.errors import NO_TENSORFLOW, ModelError, lacks_tensorflow
from nnviz3d.parent_process import PARENT, end_with_parent
from nnviz3d.stopping import end_at_once

if TYPE_CHECKING:
    from nnviz3d.capture.model_cache import ModelCache


def main() -> int:
    """Answer all requests, and return the exit code."""
    answers = _private_stdout()
    _listen()
    # The parent passes its process number, because it may have ended already.
    named = os.environ.get(PARENT, "")
    end_with_parent(int(named) if named.isdigit() and sys.platform != "win32" else os.getppid())

    try:
        return serve_requests(sys.stdin, answers, _Runner().capture)
    except KeyboardInterrupt:  # before the first request
        return INTERRUPTED


class _Runner:
    """Executes requests; TensorFlow is imported for the first one that passes the checks without it."""

    def __init__(self) -> None:
        self._model: ModelCache | None = None

    def capture(self, request: CaptureRequest, say: Report) -> Finished:
        refuse_early(request)
        if self._model is not None:
            return self._model.capture(request, say)
        started = time.perf_counter()
        say(Progress(stage="import", done=0))
        self._model = _import_models()
        spent = round(time.perf_counter() - started, 4)
        finished = self._model.capture(request, say)
        return finished.model_copy(update={"seconds": {"import": spent, **finished.seconds}})


def _import_models() -> ModelCache:
    # These have an effect only before TensorFlow is imported.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    end_at_once()  # the import of TensorFlow must not be interrupted, and nothing has been written yet
    try:
        from nnviz3d.capture.model_cache import ModelCache
    except ModuleNotFoundError as error:
        if not lacks_tensorflow(error):
            raise
        raise ModelError(NO_TENSORFLOW) from None
    finally:
        _listen()
    return ModelCache()


def _private_stdout() -> TextIO:
    """Reserve standard output for the answers: everything else that this process prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _listen() -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    # The cleanup is done. Without `_exit`, shutting down TensorFlow would delay a closing window by a second.
    code = main()
    sys.stderr.flush()
    os._exit(code)
