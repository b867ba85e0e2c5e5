"""Fixtures of the benchmarks, which run only on request: ``python -m tests.benchmarks``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nnviz3d.data.capture import is_capture
from tests.support import captures


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option with which a benchmark only goes through all its code."""
    parser.addoption("--smallest", action="store_true", help="run each benchmark with its smallest size")


@pytest.fixture(scope="session")
def smallest(request: pytest.FixtureRequest) -> bool:
    """Whether a benchmark takes its smallest size, with which its figures mean nothing."""
    return bool(request.config.getoption("--smallest"))


@pytest.fixture(scope="session")
def vgg(smallest: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of VGG16 with random weights, 15.3 million numbers; it is kept in the temporary folder between runs.

    With ``--smallest`` it is a capture of six small layers.
    """
    if smallest:
        path = tmp_path_factory.mktemp("captures") / "small.zarr"
        captures.small_capture(path)
        return path
    path = Path(tempfile.gettempdir()) / "nnviz3d-benchmarks" / "vgg16.zarr"
    path.parent.mkdir(exist_ok=True)
    if not is_capture(path):
        command = ["capture", "keras:VGG16", "--weights", "none", "--input", "random", "-o", str(path)]
        subprocess.run([sys.executable, "-m", "nnviz3d", *command], check=True)
    return path
