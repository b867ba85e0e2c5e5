"""The capture process answers several requests."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.unfinished import is_unfinished
from nnviz3d.data.request import EVENT, CaptureRequest, Crashed, Finished, Notice, Progress, Refused, Working
from tests.support.processes import memory_of

pytestmark = pytest.mark.slow

DIGITS = str(bundled("digits.keras"))


class Process:
    def __init__(self, folder, temporary=None):
        self.folder = folder
        self.child = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d.capture.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=None if temporary is None else {**os.environ, "TMPDIR": str(temporary)},
            text=True,
            encoding="utf-8",
        )

    def send(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        events = []
        for answer in self.child.stdout:
            events.append(EVENT.validate_json(answer))
            if not isinstance(events[-1], Progress | Notice | Working):
                break
        return events

    def ask(self, *inputs, out="run.zarr.zip", model=DIGITS, **options):
        request = CaptureRequest(model=model, inputs=inputs, out=self.folder / out, transient=True, **options)
        return self.send(request.model_dump_json())

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        return self.child.wait()


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    process = Process(tmp_path_factory.mktemp("process"))
    process.ask("digits:1")
    yield process
    process.end()
    process.child.stdout.close()


def stages(events):
    return {event.stage for event in events if isinstance(event, Progress)}


def test_second_request_imports_and_loads_nothing(process):
    for i in (7, 8):
        events = process.ask(f"digits:{i}")
        assert isinstance(events[-1], Finished)
        assert stages(events) == {"trace", "forward", "write", "connections"}
        assert open_capture(process.folder / "run.zarr.zip").provenance.samples == (f"digits:{i}",)
    assert [p.name for p in process.folder.iterdir()] == ["run.zarr.zip"]


def test_process_continues_after_refused_and_crashed_requests(process):
    for events, kind in (
        (process.ask("digits:5000"), Refused),
        (process.ask("nowhere.png"), Refused),
        (process.ask("digits:7", model="nowhere.keras"), Refused),
        (process.ask("digits:7", classes=Path("nowhere.txt")), Refused),
        (process.send("this is no request"), Crashed),
        (process.ask("digits:7", out="a\0b.zarr.zip"), Refused),
    ):
        assert isinstance(events[-1], kind), events[-1]
        assert isinstance(process.ask("digits:7")[-1], Finished)
    assert process.child.poll() is None


def test_results_equal_those_of_another_process(process, tmp_path):
    process.ask("digits:3")
    process.ask("digits:7")
    kept = open_capture(process.folder / "run.zarr.zip")
    other = Process(tmp_path)
    assert isinstance(other.ask("digits:7")[-1], Finished)
    assert other.end() == 0
    fresh = open_capture(tmp_path / "run.zarr.zip")
    for node in fresh.graph:
        assert np.array_equal(kept.activation(node.id), fresh.activation(node.id))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of another process")
def test_memory_does_not_grow_with_requests(process):
    def memory():
        return memory_of(process.child.pid) / 2**20

    for i in range(20):
        process.ask(f"digits:{i}")
    before = memory()
    for i in range(100):
        process.ask(f"digits:{i}")
    assert memory() - before < 16, "MiB"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupt_ends_a_waiting_process(tmp_path, number):
    process = Process(tmp_path)
    process.ask("nowhere.png")  # after an answer its signal handlers are set
    process.child.send_signal(number)
    assert process.child.wait() == 130
    process.end()


def test_import_starts_before_the_first_request_and_leaves_out_what_keras_does_not_need_here():
    code = (
        "import sys; from contextlib import ExitStack; from nnviz3d.capture import process;"
        "process._Runner(ExitStack())._imported.result();"
        "assert 'keras' in sys.modules; assert not {'pandas', 'sklearn', 'matplotlib', 'IPython'} & set(sys.modules);"
        "import sklearn, matplotlib"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_packages_are_left_out_in_the_importing_thread_alone():
    code = (
        "import threading; from nnviz3d.capture import process\n"
        "with process._hidden(('sklearn', 'colorsys')):\n"
        "    try: import colorsys\n"
        "    except ModuleNotFoundError as error: found = error.name\n"
        "    other = threading.Thread(target=__import__, args=('sklearn.datasets',)); other.start(); other.join()\n"
        "assert found == 'colorsys'; import colorsys, sys; assert 'sklearn.datasets' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_process_without_requests_exits_with_0(tmp_path):
    assert Process(tmp_path).end() == 0


def test_killed_process_is_reported_without_waiting(tmp_path):
    process = Process(tmp_path)
    process.ask("nowhere.png")
    os.kill(process.child.pid, signal.SIGKILL)
    assert process.child.wait() == -signal.SIGKILL
    assert process.child.stdout.read() == ""


def test_prepared_process_has_loaded_and_compiled_the_model(tmp_path, tmp_path_factory):
    temporary = tmp_path_factory.mktemp("temporary")
    process = Process(tmp_path, temporary)
    prepared = process.ask("digits:3", prepare=True)
    assert isinstance(prepared[-1], Finished)
    assert prepared[-1].samples == 0
    assert {"import", "load", "trace"} <= stages(prepared)
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    assert stages(process.ask("digits:7")) == {"trace", "forward", "write", "connections"}
    # One folder for all temporary files: `test_unfinished` proves that the next run removes that of a killed process.
    assert [is_unfinished(path.name) for path in temporary.iterdir()] == [True]
    assert process.end() == 0
    assert list(temporary.iterdir()) == []
