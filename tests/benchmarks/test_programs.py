"""Costs of whole programs: memory of a snapshot, time of help, a pass with all outputs against a plain one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.benchmarks.timing import interleaved, table

WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_megabytes(command: list[str]) -> float:
    """Run a program and return its peak memory in MB.

    A small process in between starts it, because the peak of a child includes the memory of its parent at the fork.
    """
    done = subprocess.run([sys.executable, "-c", WATCH, *command], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / (1024 if sys.platform != "darwin" else 2**20)


def test_memory_of_a_snapshot(vgg: Path, tmp_path: Path):
    out = tmp_path / "x.png"
    command = [sys.executable, "-m", "nnviz3d", "snapshot", str(vgg), "-o", str(out), "--size", "1280x720"]
    megabytes = peak_megabytes(command)
    assert Image.open(out).size == (1280, 720)
    base = peak_megabytes([sys.executable, "-c", "import nnviz3d.render.offscreen, nnviz3d.scene.scene"])
    table("Peak memory, MB", [["snapshot of VGG16", megabytes], ["its imports alone", base]])


def test_time_of_help(smallest: bool):
    def run(*arguments: str) -> object:
        return subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)

    seconds = interleaved(
        {
            "nnviz3d --help": lambda _: run("-m", "nnviz3d", "--help"),
            "import nnviz3d": lambda _: run("-c", "import nnviz3d"),
            "python alone": lambda _: run("-c", "pass"),
        },
        1 if smallest else 7,
        warm=0 if smallest else 1,
    )
    table("Seconds to start", list(seconds.items()))


def test_all_outputs_against_a_plain_pass(tmp_path: Path, smallest: bool):
    """Runs in a separate process, because TensorFlow and VTK never share one."""
    script = Path(__file__).with_name("forward.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "32" if smallest else "224", "1" if smallest else "15"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    plain = found["plain"]
    table(
        "Seconds for one picture through VGG16",
        [[name, f"{seconds:.3f}", f"{seconds / plain:.2f} x plain"] for name, seconds in found.items()],
    )
