"""Costs of recording a training: time per step, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.timing import table


def test_recording_costs_little(tmp_path: Path):
    """Runs in a separate process, because TensorFlow and VTK never share one."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.training", str(tmp_path), "5", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    found = json.loads(done.stdout.splitlines()[-1])
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
