"""Paths that cannot be checked give one sentence in every place where a user names a path."""

import os
from pathlib import Path

import pytest

from nnviz3d.apps.film.record import check_film
from nnviz3d.apps.target import ModelOptions, check_output, resolve
from nnviz3d.capture.inputs.class_files import read_classes
from nnviz3d.capture.preflight import check_model_source
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.paths import PathKind, kind_of, listed, quoted, refuse_special, user_path
from nnviz3d.data.sample_sources import locate
from nnviz3d.data.storage.capture_writer import check_destination
from nnviz3d.errors import CaptureError, ModelError, SampleError, UserError
from nnviz3d.scene.spec import read_scene

ASKED = {
    "target": lambda path: resolve(f"{path}.toml", None, ModelOptions()),
    "target without ending": lambda path: resolve(str(path), None, ModelOptions()),
    "input": lambda path: locate(f"{path}.npy"),
    "rows": lambda path: locate(f"{path}.npy[3]"),
    "model": lambda path: check_model_source(f"{path}.keras"),
    "classes": lambda path: read_classes(Path(f"{path}.txt")),
    "scene": lambda path: read_scene(Path(f"{path}.toml")),
    "capture": lambda path: open_capture(f"{path}.zarr"),
    "capture to write": lambda path: check_destination(Path(f"{path}.zarr")),
    "picture to write": lambda path: check_output(Path(f"{path}.png"), (".png",)),
    "film to write": lambda path: check_film(Path(f"{path}.mp4"), size=None, fps=None, seconds=None),
    "frames to write": lambda path: check_film(Path(path), size=None, fps=None, seconds=None),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=list(ASKED))
def test_path_with_a_name_over_255_bytes_is_one_sentence(tmp_path, asked):
    with pytest.raises(UserError, match="File name too long") as caught:
        asked(tmp_path / ("n" * 300))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("asked", ASKED.values(), ids=list(ASKED))
def test_path_in_a_folder_without_permission_is_one_sentence(tmp_path, monkeypatch, asked):
    real = os.stat

    def refuse(path, *args, **kwargs):
        if "locked" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)  # root may enter every folder
    with pytest.raises(UserError):
        asked(tmp_path / "locked" / "thing")


@pytest.mark.parametrize("asked", ASKED.values(), ids=list(ASKED))
def test_path_with_a_file_in_place_of_a_folder_is_one_sentence(tmp_path, asked):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        asked(tmp_path / "file" / "thing")


def test_path_that_is_a_loop_of_links_is_one_sentence(tmp_path):
    (tmp_path / "x.npy").symlink_to(tmp_path / "x.npy")
    with pytest.raises(SampleError, match=r"x\.npy cannot be opened \(Too many levels of symbolic links\)"):
        locate(str(tmp_path / "x.npy"))


def test_path_with_a_null_character_is_one_sentence(tmp_path):
    with pytest.raises(SampleError, match="holds a character that no file name can hold"):
        locate(str(tmp_path / "x\0.npy"))


def test_devices_and_pipes_are_refused_without_being_read(tmp_path):
    (tmp_path / "zero.keras").symlink_to("/dev/zero")
    (tmp_path / "zero.zarr").symlink_to("/dev/zero")
    for name in ("pipe.npy", "pipe.txt", "pipe.toml"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError, match=r"zero\.keras is a device or a pipe"):
        check_model_source(str(tmp_path / "zero.keras"))
    with pytest.raises(CaptureError, match=r"zero\.zarr is a device or a pipe"):
        open_capture(tmp_path / "zero.zarr")
    with pytest.raises(SampleError, match=r"pipe\.npy is a device or a pipe"):
        locate(str(tmp_path / "pipe.npy"))
    with pytest.raises(SampleError, match=r"pipe\.txt is a device or a pipe"):
        read_classes(tmp_path / "pipe.txt")
    with pytest.raises(UserError, match=r"pipe\.toml is a device or a pipe"):
        read_scene(tmp_path / "pipe.toml")


def test_user_path_keeps_the_name_of_an_unknown_user():
    assert user_path("~nobody-of-this-name/x.npy") == Path("~nobody-of-this-name/x.npy")
    assert user_path("~") == Path.home()


def test_hidden_files_are_not_listed(tmp_path):
    for name in ("b.txt", "a.txt", "._a.txt", ".DS_Store"):
        (tmp_path / name).write_text("")
    assert [path.name for path in listed(tmp_path)] == ["a.txt", "b.txt"]
    with pytest.raises(UserError, match="cannot be read: No such file"):
        listed(tmp_path / "gone")


def test_kind_of_tells_files_folders_and_devices_apart(tmp_path):
    (tmp_path / "file").write_text("")
    assert kind_of(tmp_path / "file") is PathKind.FILE
    assert kind_of(tmp_path) is PathKind.FOLDER
    assert kind_of(tmp_path / "gone") is None
    assert kind_of(Path("/dev/null")) is PathKind.SPECIAL
    refuse_special(tmp_path)
    assert len(quoted("x" * 5000)) < 150
