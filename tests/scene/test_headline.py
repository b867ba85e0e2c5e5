"""Headings: the scene's title for samples that it describes, and the model's name for all others."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions, bundled_scenes, resolve
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.scene.headline import headline
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene, read_scene
from nnviz3d.scene.views.outputs import names_of
from tests.support import captures
from tests.support.graphs import chain

DIGITS = read_scene(bundled_scenes()["digits"])


@pytest.mark.parametrize("name", sorted(bundled_scenes()))
def test_bundled_scene_applied_to_another_source_has_no_title_of_its_own(name, small_capture):
    for target in ("model.keras", str(small_capture.path)):
        assert resolve(target, name, ModelOptions()).spec.title == ""
    assert read_scene(bundled_scenes()[name]).title


def test_scene_without_a_source_keeps_its_title_over_any_model(tmp_path):
    (tmp_path / "mine.toml").write_text('format = 1\ntitle = "Mine"\n')
    assert resolve("model.keras", str(tmp_path / "mine.toml"), ModelOptions()).spec.title == "Mine"


@pytest.mark.parametrize(
    ("given", "kept"), [(("digits:42",), True), (("digits:3-9", "digits:0"), True), (("cat.png",), False)]
)
def test_scene_keeps_its_title_only_with_its_own_input(given, kept):
    assert bool(resolve("digits", None, ModelOptions(inputs=given)).spec.title) == kept


def test_embedding_scene_keeps_its_title_with_another_input():
    assert resolve("embedding", None, ModelOptions(inputs=("eight.png",))).spec.title


@pytest.mark.parametrize(("sample", "own"), [("digits:7", True), ("digits:999", True), ("cat.png", False)])
def test_heading_of_a_sample_outside_the_scene_is_the_models_name(sample, own):
    assert headline(DIGITS, "birdnet", sample) == (DIGITS.title if own else "birdnet")


def test_heading_of_a_scene_with_files_is_its_title_for_any_sample():
    spec = parse_scene({"format": 1, "title": "Mine", "source": {"model": "m.keras", "input": "photos"}})
    assert headline(spec, "birdnet", "cat.png") == "Mine"


def test_picture_and_heading_show_the_model_of_another_source(small_capture):
    with opened(str(small_capture.path), "structure", ModelOptions(), pytest.fail) as found:
        scene = Scene.build(found.spec, found.capture)
    name = small_capture.graph.name
    assert scene.title(0) == name
    assert scene.at(0.0).primitives[-1].rows[0].text == name


def test_picture_of_the_bundled_digits_has_the_scenes_title(digits):
    scene = Scene.build(DIGITS, digits)
    (panel,) = [p for p in scene.at(0.0, Selection()).primitives if p.name == "title"]
    assert panel.rows[0].text == DIGITS.title == scene.title(3)


@pytest.mark.parametrize(("classes", "name"), [(None, "output"), (("cat", "dog"), "dog")])
def test_best_panel_of_a_single_number_names_its_class_and_never_a_position(tmp_path, classes, name):
    graph = chain([("in", "InputLayer", (3,)), ("out", "Dense", (1,))])
    numbers = {"in": np.zeros((1, 3), np.float32), "out": np.array([[0.4]], np.float32)}
    capture = captures.write(tmp_path / "run.zarr", graph, numbers, classes=classes)
    assert names_of(capture, "out", 1) == [name]


def test_title_of_a_model_with_several_outputs_names_the_output_of_its_answer(tmp_path):
    nodes = [
        LayerNode(path=name, call=0, kind=kind, shapes=((count,),))
        for name, kind, count in (("in", "InputLayer", 3), ("age", "Dense", 1), ("tags", "Dense", 2))
    ]
    graph = ModelGraph("two", tuple(nodes), (Edge("in", "age"), Edge("in", "tags")), ("in",), ("age", "tags"))
    numbers = {node.id: np.full((1, *node.shape), 0.25, np.float32) for node in nodes}
    numbers["tags"][0, 1] = 0.5
    scene = Scene.build(
        parse_scene({"format": 1, "views": [{"kind": "activations"}]}),
        captures.write(tmp_path / "run.zarr", graph, numbers),
    )
    (panel,) = [p for p in scene.at(scene.duration).primitives if p.name == "title"]
    assert "age: 0.250 · tags: 0.250, 0.500" in " ".join(row.text for row in panel.rows)
