"""A Dask scheduler and its workers in processes of their own, as on several machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import wait_until

SCHEDULER = (
    "distributed.cli.dask_scheduler",
    "--host",
    "127.0.0.1",
    "--port",
    "0",
    "--no-dashboard",
    "--scheduler-file",
)
WORKER = ("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--scheduler-file")
OTHER_VERSION = """
import nnviz3d.version

nnviz3d.version.__version__ = {version!r}
"""
HIDE = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


class RunningCluster:
    """A scheduler; workers are started and ended one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler = self._start(*SCHEDULER, str(self.file))
        self.address: str = wait_until(self._written_address, "the scheduler starts", patience=60, pause=0.1)

    def start_worker(self, *without: str, version: str = "") -> subprocess.Popen[bytes]:
        """Start a worker in a folder of its own that cannot import some packages, or has another version of nnviz3d."""
        environment = dict(os.environ)
        number = len(self.workers)
        own = self.folder / f"worker-{number}"
        own.mkdir()
        if without or version:
            start = OTHER_VERSION.format(version=version) if version else HIDE.format(names=without)
            (own / "sitecustomize.py").write_text(start)
            environment["PYTHONPATH"] = f"{own}{os.pathsep}{environment.get('PYTHONPATH', '')}"
        words = (*WORKER, str(self.file), "--name", f"worker-{number}", "--local-directory", str(own))
        self.workers.append(self._start(*words, environment=environment, folder=own))
        return self.workers[-1]

    def end(self) -> None:
        """End all processes."""
        for process in (*self.workers, self._scheduler):
            process.terminate()
        for process in (*self.workers, self._scheduler):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _written_address(self) -> str:
        """Return the scheduler's address; empty until its file is whole."""
        try:
            return str(json.loads(self.file.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            return ""

    def _start(
        self, *words: str, environment: dict[str, str] | None = None, folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        printed = (self.folder / "printed.txt").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=printed,
            stderr=printed,
            env=environment,
            cwd=folder or self.folder,
            process_group=0,
        )


@contextmanager
def running_cluster(folder: Path, workers: int) -> Iterator[RunningCluster]:
    """Start a scheduler and workers; all end with the context."""
    cluster = RunningCluster(folder)
    try:
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.end()
