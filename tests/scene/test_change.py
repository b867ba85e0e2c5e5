"""Blocks that show the change by interventions: numbers, words, and samples without a changed run."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import score
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Labels, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.support import captures

MUTED = (Intervention("dense", unit=3), Intervention("pool", unit=1, action="scale", factor=0.5))


def numbers():
    random = np.random.default_rng(3)
    graph = captures.small_graph()
    return {node: random.normal(size=(3, *graph.node(node).shape)).astype(np.float32) for node in ("dense", "scores")}


@pytest.fixture(scope="module")
def changed_capture(tmp_path_factory):
    def also(writer):
        write_interventions(writer, MUTED)
        for node, values in numbers().items():
            write_changed(writer, node, 0, 0, values)

    path = tmp_path_factory.mktemp("captures") / "changed.zarr"
    return captures.write(path, captures.small_graph(), captures.small_values(), also=(also,))


def test_blocks_show_the_changed_run_minus_the_unchanged_one(changed_capture):
    scene = Scene.build(default_scene(), changed_capture)
    found = scene.at(scene.duration, Selection(sample=1, quantity="change")).primitives
    blocks = {p.name: p for p in found if isinstance(p, Voxels)}
    for name, block in blocks.items():
        held = changed_capture.activation(name, 1)
        change = numbers()[name][1] - held if name in numbers() else np.zeros_like(held)
        assert np.array_equal(block.values, scene.context.placement(name).grid.arrange(change)), name
        assert block.limits[0] == -block.limits[1]
    rows = [row.text for p in found if isinstance(p, Panel) for row in p.rows if isinstance(row, TextRow)]
    assert any("change by: mute dense[3], scale pool[1] by 0.5" in text for text in rows), rows
    best = int(numbers()["scores"][1].argmax())
    assert any(f"changed: largest output {best} ({score(numbers()['scores'][1, best])})" in text for text in rows), rows


def test_layer_that_no_change_reaches_is_called_unchanged_not_odd(changed_capture):
    scene = Scene.build(default_scene(), changed_capture)
    found = scene.at(scene.duration, Selection(sample=1, quantity="change")).primitives
    (odd,) = (p for p in found if isinstance(p, Labels) and p.name == "odd numbers")
    words = {tuple(label.anchor): label.lines for label in odd.labels}
    origins = {name: tuple(scene.context.placement(name).origin) for name in ("input", "conv", "dense")}
    assert words.get(origins["conv"]) == ("unchanged",)
    assert origins["input"] not in words
    assert origins["dense"] not in words


def test_layer_whose_numbers_stay_though_a_change_reaches_it_is_called_unchanged(tmp_path):
    stay = captures.small_values()["scores"]

    def also(writer):
        write_interventions(writer, MUTED)
        for node, values in (numbers() | {"scores": stay}).items():
            write_changed(writer, node, 0, 0, values)

    capture = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values(), also=(also,))
    scene = Scene.build(default_scene(), capture)
    found = scene.at(scene.duration, Selection(sample=1, quantity="change")).primitives
    (odd,) = (p for p in found if isinstance(p, Labels) and p.name == "odd numbers")
    words = {tuple(label.anchor): label.lines for label in odd.labels}
    assert words[tuple(scene.context.placement("scores").origin)] == ("unchanged",)
    assert tuple(scene.context.placement("dense").origin) not in words


def test_sample_without_a_changed_run_is_refused_with_the_option(small_capture):
    scene = Scene.build(default_scene(), small_capture)
    with pytest.raises(SceneError, match=r"no run of .* with an intervention; capture the model with --mute"):
        scene.at(scene.duration, Selection(quantity="change"))


def test_interventions_are_read_as_they_were_written(changed_capture):
    assert changed_capture.explanations(2).interventions == MUTED
    assert changed_capture.explanations(2).changed("conv") is None


def test_legend_of_unfolded_channels_says_that_their_change_is_0(changed_capture):
    views = [{"kind": "structure"}, {"kind": "activations"}, {"kind": "channels", "layer": "conv"}]
    scene = Scene.build(parse_scene({"format": 1, "views": views}), changed_capture)
    found = scene.at(scene.duration, Selection(sample=1, quantity="change")).primitives
    (legend,) = (p for p in found if isinstance(p, Panel) and p.name == "channels")
    channels = changed_capture.activation("conv", 1).shape[-1]
    assert legend.rows[-1].text.startswith(f"the change of {channels} of them is 0 everywhere for this sample: 0")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("activations", "change"), *((kind, None) for kind in ("activations", "nodes", "structure", "statistics"))],
)
def test_title_says_which_numbers_are_without_the_change(changed_capture, small_capture, kind, shown):
    views = [{"kind": kind}] if kind in ("nodes", "structure") else [{"kind": "structure"}, {"kind": kind}]
    spec = parse_scene({"format": 1, "views": views})
    rows = title_rows(Scene.build(spec, changed_capture), Selection(sample=1, quantity=shown))
    best = int(numbers()["scores"][1].argmax())
    answer = f"changed: largest output {best} ({score(numbers()['scores'][1, best])})"
    told = "scores in the picture: without the changes" if shown else f"shown without the changes · {answer}"
    assert rows.count(told) == 1
    assert sum(text.count(answer) for text in rows) == 1
    plain = title_rows(Scene.build(spec, small_capture), Selection(sample=1))
    assert not [text for text in plain if "without" in text]


def test_note_on_a_change_moves_no_camera(changed_capture, tmp_path):
    plain = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values())
    for aspect in (16 / 9, 9 / 16):
        scenes = [Scene.build(default_scene(), capture, aspect=aspect) for capture in (changed_capture, plain)]
        assert scenes[0].camera(9.0, aspect=aspect) == scenes[1].camera(9.0, aspect=aspect)


def title_rows(scene: Scene, selection: Selection) -> list[str]:
    found = scene.at(scene.duration, selection).primitives
    (title,) = (p for p in found if isinstance(p, Panel) and p.name == "title")
    return [row.text for row in title.rows if isinstance(row, TextRow)]
