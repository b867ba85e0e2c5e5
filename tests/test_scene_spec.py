"""Tests of scenes made in Python: reading, changing, writing as a scene file, and showing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from PIL import Image

import nnviz3d
from nnviz3d.api.scene_files import with_absolute_paths
from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled, gallery
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.scene_text import scene_text
from nnviz3d.scene.spec import SceneSpec, parse_scene

NASTY = 'a "b" \\ \x7f é \n[[views]]\nkind = 1'


@pytest.mark.parametrize("name", sorted(bundled_scenes()))
def test_scene_file_of_a_spec_holds_the_same_scene(name):
    spec = nnviz3d.read_scene(name)
    assert parse_scene(tomllib.loads(scene_text(spec))) == spec


def test_scene_file_keeps_any_string_nested_tables_and_keyframes():
    spec = nnviz3d.read_scene(
        {
            "title": "é \\ \"quoted\" 'too'",
            "source": {"model": NASTY, "input": [NASTY, "random"], "hint": NASTY},
            "views": [
                {"kind": "activations", "layers": [NASTY, "last dense"], "reveal": {"start": 0.1, "duration": 1e-5}},
                {"kind": "structure", "solid": True},
            ],
            "camera": {"azimuth": -1e20, "keyframes": [{"at": 0}, {"at": 2.5, "target": "layer:x", "distance": 3}]},
        }
    )
    assert parse_scene(tomllib.loads(scene_text(spec))) == spec


def test_read_scene_accepts_a_file_a_name_and_a_dictionary(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('format = 1\n[[views]]\nkind = "structure"\n')
    assert (
        nnviz3d.read_scene(path)
        == nnviz3d.read_scene(str(path))
        == nnviz3d.read_scene({"views": [{"kind": "structure"}]})
    )
    assert isinstance(nnviz3d.read_scene("digits"), SceneSpec)


def test_read_scene_refuses_mistakes_in_one_sentence():
    with pytest.raises(SceneError, match=r"views\[0\]"):
        nnviz3d.read_scene({"views": [{"kind": "no such kind"}]})
    with pytest.raises(UserError, match="There is no 'nothing'"):
        nnviz3d.read_scene("nothing")


def test_paths_of_a_scene_that_was_read_do_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = nnviz3d.read_scene("digits").source
    assert Path(source.capture) == gallery() / "digits.zarr.zip"
    assert Path(source.model) == gallery() / "digits.keras"
    imagenet = nnviz3d.read_scene("imagenet").source
    assert imagenet.model == "efficientnet_lite0.keras", "it may be in the working folder"
    assert imagenet.input == ("sklearn:china.jpg", "sklearn:flower.jpg")
    (tmp_path / "efficientnet_lite0.keras").touch()
    here = with_absolute_paths(nnviz3d.read_scene("imagenet"), Path())
    assert Path(here.source.model) == tmp_path / "efficientnet_lite0.keras"


def test_spec_is_accepted_as_target_and_as_scene_option(tmp_path):
    digits = nnviz3d.read_scene("digits")
    nnviz3d.snapshot(digits, tmp_path / "target.png", size=(320, 180))
    nnviz3d.snapshot("digits", tmp_path / "name.png", size=(320, 180))
    assert pixels(tmp_path / "target.png") == pixels(tmp_path / "name.png")
    structure = nnviz3d.SceneSpec.model_validate({"format": 1, "views": [{"kind": "structure"}]})
    capture = nnviz3d.open_capture(bundled("digits.zarr.zip"))
    nnviz3d.snapshot(capture, tmp_path / "option.png", scene=structure, size=(320, 180))
    assert pixels(tmp_path / "option.png") != pixels(tmp_path / "name.png")


def test_spec_without_a_source_is_refused_as_target(tmp_path):
    with pytest.raises(UserError, match="names no source"):
        nnviz3d.snapshot(nnviz3d.read_scene({}), tmp_path / "x.png")


def test_relative_paths_of_a_spec_made_in_python_are_relative_to_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "mine.zarr.zip").write_bytes(bundled("digits.zarr.zip").read_bytes())
    monkeypatch.chdir(tmp_path)
    scene = nnviz3d.read_scene({"source": {"capture": "mine.zarr.zip"}, "views": [{"kind": "structure"}]})
    assert nnviz3d.snapshot(scene, "mine.png", size=(320, 180)) == Path("mine.png")
    assert Path("mine.png").exists()


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()
