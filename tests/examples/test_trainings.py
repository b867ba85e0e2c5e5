"""Tests of the examples that record trainings: with `fit`, with a page, and in a custom loop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run
from tests.support.processes import processes_of_session
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_custom_loop_is_recorded(tmp_path: Path):
    done = run(EXAMPLES / "custom_loop.py", "--steps", 400, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *norms, last = done.stdout.splitlines()
    said = re.fullmatch(r"21 of 400 steps recorded; loss ([\d.]+) → ([\d.]+)", first)
    assert said is not None
    assert float(said[2]) < float(said[1]) / 4, "the network has learned"
    assert [line.partition(":")[0] for line in norms] == ["hidden", "hidden_1", "scores"]
    assert last == "To see the training: nnviz3d serve spirals.zarr"
    capture = open_capture(tmp_path / "spirals.zarr")
    assert capture.training.finished
    assert capture.training.probe_steps.tolist() == capture.training.weight_steps.tolist() == [1, *range(20, 401, 20)]
    read = capture.activations("scores").values.argmax(axis=1)
    assert np.mean(read == capture.labels) > 0.8


def test_training_with_fit_is_recorded(tmp_path: Path):
    done = run(EXAMPLES / "train_and_watch.py", "--epochs", 3, "--no-show", "-o", "three.zarr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(
        r"(\d+)% of 100 digits that were not used for training are classified correctly\.", done.stdout.splitlines()[-1]
    )
    assert said is not None
    assert int(said[1]) > 40, "by chance it would be 10"
    capture = open_capture(tmp_path / "three.zarr")
    assert capture.training.finished
    assert capture.training.steps.tolist() == [1, *range(5, 88, 5)]
    assert capture.classes == tuple("0123456789")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the list of processes from /proc")
def test_page_follows_the_training_until_ctrl_c(tmp_path: Path):
    program = subprocess.Popen(
        [sys.executable, EXAMPLES / "train_and_watch.py", "--epochs", "10000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "BROWSER": "true", "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        # A shell that runs the tests in the background makes all its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert program.stdout is not None
    url = next(line.strip() for line in program.stdout if line.startswith("http://"))
    before = len(open_capture(tmp_path / "training.zarr").training)
    with urlopen(url) as page:
        assert page.status == 200
    assert "Epoch" in program.stdout.readline() + program.stdout.readline(), "the training continues meanwhile"
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode not in (0, None), "it was interrupted"
    assert "nnviz3d:" not in errors
    wait_until(
        lambda: not processes_of_session(program.pid), "the viewer ends with the program", patience=60.0, pause=0.1
    )
    training = open_capture(tmp_path / "training.zarr").training
    assert len(training) >= before > 0
    assert len(training.probe_steps) == len(training)
