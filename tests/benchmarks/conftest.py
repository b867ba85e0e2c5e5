"""Fixtures of the benchmarks, which run only on request: ``python -m pytest tests/benchmarks -s``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nnviz3d.data.capture import is_capture


@pytest.fixture(scope="session")
def vgg() -> Path:
    """A capture of VGG16 with random weights, 15.3 million numbers; it is kept in the temporary folder between runs."""
    path = Path(tempfile.gettempdir()) / "nnviz3d-benchmarks" / "vgg16.zarr"
    path.parent.mkdir(exist_ok=True)
    if not is_capture(path):
        command = ["capture", "keras:VGG16", "--weights", "none", "--input", "random", "-o", str(path)]
        subprocess.run([sys.executable, "-m", "nnviz3d", *command], check=True)
    return path
