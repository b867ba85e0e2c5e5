"""The capture process: ``python -m nnviz3d.capture.process``.

It reads `CaptureRequest`s, one line of JSON each, from its standard input until that is closed. It answers each with
`Event` lines on its standard output; the last one is `Finished`, `Refused` or `Crashed`. TensorFlow runs in this process
and never in one with a window, because on Linux TensorFlow and OpenGL in one process crash. A thread imports TensorFlow
from the start, before the first request arrives; a request that needs no TensorFlow to be refused does not wait for it.

Exit codes, by the last request: 0 finished, 2 refused, 1 crashed; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, TextIO

from nnviz3d.capture.preflight import refuse_early
from nnviz3d.capture.request_loop import INTERRUPTED, Report, serve_requests
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.request import CaptureRequest, Finished, Progress
from nnviz3d.errors import NO_TENSORFLOW, ModelError, lacks_tensorflow
from nnviz3d.parent_process import PARENT, end_with_parent
from nnviz3d.stopping import end_in_order

if TYPE_CHECKING:
    from nnviz3d.capture.model_cache import ModelCache

_UNUSED = ("IPython", "matplotlib", "pandas", "sklearn")
"""Packages that Keras imports where they are installed. Its tables, wrappers and charts, which need them, are not used
here, and they take a third of the time."""


def main() -> int:
    """Answer all requests, and return the exit code."""
    answers = _private_stdout()
    # A shell's background jobs ignore SIGINT, but here only the program that started this process sends it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_in_order()
    # The parent passes its process number, because it may have ended already.
    named = os.environ.get(PARENT, "")
    end_with_parent(int(named) if named.isdigit() and sys.platform != "win32" else os.getppid())

    try:
        with ExitStack() as stack:
            return serve_requests(sys.stdin, answers, _Runner(stack).capture)
    except KeyboardInterrupt:  # before the first request, or a second signal
        return INTERRUPTED


class _Runner:
    """Executes requests, once the import that it starts is done.

    Parameters
    ----------
    stack
        Removes the temporary files at the end.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._imported: Future[ModelCache] = Future()
        self._waited = False
        threading.Thread(target=self._import, name="nnviz3d import", daemon=True).start()

    def capture(self, request: CaptureRequest, say: Report) -> Finished:
        refuse_early(request)
        if self._waited:
            return self._imported.result().capture(request, say)
        started = time.perf_counter()
        say(Progress(stage="import", done=0))
        models = self._imported.result()
        self._waited = True
        # Libraries too make temporary files. The next run removes the folder of a process that was killed.
        tempfile.tempdir = str(self._stack.enter_context(temporary_folder()))
        spent = round(time.perf_counter() - started, 4)
        finished = models.capture(request, say)
        return finished.model_copy(update={"seconds": {"import": spent, **finished.seconds}})

    def _import(self) -> None:
        try:
            self._imported.set_result(_import_models())
        except BaseException as error:  # noqa: BLE001 - each request that needs the models raises it
            self._imported.set_exception(error)


def _import_models() -> ModelCache:
    # These have an effect only before TensorFlow is imported.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _hidden(_UNUSED):
            import keras  # noqa: F401 - without the packages that it does not need here
        from nnviz3d.capture.model_cache import ModelCache
    except ModuleNotFoundError as error:
        if not lacks_tensorflow(error):
            raise
        raise ModelError(NO_TENSORFLOW) from None
    return ModelCache()


@contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Make imports of packages fail in this thread as if they were not installed; those imported already stay.

    Other threads import them as usual: checks of a request's samples run meanwhile, and ``sklearn:NAME`` needs one.
    """
    absent = _Absent(frozenset(packages), threading.get_ident())
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


@dataclass(frozen=True)
class _Absent:
    """A finder of modules by which some packages are not installed for one thread.

    Attributes
    ----------
    packages
        Names of the packages.
    thread
        Number of the thread.
    """

    packages: frozenset[str]
    thread: int

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in self.packages and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _private_stdout() -> TextIO:
    """Reserve standard output for the answers: everything else that this process prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    # The cleanup is done. Without `_exit`, shutting down TensorFlow would delay a closing window by a second.
    code = main()
    sys.stderr.flush()
    os._exit(code)
