import shutil
from zipfile import ZipFile

import numpy as np
import pytest

import nnviz3d
from nnviz3d.apps.export import FORMATS, ExportJob, ExportSettings, check_export, export, format_of
from nnviz3d.apps.open_target import Opened
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support import command_line


def job(capture, out):
    return ExportJob(Opened(default_scene(), capture, 0), Selection(), out)


def test_folder_becomes_one_file_with_the_same_numbers(small_capture, tmp_path):
    export(job(small_capture, tmp_path / "copy.zarr.zip"))
    copy = open_capture(tmp_path / "copy.zarr.zip")
    assert (copy.committed, copy.provenance) == (small_capture.committed, small_capture.provenance)
    for node in small_capture.graph:
        if small_capture.has_activations(node.id):
            assert np.array_equal(copy.activation(node.id, 1), small_capture.activation(node.id, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["copy.zarr.zip"]


def test_file_is_copied_byte_for_byte(tmp_path):
    export(job(open_capture(bundled("digits.zarr.zip")), tmp_path / "copy.zarr.zip"))
    assert (tmp_path / "copy.zarr.zip").read_bytes() == bundled("digits.zarr.zip").read_bytes()


def test_capture_never_replaces_itself(tmp_path):
    shutil.copy(bundled("digits.zarr.zip"), tmp_path / "run.zarr.zip")
    before = (tmp_path / "run.zarr.zip").read_bytes()
    with pytest.raises(UserError, match="is the capture itself"):
        export(job(open_capture(tmp_path / "run.zarr.zip"), tmp_path / "run.zarr.zip"))
    assert (tmp_path / "run.zarr.zip").read_bytes() == before


@pytest.mark.parametrize("name", ["net", "net.jpg", ".zarr.zip"])
def test_unknown_ending_lists_the_formats(tmp_path, name):
    with pytest.raises(UserError, match=r"the name of an export ends in .*\.zarr\.zip"):
        format_of(tmp_path / name)


def test_setting_without_effect_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--max-size has no effect on x\.zarr\.zip"):
        check_export(tmp_path / "x.zarr.zip", ExportSettings(max_size="1MB"))


def test_every_format_is_importable_and_takes_known_settings():
    for one in FORMATS.values():
        module, name = one.write.split(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))
        assert one.settings <= set(ExportSettings.__dataclass_fields__)


@pytest.mark.slow
def test_command_and_python_api_write_the_same_file(tmp_path):
    done = command_line.run("export", "digits", "-o", "a.zarr.zip", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert nnviz3d.export("digits", tmp_path / "b.zarr.zip") == tmp_path / "b.zarr.zip"
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()
    with ZipFile(tmp_path / "a.zarr.zip") as archive:
        assert archive.testzip() is None
