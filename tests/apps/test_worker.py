"""Tests of the capture process and its parent. Only child processes import TensorFlow."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nnviz3d.apps.progress import capture_with_progress
from nnviz3d.apps.worker import Worker, run_capture
from nnviz3d.apps.worker_connections import WorkerCrashed
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import EVENT, CaptureRequest, Finished, Notice, Progress, Refused
from nnviz3d.errors import UserError

pytestmark = pytest.mark.slow

DIGITS = str(bundled("digits.keras"))
MANY = ("digits:0-999",) * 8
"""Samples enough that a signal arrives before the last of them, also on a busy machine."""


def worker(request, **environment):
    """Start the capture process without a `Worker`, so that a test can control it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnviz3d.capture.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    process.stdin.write((request if isinstance(request, str) else request.model_dump_json()) + "\n")
    process.stdin.flush()
    return process


def stand_in(tmp_path, monkeypatch, script):
    """Replace the capture process by a shell script."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def request(tmp_path, **changes):
    return CaptureRequest(**{"model": DIGITS, "inputs": ("digits:7",), "out": tmp_path / "run.zarr", **changes})


@pytest.mark.tensorflow
def test_worker_captures_a_model(tmp_path):
    events = []
    finished = run_capture(request(tmp_path, inputs=("digits:0-9",)), events.append)
    assert isinstance(finished, Finished)
    assert (finished.samples, finished.nodes) == (10, 9)
    assert {"import", "load", "trace", "forward", "write", "connections"} <= set(finished.seconds)
    stages = dict.fromkeys(e.stage for e in events if isinstance(e, Progress))
    assert list(stages) == ["import", "load", "trace", "forward", "write", "connections"]
    assert any("Preprocessing unit" in e.text for e in events if isinstance(e, Notice))
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.activations("dense_1").values.argmax(1).tolist() == capture.labels.tolist()


def test_parent_does_not_import_tensorflow():
    code = "import sys, nnviz3d.apps.progress; sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_worker_starts_before_any_large_library_is_imported():
    code = (
        "import sys; from nnviz3d.cli.targets import capturing\n"
        "with capturing(None): sys.exit(bool({'numpy', 'zarr', 'pydantic', 'rich', 'vtkmodules'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.tensorflow
def test_bundled_capture_equals_a_new_capture(tmp_path):
    ready = open_capture(bundled("digits.zarr.zip"))
    run_capture(request(tmp_path, inputs=ready.provenance.samples))
    again = open_capture(tmp_path / "run.zarr")
    assert again.graph == ready.graph
    assert np.allclose(again.activations("dense_1").values, ready.activations("dense_1").values, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "nowhere.keras"}, "There is no model at nowhere.keras"),
        ({"inputs": ("nowhere.png",)}, "There is no input nowhere.png"),
        ({"out": Path("nowhere/run.zarr")}, "the folder nowhere does not exist"),
        ({"out": Path("run.npz")}, "name ends in .zarr"),
    ],
)
def test_wrong_request_is_refused_before_tensorflow_starts(tmp_path, changes, words):
    events = []
    with pytest.raises(UserError, match=words) as caught:
        run_capture(request(tmp_path, **changes), events.append)
    assert "\n" not in str(caught.value)
    assert events == []


@pytest.mark.tensorflow
def test_refused_request_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match="digits:5000 is out of range"):
        run_capture(request(tmp_path, inputs=("digits:5000",)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_no_file(tmp_path, number):
    process = worker(request(tmp_path, inputs=MANY))
    for line in process.stdout:
        event = EVENT.validate_json(line)
        if isinstance(event, Progress) and event.stage == "connections":
            break  # some samples are written, most are not
    assert [p.suffix for p in tmp_path.iterdir()] == [".partial"]
    process.send_signal(number)
    rest, chatter = process.communicate()
    assert process.returncode == 130
    assert "finished" not in rest
    assert "Traceback" not in chatter
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorflow
def test_error_in_the_parent_ends_the_process(tmp_path):
    def stop(event):
        if isinstance(event, Progress) and event.stage == "connections":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_capture(request(tmp_path, inputs=MANY), stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorflow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches a process that is not its own child")
def test_process_ends_when_its_parent_is_killed(tmp_path):
    code = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'nnviz3d.capture.process']\n"
        "p = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
        "p.stdin.write(sys.argv[1].encode() + b'\\n'); p.stdin.flush(); print(p.pid, flush=True); p.wait()\n"
    )
    ask = request(tmp_path, inputs=MANY).model_dump_json()
    parent = subprocess.Popen([sys.executable, "-c", code, ask], stdout=subprocess.PIPE, text=True)
    child = os.pidfd_open(int(parent.stdout.readline()))
    for line in parent.stdout:  # the grandchild writes into the same pipe
        if json.loads(line).get("stage") == "connections":
            break
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    assert ended
    assert list(tmp_path.iterdir()) == []


def test_missing_tensorflow_is_one_sentence_with_advice(tmp_path):
    for missing in ("keras", "tensorflow"):
        fake = tmp_path / missing / "packages"
        (fake / missing).mkdir(parents=True)
        (fake / missing / "__init__.py").write_text(f"raise ModuleNotFoundError('No module', name={missing!r})\n")
        if missing == "tensorflow":
            (fake / "keras.py").write_text("import tensorflow\n")
        out, _ = worker(
            request(tmp_path), PYTHONPATH=f"{fake}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        ).communicate()
        last = EVENT.validate_json(out.splitlines()[-1])
        assert isinstance(last, Refused)
        assert "pip install tensorflow" in last.message


def test_invalid_line_on_standard_input_is_a_crash(tmp_path):
    process = worker("this is not a request")
    out, _ = process.communicate()
    assert process.returncode == 1
    assert "The request is not valid" in EVENT.validate_json(out).traceback


def test_crash_shows_its_traceback_and_the_end_of_the_output(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        """echo chatter >&2; echo '{"event": "crashed", "traceback": "Traceback: a bug"}'; exit 1""",
    )
    with pytest.raises(WorkerCrashed, match=r"(?s)failed\..*Traceback: a bug.*printed last:\nchatter") as caught:
        run_capture(request(tmp_path))
    assert not isinstance(caught.value, UserError)


def test_process_that_ends_without_a_message_is_a_crash(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo last words >&2; kill -SEGV $$")
    with pytest.raises(WorkerCrashed, match=r"(?s)died \(signal 11\)\..*last words"):
        run_capture(request(tmp_path))


def test_process_that_sends_an_invalid_line_is_a_crash(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo hello")
    with pytest.raises(WorkerCrashed, match="sent a line that is no event: 'hello"):
        run_capture(request(tmp_path))


def test_quick_work_shows_notices_and_no_progress_bar(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        """echo '{"event": "notice", "text": "A [red] notice."}'
echo '{"event": "progress", "stage": "write", "done": 1, "total": 2}'
echo '{"event": "finished", "out": "run.zarr", "samples": 1, "nodes": 1, "seconds": {}}'""",
    )
    screen = io.StringIO()
    finished = capture_with_progress(request(tmp_path), console=Console(file=screen, width=200))
    assert finished.samples == 1
    assert screen.getvalue().strip() == "A [red] notice."


def test_notices_show_brackets_of_names(monkeypatch):
    def told(request, hear):
        hear(Notice(text="[bold]x.png :cat: was cropped."))
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    monkeypatch.setattr("nnviz3d.apps.progress.run_capture", told)
    screen = io.StringIO()
    capture_with_progress(CaptureRequest(model="m.keras", out=Path("run.zarr")), console=Console(file=screen, width=20))
    assert screen.getvalue() == "[bold]x.png :cat: was cropped.\n"


def test_process_that_ended_between_requests_is_replaced_silently(tmp_path, monkeypatch):
    stand_in(
        tmp_path,
        monkeypatch,
        """read request
