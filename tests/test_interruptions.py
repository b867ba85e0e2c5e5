"""Ctrl-C at each moment at which work waits for the system: what was made is ended or removed."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.api import command_process
from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.api.command_process import CommandProcess
from nnviz3d.apps import worker_connections
from nnviz3d.apps.film.gif import GifFilm
from nnviz3d.apps.film.writer_thread import FilmWriter
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.training_follower import TrainingFollower
from nnviz3d.apps.whole_files import write_whole
from nnviz3d.apps.worker import Worker
from nnviz3d.cluster.destination import LocalDestination
from nnviz3d.data.capture import Capture
from nnviz3d.data.files.locks import WriterLock
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.request import CaptureRequest
from nnviz3d.stopping import DelayedSignals
from tests.support.captures import small_capture
from tests.support.interruptions import left_by_interruptions
from tests.support.trainings import small_training

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the list of processes from /proc"),
    pytest.mark.slow,
]

MADE: dict[str, Capture] = {}
"""Captures that work only reads."""
WAITS = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
"""A program that ends with its input, in place of a capture process or a viewer."""


@pytest.fixture(autouse=True, scope="module")
def _training(tmp_path_factory: pytest.TempPathFactory):
    MADE["training"] = small_training(tmp_path_factory.mktemp("training") / "run.zarr")


@pytest.fixture(autouse=True)
def _short_programs(monkeypatch: pytest.MonkeyPatch):
    for module in (worker_connections, command_process):
        monkeypatch.setattr(module, "run_module", lambda *words: WAITS)


def in_temporary_folder(folder: Path) -> None:
    with temporary_folder() as made:
        (made / "file").touch()


def in_whole_file(folder: Path) -> None:
    write_whole(folder / "whole", b"content")


def in_capture(folder: Path) -> None:
    small_capture(folder / "whole.zarr.zip")


def in_capture_of_a_cluster(folder: Path) -> None:
    with LocalDestination(folder / "run.zarr") as destination:
        Path(destination.store).mkdir()


def in_lock(folder: Path) -> None:
    lock = WriterLock(folder / "run.zarr")
    try:
        lock.take()
    finally:
        lock.give_back()


def in_capture_process(folder: Path) -> None:
    worker = Worker()
    try:
        worker.start()
        worker.finish()
    finally:
        worker.close()


def in_sample_runner(folder: Path) -> None:
    worker = Worker()
    runner = SampleRunner(worker, CaptureRequest(model="model.keras", out=folder / "run.zarr"), folder)
    try:
        worker.start()
        runner.prepare("random")
    finally:
        runner.close()


def in_training_follower(folder: Path) -> None:
    with TrainingFollower(MADE["training"]):
        pass


def in_film(folder: Path) -> None:
    with ExitStack() as stack, DelayedSignals() as signals:  # as `record` does
        film = GifFilm(folder / "whole.gif", (64, 64), 10)
        writer = stack.enter_context(FilmWriter(film, film.packed))
        for number in range(3):
            writer.put(number, np.zeros((64, 64, 3), np.uint8))
            signals.check()


def in_viewer_of_python(folder: Path) -> None:
    arguments = CommandArguments()
    try:
        process = CommandProcess("serve", [], listen=True)
        process.end()
    finally:
        arguments.close()


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_signal_before_an_error_that_is_handled_is_not_lost():
    def fail_after_a_signal() -> None:
        with suppress(ValueError), DelayedSignals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        fail_after_a_signal()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "work",
    [
        in_temporary_folder,
        in_whole_file,
        in_capture,
        in_capture_of_a_cluster,
        in_lock,
        in_capture_process,
        in_sample_runner,
        in_training_follower,
        in_film,
        in_viewer_of_python,
    ],
)
def test_interrupted_work_leaves_no_files_processes_or_threads(
    work: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def started_in(folder: Path) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        work(folder)

    whole = frozenset({"whole", "whole.zarr.zip", "whole.gif"})
    assert left_by_interruptions(started_in, tmp_path, keeps=whole, most=12) == []
