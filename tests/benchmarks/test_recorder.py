"""Costs of recording a training: time per step, whole trainings, memory; and the delay of the page that follows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.apps.conftest import Served
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table
from tests.support.browser import looking
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parents[2]


def training(*words: object) -> subprocess.Popen[str]:
    """Start a training in a separate process, because TensorFlow and VTK never share one."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.training", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def numbers(*words: object) -> dict[str, object]:
    """Run a training, and return what it prints last."""
    process = training(*words)
    said, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(said.splitlines()[-1])


def test_default_settings_cost_little(tmp_path: Path, smallest: bool) -> None:
    found = numbers("whole", tmp_path, 1 if smallest else 3, 0 if smallest else 30)
    table("Seconds of fit, the digits network", [[name, value] for name, value in found.items()])
    record_result(
        "live_cost",
        found["recorded"] / found["plain"],
        f"`fit` of the digits network for {found['steps']:,} steps in batches of 128, {found['plain']:.1f} s, with its "
        f"compilation, against {found['recorded']:.1f} s with TrainingRecorder(path) and without a page; medians of 3 "
        "interleaved runs",
    )


def test_page_follows_a_training(chromium: Browser, tmp_path: Path, smallest: bool) -> None:
    """The age of the step whose numbers the page shows, looked at ten times a second."""
    process = training("watched", tmp_path, 4 if smallest else 40)
    steps: list[tuple[int, float]] = []

    def hear() -> None:
        steps.extend((int(line.split()[0]), float(line.split()[1])) for line in process.stdout or ())

    listener = threading.Thread(target=hear, daemon=True)
    listener.start()
    wait_until(lambda: len(steps) > 2, "it trains", patience=120.0, pause=0.05)
    shown: list[tuple[int, float]] = []
    with Served(str(tmp_path / "run.zarr")) as server, looking(chromium, server) as page:
        while process.poll() is None:
            said = page.locator("#training").first.inner_text()
            number = re.search(r"step ([0-9,]+)", said)
            assert number, said
            shown.append((int(number[1].replace(",", "")), time.time()))
            time.sleep(0.1)
    listener.join()
    times = dict(steps)
    ages = [now - times[step] for step, now in shown[10:] if step in times] or [np.nan]
    found = {"median": np.median(ages), "nine of ten": np.percentile(ages, 90), "longest": np.max(ages)}
    table("Seconds that the page is behind the training", list(found.items()))
    record_result(
        "live_delay",
        float(found["nine of ten"]),
        "age of the training step that the page in Chromium names, looked at ten times a second during 40 s of `fit` at "
        f"full speed on the same cores: median {found['median']:.2f} s, in nine of ten looks at most the value, longest "
        f"{found['longest']:.2f} s",
    )


def test_recording_costs_little(tmp_path: Path, smallest: bool):
    if smallest:
        pytest.skip("The other benchmarks take the same code.")
    found = numbers(tmp_path, 5, 1000)
    plain = found["seconds"]["plain"]
    ratios = {name: seconds / plain for name, seconds in found["seconds"].items()}
    table(
        "Milliseconds for a training step of the digits network, batches of 128",
        [[name, seconds * 1e3, f"{ratios[name]:.2f} x plain"] for name, seconds in found["seconds"].items()],
    )
    early, late = found["megabytes"]
    table("Memory, MB", [[f"after {found['steps'] // 4} steps", early], [f"after {found['steps']}", late]])
    assert ratios["every 10"] <= 1.15
    assert ratios["every 1"] <= 2
    assert late - early < 0.05 * early
