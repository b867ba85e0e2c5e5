"""Tests that waiting for a process that does not answer always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nnviz3d.apps import worker_connections as module
from nnviz3d.apps.liveness import Watchdog, processor_time
from nnviz3d.apps.worker import Worker
from nnviz3d.apps.worker_connections import WorkerCrashed
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import UserError
from tests.apps.test_worker import stand_in


class Other:
    """A peer whose work a test controls."""

    def __init__(self, *, works: bool) -> None:
        self._works = works
        self._done = 0
        self.ended = threading.Event()

    def work_done(self) -> int | None:
        self._done += self._works
        return self._done

    def cut(self) -> None:
        self.ended.set()


def request() -> CaptureRequest:
    return CaptureRequest(model="model.keras", out=Path("run.zarr"))


def test_watch_cuts_a_silent_and_idle_connection():
    other = Other(works=False)
    with Watchdog(other, 0.2) as watchdog:
        assert other.ended.wait(30)
    assert watchdog.silent


def test_watch_keeps_a_silent_connection_whose_process_works():
    other = Other(works=True)
    with Watchdog(other, 0.1) as watchdog:
        assert not other.ended.wait(0.5)
    assert not watchdog.silent


def test_watch_keeps_an_idle_connection_that_sends_words():
    other = Other(works=False)
    talks = threading.Event()
    with Watchdog(other, 0.6) as watchdog:

        def talk() -> None:
            while not talks.wait(0.01):
                watchdog.count_message()

        thread = threading.Thread(target=talk)
        thread.start()
        assert not other.ended.wait(1.5)
        talks.set()
        thread.join()
    assert not watchdog.silent


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_processor_time_grows_with_work_and_not_with_sleep():
    before = processor_time(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert before is not None
    assert (processor_time(os.getpid()) or 0) >= before + 5  # ticks of 10 ms
    with subprocess.Popen(["sleep", "60"]) as asleep:
        assert processor_time(asleep.pid) == 0
        asleep.kill()
    assert processor_time(asleep.pid) is None


@pytest.mark.parametrize("script", ["kill -STOP $$; exec sleep 600", "read request; exec sleep 600"])
def test_worker_that_is_stopped_or_idle_is_ended_with_a_sentence(tmp_path, monkeypatch, script):
    stand_in(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/id; {script}")
    with pytest.raises(UserError, match="The capture process showed no sign of life"):
        Worker(patience=1.0).run(request())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)


def test_worker_that_does_not_read_a_long_request_is_ended(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "exec sleep 600")
    long = request().model_copy(update={"inputs": ("x" * 200,) * 10_000})  # more than a pipe holds
    with pytest.raises(UserError, match="no sign of life"):
        Worker(patience=1.0).run(long)


@pytest.mark.parametrize("said", [r"\377\376\n", r"hello\n", r"[[[[\n"])
def test_garbage_from_a_running_worker_is_a_crash_at_once(tmp_path, monkeypatch, said):
    stand_in(tmp_path, monkeypatch, f"printf '{said}'; exec sleep 600")
    with pytest.raises(WorkerCrashed, match="sent a line that is no event"):
        Worker().run(request())


def test_endless_line_from_a_worker_is_a_crash(tmp_path, monkeypatch):
    monkeypatch.setattr("nnviz3d.apps.worker._LONGEST", 10_000)
    stand_in(tmp_path, monkeypatch, "exec tr '\\0' x < /dev/zero")
    with pytest.raises(WorkerCrashed, match="sent a line that is no event") as caught:
        Worker().run(request())
    assert len(str(caught.value)) < 700


def test_worker_that_closes_its_output_and_keeps_running_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GRACE", 0.2)
    stand_in(tmp_path, monkeypatch, "exec >&-; trap '' TERM; while true; do sleep 1; done")
    with pytest.raises(WorkerCrashed, match="stopped answering"):
        Worker().run(request())


def test_finish_ends_a_worker_that_does_not_end_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GRACE", 0.2)
    stand_in(
        tmp_path,
        monkeypatch,
        """read request
echo '{"event": "finished", "out": "run.zarr", "samples": 1, "nodes": 1, "seconds": {}}'
exec sleep 600""",
    )
    worker = Worker()
    worker.run(request())
    worker.finish()


def test_request_that_cannot_be_written_starts_no_process(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"touch {tmp_path}/started; exec sleep 600")
    with pytest.raises(ValueError, match="serialize"):
        Worker().run(CaptureRequest.model_construct(model=object(), out=Path("run.zarr")))
    assert not (tmp_path / "started").exists()


def test_killed_worker_is_a_crash(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "kill -KILL $$")
    with pytest.raises(WorkerCrashed, match=f"signal {signal.SIGKILL:d}"):
        Worker().run(request())


@pytest.mark.parametrize(
    ("name", "words"), [("VTALRM", "did not finish it in time"), ("SEGV", "crashed on it"), ("ABRT", "aborted on it")]
)
def test_model_file_that_kills_the_reading_process_is_one_sentence(tmp_path, monkeypatch, name, words):
    loading = '{"event": "progress", "stage": "load", "done": 0}'
    stand_in(tmp_path, monkeypatch, f"read request; echo '{loading}'; kill -{name} $$")
    with pytest.raises(UserError, match=f"model.keras cannot be read: the library that reads model files {words}"):
        Worker().run(request())


def test_worker_that_dies_after_loading_is_a_crash(tmp_path, monkeypatch):
    stages = "; ".join(f"""echo '{{"event": "progress", "stage": "{s}", "done": 0}}'""" for s in ("load", "trace"))
    stand_in(tmp_path, monkeypatch, f"read request; {stages}; kill -SEGV $$")
    with pytest.raises(WorkerCrashed, match=f"signal {signal.SIGSEGV:d}"):
        Worker().run(request())


def test_endless_reading_of_an_hdf5_file_ends_the_process():
    code = (
        "from nnviz3d.capture.loading import model_archive as archive; archive._LONGEST = 0.2\n"
        "with archive._ends():\n    while True: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == -signal.SIGVTALRM
