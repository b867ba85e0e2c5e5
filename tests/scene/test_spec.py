"""Scene files: valid ones, and refused ones with the path of each mistake in the file."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import gallery
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene, parse_scene, read_scene

ACTIVATIONS = {"kind": "activations"}


def parse(*views, **top):
    return parse_scene({"format": 1, "views": list(views) or [ACTIVATIONS], **top})


def test_scene_with_only_the_format_has_the_default_views():
    spec = parse_scene({"format": 1})
    assert [view.kind for view in spec.views] == ["structure", "activations", "connections"]
    assert spec == default_scene()


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"format": 1, "foo": 2}, "unknown key foo"),
        ({"format": 1, "views": [{**ACTIVATIONS, "foo": 1}]}, "unknown key views[0].foo"),
        ({"format": 1, "views": [ACTIVATIONS, {"kind": "structure", "foo": 1}]}, "unknown key views[1].foo"),
        ({"format": 1, "camera": {"keyframes": [{"foo": 1}]}}, "unknown key camera.keyframes[0].foo"),
        ({"format": 1, "views": [{**ACTIVATIONS, "reveal": {"foo": 1}}]}, "unknown key views[0].reveal.foo"),
        ({"format": 1, "source": {"capture": "a", "foo": 1}}, "unknown key source.foo"),
        ({}, "format is missing"),
        ({"format": 2}, "this nnviz3d reads scenes of format 1 (got 2)"),
        ({"format": 1, "views": []}, "views: "),
        (
            {"format": 1, "views": [{"kind": "activation"}]},
            "views[0].kind is one of ",
        ),
        ({"format": 1, "views": [{"layers": ["a"]}]}, "views[0]"),
        ({"format": 1, "views": [{**ACTIVATIONS, "threshold": 2}]}, "views[0].threshold: "),
        ({"format": 1, "views": [{**ACTIVATIONS, "threshold": "much"}]}, "views[0].threshold: "),
        ({"format": 1, "views": [{**ACTIVATIONS, "normalize": "none"}]}, "views[0].normalize: "),
        ({"format": 1, "views": [{**ACTIVATIONS, "reveal": {"duration": -1}}]}, "views[0].reveal.duration: "),
        ({"format": 1, "views": [{"kind": "connections", "strongest": 0}]}, "views[0].strongest: "),
        ({"format": 1, "camera": {"elevation": 90}}, "camera.elevation: "),
        ({"format": 1, "camera": {"keyframes": [{}, {"distance": 0}]}}, "camera.keyframes[1].distance: "),
        ({"format": 1, "layout": {"kind": "circle"}}, "layout.kind: "),
        ({"format": 1, "source": {}}, "source: give a capture, or a model"),
    ],
)
def test_mistake_is_named_with_its_path(data, where):
    with pytest.raises(SceneError) as error:
        parse_scene(data, "my.toml")
    message = str(error.value)
    assert message.startswith(f"my.toml: {where}")
    assert "\n" not in message


def test_all_mistakes_are_named_together():
    with pytest.raises(SceneError, match=r"views\[0\]\.foo.*; .*camera\.bar"):
        parse_scene({"format": 1, "views": [{**ACTIVATIONS, "foo": 1}], "camera": {"bar": 1}})


def test_error_of_an_unknown_colour_map_lists_all_names():
    with pytest.raises(
        SceneError, match=r"views\[0\]\.colormap: there is no colour map .*'jet'; choose one of inferno"
    ):
        parse({**ACTIVATIONS, "colormap": "jet"})


@pytest.mark.parametrize(("key", "name"), [("colormap", "gray"), ("diverging", "berlin")])
def test_colour_map_of_the_right_kind_is_accepted(key, name):
    assert getattr(parse({**ACTIVATIONS, key: name}).views[0], key) == name


@pytest.mark.parametrize(("key", "name"), [("colormap", "berlin"), ("diverging", "inferno")])
def test_colour_map_of_the_other_kind_is_refused(key, name):
    # A diverging map for numbers from zero up would suggest a sign.
    with pytest.raises(SceneError, match=rf"views\[0\]\.{key}: there is no colour map for"):
        parse({**ACTIVATIONS, key: name})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"views": [ACTIVATIONS, ACTIVATIONS]}, "views: there are two views of kind 'activations'"),
        ({"views": [{**ACTIVATIONS, "layers": []}]}, "views[0].layers: "),
        ({"views": [{**ACTIVATIONS, "reveal": {"duration": float("inf")}}]}, "views[0].reveal.duration: "),
        ({"camera": {"azimuth": float("nan")}}, "camera.azimuth: "),
        ({"camera": {"keyframes": [{"at": 5.0}, {"at": 1.0}]}}, "camera.keyframes: keyframes have to stand in order"),
    ],
)
def test_scene_that_cannot_be_drawn_is_refused_once(data, words):
    with pytest.raises(SceneError) as refused:
        parse_scene({"format": 1, **data})
    assert words in str(refused.value)
    assert "; views" not in str(refused.value)


def test_spec_is_immutable():
    with pytest.raises(ValueError, match="frozen"):
        parse().title = "other"


def test_error_of_bad_toml_has_the_line(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("format = 1\nviews = = 2\n")
    with pytest.raises(SceneError, match=r"^bad\.toml is not valid TOML: .*line"):
        read_scene(file)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SceneError, match=r"^bad\.toml is not valid TOML"):
        read_scene(file)


def refusal_of(path):
    with pytest.raises(SceneError) as refused:
        read_scene(path)
    text = str(refused.value)
    assert len(text) < 700
    assert text.isprintable()
    return text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a = " + "[" * 5000, "nested too deep"),
        ("a = " + "{a = " * 1900, "nested too deep"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a." * 2000 + "a = 1", "format is missing; unknown key a"),
        ("format = 1\n" + "\n".join(f"key_{i} = 1" for i in range(5000)), "more mistakes"),
        ("format = 1\ntitle = '" + "x" * 5000 + "'", "a title has at most 200 characters, got 5,000"),
        ("x = '" + "x" * 100_000 + "'", "a scene file has at most 100,000"),
        ("x = '" + "x" * 10_000 + "'", "has a line of 10,006 characters; a scene file has at most 10,000"),
        ("format = {a = [[[[[[[[[[1]]]]]]]]]]}", "reads scenes of format 1"),
        ('format = "' + "x" * 9000 + '"', "reads scenes of format 1"),
        ("format = 1\nviews = [1]", "views[0]"),
        ('format = 1\n[[views]]\nkind = "\\u001b[31m"', "views[0].kind is one of"),
        ("format = 1\n'\\x1b' = 1", "unknown key"),
    ],
)
def test_oversized_scene_file_is_refused_in_a_short_sentence(tmp_path, content, words):
    file = tmp_path / "bad.toml"
    file.write_text(content)
    assert words in refusal_of(file)


def test_scene_path_that_is_no_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    assert "Is a directory" in refusal_of(tmp_path / "folder.toml")
    assert "device or a pipe" in refusal_of(tmp_path / "pipe.toml")
    assert "device or a pipe" in refusal_of(tmp_path / "zero.toml")
    assert "File name too long" in refusal_of(tmp_path / ("x" * 300 + ".toml"))


def test_title_of_a_scene_is_cleaned_when_it_is_read():
    assert parse_scene({"format": 1, "title": "one\ntwo\x1b[31m\u202e"}).title == r"one two\x1b[31m\u202e"


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SceneError, match=r"Cannot read the scene .*gone\.toml: No such file"):
        read_scene(tmp_path / "gone.toml")


def test_requires_returns_the_families_of_arrays():
    assert parse({"kind": "structure"}).requires() == frozenset()
    assert parse(ACTIVATIONS, {"kind": "connections"}).requires() == {"activations", "connections"}


class TestTheGallery:
    def test_gallery_contains_the_default_scene(self):
        assert "digits" in bundled_scenes()

    @pytest.mark.parametrize("name", bundled_scenes())
    def test_every_scene_of_the_gallery_is_valid_and_its_files_exist_or_have_a_hint(self, name):
        spec = read_scene(bundled_scenes()[name])
        assert spec.title
        assert spec.source is not None
        assert spec.source.capture is None or (gallery() / spec.source.capture).exists()
        model = spec.source.model
        assert model is None or model.startswith("keras:") or (gallery() / model).exists() or spec.source.hint


class TestAgainstACapture:
    def test_error_of_a_glob_without_a_match_lists_the_names(self, small_capture):
        with pytest.raises(SceneError) as error:
            Scene.build(parse({"kind": "structure"}, {**ACTIVATIONS, "layers": ["con", "dense"]}), small_capture)
        message = str(error.value)
        assert message.startswith("views[1].layers: no layer matches 'con'")
        for node in small_capture.graph:
            assert node.id in message
        assert "Did you mean 'conv'?" in message

    def test_globs_choose_layers(self, small_capture):
        scene = Scene.build(parse({**ACTIVATIONS, "layers": ["con*", "den?e"]}), small_capture)
        names = {p.name for p in scene.at(scene.duration).primitives if type(p).__name__ == "Voxels"}
        assert names == {"conv", "dense"}

    def test_unknown_camera_target_is_named_with_its_path(self, small_capture):
        spec = parse(camera={"keyframes": [{"at": 0.0}, {"at": 1.0, "target": "layer:convv"}]})
        with pytest.raises(SceneError, match=re.escape("camera.keyframes[1].target: expected 'all' or 'layer:NODE'")):
            Scene.build(spec, small_capture)

    def test_scene_of_the_readme_is_valid(self):
        """Every scene file in the README can be used unchanged."""
        text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
        for block in re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL):
            if "format = 1" in block:
                import tomllib

                parse_scene(tomllib.loads(block))


def test_cloud_of_points_needs_only_its_own_layer():
    cloud = {"kind": "embedding"}
    assert parse(cloud).needs() == Insights()
    assert parse({**cloud, "layer": "dense"}).needs() == Insights(embeddings=("dense",))
    (any_layer,) = parse({**cloud, "layer": "*"}).needs().embeddings
    assert not fnmatchcase("dense", any_layer)
    assert fnmatchcase("*", any_layer)


def test_times_over_an_hour_are_refused():
    endless = {"format": 1, "views": [ACTIVATIONS], "camera": {"keyframes": [{"at": 0}, {"at": 1e9}]}}
    for data in (endless, {"format": 1, "views": [{**ACTIVATIONS, "reveal": {"duration": 1e9}}]}):
        with pytest.raises(SceneError, match="less than or equal to 3600"):
            parse_scene(data)


def test_camera_target_that_is_not_shown_is_refused(explained_capture):
    looks = {"keyframes": [{"at": 0, "target": "layer:conv", "distance": 1}]}
    spec = parse_scene({"format": 1, "views": [{"kind": "embedding"}], "camera": looks})
    with pytest.raises(SceneError, match="'conv' is not visible in this scene; use 'all'"):
        Scene.build(spec, explained_capture, aspect=1.6).camera(0.0, aspect=1.6)