echo '{"event": "finished", "out": "run.zarr", "samples": 1, "nodes": '$$', "seconds": {}}'""",
    )
    worker = Worker()
    first = worker.run(request(tmp_path)).nodes
    while worker._connection.alive:
        time.sleep(0.01)
    assert worker.run(request(tmp_path)).nodes != first
    worker.close()
    with pytest.raises(UserError, match="the program ends"):
        worker.run(request(tmp_path))


def test_steps_beside_a_request_end_with_its_answer(tmp_path, monkeypatch):
    finished = """echo '{"event": "finished", "out": "run.zarr", "samples": 1, "nodes": 1, "seconds": {}}'"""
    go = tmp_path / "go"
    waits = f"until [ -e '{go}' ]; do sleep 0.02; done"
    stand_in(tmp_path, monkeypatch, f"read request; {waits}; {finished}; read request; exec sleep 600")
    worker, taken = Worker(), []

    def answered():
        go.touch()
        for thread in threading.enumerate():
            if thread.name == "nnviz3d worker":
                thread.join(30)

    def fail():
        raise ZeroDivisionError

    steps = [lambda: taken.append("before the answer"), answered, fail]
    assert worker.run(request(tmp_path), beside=steps).samples == 1
    assert taken == ["before the answer"]
    with pytest.raises(ZeroDivisionError):
        worker.run(request(tmp_path), beside=[fail])
    worker.close()


def test_worker_can_be_closed_while_a_thread_waits_for_it(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "read request; exec sleep 600")
    worker, died = Worker(), []

    def wait():
        try:
            worker.run(request(tmp_path))
        except WorkerCrashed as error:
            died.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    while worker._connection is None:
        time.sleep(0.01)
    worker.close()
    thread.join(30)
    # A machine that is very busy needs the second signal.
    assert died in ([f"The capture process died (signal {number})."] for number in (15, 9))
