"""Every benchmark starts, and goes through all its code with its smallest size; its figures mean nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.results import ROWS, as_markdown

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "tests" / "benchmarks").glob("test_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_benchmark_starts(file: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--smallest", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_table_says_what_was_not_reached():
    text = as_markdown({"drag": {"value": 5.0, "measured": "once", "day": "2026-01-01", "cores": 2}})
    assert "| 5 pictures/s | no |" in text
    assert "## Not reached" in text
    assert "not measured" in text


def test_every_row_is_measured_by_a_benchmark():
    written = "".join(file.read_text(encoding="utf-8") for file in FILES)
    parametrized = {"capture_25", "capture_100"}
    assert [key for key in ROWS if f'"{key}"' not in written and key not in parametrized] == []
    assert 'f"capture_{count}"' in written
