"""Host process that runs one command after another: ``python -m tests.fuzz.host``.

Imports and the capture process are kept between the commands; otherwise three hundred of them would take half an hour.
The rest is the real command line. Each command is a line of JSON, ``{"arguments", "folder"}``, and so is each answer,
``{"code", "out", "err", "peak", "grown"}``: exit code, output, the highest resident memory of this process in bytes, and
by how many bytes the capture process grew at most.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from nnviz3d.apps.worker import Worker
from nnviz3d.apps.worker_connections import ProcessConnection
from nnviz3d.cli import main as run_command
from nnviz3d.cli import targets
from tests.support.processes import memory_of


class _KeptConnection(ProcessConnection):
    """The capture process, with access to its memory figures."""

    @property
    def id(self) -> int:
        return self._process.pid


class _KeptWorker:
    """Captures in one process, which is started again if it has died."""

    def __init__(self) -> None:
        self.worker = Worker(self._connect)
        self._connection: _KeptConnection | None = None

    def _connect(self) -> _KeptConnection:
        self._connection = _KeptConnection()
        return self._connection

    @property
    def id(self) -> int | None:
        return None if self._connection is None or not self._connection.alive else self._connection.id


class _Lent:
    """A worker that lives longer than the command that uses it."""

    def __init__(self, worker: Worker) -> None:
        self.start, self.run = worker.start, worker.run

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


def _forget_peak(process: int | str) -> None:
    Path(f"/proc/{process}/clear_refs").write_text("5")


def _answer(arguments: list[str], kept: _KeptWorker) -> dict[str, Any]:
    worker = kept.id
    before = 0
    if worker is not None:
        _forget_peak(worker)
        before = memory_of(worker, "VmRSS")
    _forget_peak("self")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # Files replace the system's streams, because VTK and TensorFlow write to these directly.
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code: object = 0
        try:
            run_command(arguments)
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001 - a traceback is what the fuzzer looks for
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", errors="backslashreplace"))
    grown = 0 if worker is None or worker != kept.id else memory_of(worker, "VmHWM") - before
    return {
        "code": 0 if code is None else code,
        "out": texts[0],
        "err": texts[1],
        "peak": memory_of("self", "VmHWM"),
        "grown": grown,
    }


def main() -> None:
    """Answer commands until the input ends."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    kept = _KeptWorker()
    targets.new_worker = lambda: _Lent(kept.worker)  # type: ignore[assignment,return-value]
    try:
        for line in requests:
            asked = json.loads(line)
            os.chdir(asked["folder"])
            answer = _answer(asked["arguments"], kept)
            os.chdir("/")
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        kept.worker.close()


if __name__ == "__main__":
    main()
