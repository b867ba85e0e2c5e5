"""Modules in the working folder, such as a ``numpy.py`` beside a downloaded model, are never run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnviz3d
from nnviz3d.api.command_process import CommandProcess
from nnviz3d.apps.worker_connections import ProcessConnection
from nnviz3d.errors import UserError

HOSTILE = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\nraise SystemExit(3)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with modules that are called like those of this program and of its libraries."""
    for name in ("nnviz3d", "numpy", "h5py", "rich", "json"):
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_capture_process_imports_nothing_from_the_working_folder(folder: Path):
    process = ProcessConnection()
    process.finish()
    assert list(folder.glob("*.ran")) == []


def test_command_of_the_python_api_imports_nothing_from_the_working_folder(folder: Path):
    with pytest.raises(UserError, match="no-such"):
        CommandProcess("snapshot", ["no-such", "-o", "x.png"]).wait()
    assert list(folder.glob("*.ran")) == []


def test_every_process_is_started_in_this_way():
    sources = Path(nnviz3d.__file__).parent.rglob("*.py")
    starts = [path.name for path in sources if re.search(r"sys\.executable", path.read_text(encoding="utf-8"))]
    assert starts == ["parent_process.py"]
