"""Clouds of 100,000 and of 1,000,000 points, each in a process of its own, from the capture to moving pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.cloud import write_cloud
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table


def test_clouds(tmp_path: Path, smallest: bool):
    """Compare clouds by their number of points: first picture, frames a second at rest and moving, memory."""
    rows: list[list[object]] = [["points", "first picture, s", "fps at rest", "fps moving", "peak GB", "said"]]
    for count in (1_000, 70_000) if smallest else (100_000, 1_000_000):
        path = tmp_path / f"{count}.zarr"
        write_cloud(path, count)
        command = [sys.executable, "-m", "tests.benchmarks.cloud", str(path)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        told = found["told"][0] if found["told"] else "all points are drawn"
        rows.append([f"{count:,}", found["first"], found["rest"], found["moving"], found["memory"], told])
        how = f"1280 x 720 with read-back, median of 20; {told}"
        if count == 100_000:
            record_result("cloud_100k", found["moving"], how)
        if count == 1_000_000:
            record_result("cloud_1m", found["moving"], how)
            start = "from the imports, with the reading of the capture, to the first picture of all points"
            record_result("cloud_build", found["first"], start)
            record_result("cloud_memory", found["memory"], "peak of the process that read, built and drew the cloud")
    table("A cloud of points, 1280 x 720", rows)
