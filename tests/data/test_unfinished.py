"""Hidden names of unfinished files, and removal of those that killed processes left behind."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps.film.frame_folder import FrameFolder, check_folder
from nnviz3d.apps.snapshot import write_png
from nnviz3d.apps.whole_files import PartialFile
from nnviz3d.data.files import unfinished as module
from nnviz3d.data.files.process_identity import runs, started
from nnviz3d.data.files.unfinished import make_temporary_folder, partial_path
from nnviz3d.errors import UserError
from tests.support.captures import small_capture

LEAVE = """
import sys, time
from pathlib import Path
from nnviz3d.data.files.unfinished import make_temporary_folder, partial_path
partial_path(Path("x.png")).write_bytes(b"half")
folder = partial_path(Path("run.zarr"))
folder.mkdir(mode=0o700)
(folder / "part").write_bytes(b"half")
print("there", flush=True)
time.sleep(600)
"""


def partials(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".partial"))


@pytest.fixture
def left(tmp_path):
    """A folder in which a process is writing, and that process."""
    with subprocess.Popen([sys.executable, "-c", LEAVE], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        yield tmp_path, process
        process.kill()


def test_unfinished_files_of_a_killed_process_are_removed_by_the_next_run(left):
    folder, process = left
    process.kill()
    process.wait()
    assert len(partials(folder)) == 2
    (folder / ".other.png.partial").touch()
    write_png(np.zeros((4, 4, 3), np.uint8), folder / "x.png")
    small_capture(folder / "run.zarr")
    assert partials(folder) == [".other.png.partial"]
    assert sorted(os.listdir(folder)) == [".other.png.partial", "run.zarr", "x.png"]


def test_unfinished_files_of_a_running_process_stay(left):
    folder, _ = left
    before = partials(folder)
    write_png(np.zeros((4, 4, 3), np.uint8), folder / "x.png")
    small_capture(folder / "run.zarr")
    assert partials(folder) == before


def test_unfinished_files_of_another_machine_stay(left, monkeypatch):
    folder, process = left
    process.kill()
    process.wait()
    monkeypatch.setattr(module.socket, "gethostname", lambda: "elsewhere")
    write_png(np.zeros((4, 4, 3), np.uint8), folder / "x.png")
    assert len(partials(folder)) == 2


@pytest.mark.skipif(not started(os.getpid()), reason="the system does not tell when a process was started")
def test_unfinished_files_are_removed_if_a_later_process_has_the_same_number(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "started", lambda pid: "long ago")
    partial_path(tmp_path / "x.png").touch()
    monkeypatch.undo()
    partial_path(tmp_path / "x.png")
    assert partials(tmp_path) == []


def test_picture_with_the_longest_possible_name_is_written(tmp_path):
    out = tmp_path / ("x" * 251 + ".png")
    write_png(np.zeros((4, 4, 3), np.uint8), out)
    assert os.listdir(tmp_path) == [out.name]


def test_runs_is_true_until_the_process_has_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert runs(process.pid)
        assert started(process.pid) == started(process.pid)
    assert not runs(process.pid)
    assert not runs(2**62)
    assert started(2**62) == ""


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_full_disk_is_reported_in_one_sentence_and_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr("nnviz3d.data.storage.capture_writer.FolderSink", full)
    monkeypatch.setattr("nnviz3d.data.storage.capture_writer.ZipSink", full)
    with pytest.raises(UserError, match=r"Cannot write .*run\.zarr: No space left on device"):
        small_capture(tmp_path / "run.zarr")
    with pytest.raises(UserError, match=r"Cannot write .*run\.zarr\.zip: No space left on device"):
        small_capture(tmp_path / "run.zarr.zip")
    monkeypatch.setattr(PartialFile, "write", full)
    with pytest.raises(OSError, match="No space left"):
        FrameFolder(tmp_path / "frames", {"film": 1})
    assert os.listdir(tmp_path) == []


def test_working_folder_with_other_files_is_refused_for_frames(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("", "/", ".", ".."):
        with pytest.raises(UserError, match="holds other files"):
            check_folder(Path(name))
    (tmp_path / "notes.txt").unlink()
    check_folder(Path("."))


def test_temporary_folder_of_a_killed_session_is_removed_by_the_next_session(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "from nnviz3d.data.files.unfinished import make_temporary_folder as make; (make() / 'run').touch()"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert len(partials(tmp_path)) == 1
    made = [make_temporary_folder(), make_temporary_folder()]
    assert sorted(tmp_path.iterdir()) == sorted(made)


def test_temporary_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"No temporary folder can be made \(No such file or directory\); set TMPDIR"):
        make_temporary_folder()
