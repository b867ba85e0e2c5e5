"""Capturing pictures against `predict` on the same pictures, and against writing as many bytes to the same disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table


@pytest.mark.parametrize("count", [25, 100])
def test_capture_of_pictures(count: int, smallest: bool, tmp_path: Path):
    """Runs in a separate process, because TensorFlow and VTK never share one."""
    if smallest and count > 25:
        pytest.skip("It takes the same code as fewer pictures.")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    model = "small" if smallest else "keras:EfficientNetB0"
    rounds = 1 if smallest or count > 25 else 3
    script = Path(__file__).with_name("capturing.py")
    command = [sys.executable, str(script), str(tmp_path), model, str(2 if smallest else count), str(rounds)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True, env=environment
    )
    found = json.loads(done.stdout.splitlines()[-1])
    predict, capture, files = (found[name] for name in ("predict", "capture", "files"))
    size = found["bytes"] / 1e9
    table(
        f"{count} pictures: seconds for {size:.2f} GB in {found['number']:,} files",
        [
            ["predict", predict, ""],
            ["capture", capture, f"{capture / predict:.1f} x predict, {capture / files:.1f} x writing"],
            ["writing files of the same sizes", files, f"{size / files:.2f} GB/s, {files / predict:.1f} x predict"],
            *([f"stage {name}", seconds, ""] for name, seconds in found["stages"].items()),
        ],
    )
    if not smallest:
        record_result(
            f"capture_{count}",
            capture / predict,
            f"`predict` {predict:.2f} s, capture {capture:.2f} s; writing its {size:.2f} GB from memory alone takes "
            f"{files:.2f} s on this disk, {files / predict:.1f} times `predict`",
        )
