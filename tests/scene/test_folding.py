"""Groups of a large network's layers in a scene: which are closed, and what opening them changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capabilities.attributions import Attribution, write_attribution, write_attribution_layers
from nnviz3d.data.capture import Capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.grouping.find import MOST
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from nnviz3d.errors import SceneError
from nnviz3d.scene.primitives import Box, Labels, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.data.test_grouping import residual_blocks
from tests.support.captures import write

NAMES = "block_{block}_part{layer}"
BLOCKS = 12


def write_map(writer: CaptureWriter, layer: str = "block_3_part1") -> None:
    """Write a map of a layer inside a block."""
    explained = Explained(PREDICTED, Target("out", 0), 0.5, None)
    write_targets(writer, PREDICTED, "out", np.array([0]), np.array([0.5]), None)
    write_attribution_layers(writer, "grad_cam", PREDICTED, [layer])
    curves = (np.empty(0, np.float32),) * 3
    values = np.ones((8, 8), np.float32)
    found = Attribution("grad_cam", layer, values, explained, {}, *curves)
    write_attribution(writer, PREDICTED, [found])


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    graph = residual_blocks(BLOCKS, NAMES)
    random = np.random.default_rng(2)
    values = {node.id: random.random((2, *node.shape), dtype=np.float32) for node in graph}
    return write(tmp_path_factory.mktemp("folding") / "run.zarr", graph, values)


def mapped(capture: Capture, folder: Path, layer: str) -> Capture:
    """Write one more sample of a capture's network, with a map of a layer."""
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in capture.graph}
    return write(folder / f"{layer}.zarr", capture.graph, values, also=[partial(write_map, layer=layer)])


def shown(scene: Scene) -> list[str]:
    return [node.id for node in scene.context.graph]


def spec(**more: object):
    return parse_scene({"format": 1, **more})


CLOSED = ["input", *(f"block_{k}" for k in range(BLOCKS)), "out"]


class TestWhatIsClosed:
    def test_groups_of_a_large_network_are_closed(self, capture: Capture):
        assert len(capture.graph) > MOST
        assert shown(Scene.build(default_scene(), capture)) == CLOSED

    def test_open_shows_all_nodes(self, capture: Capture):
        scene = Scene.build(spec(groups="open"), capture)
        assert scene.context.graph == capture.graph
        assert scene.context.capture is capture

    def test_small_network_is_shown_as_it_is_unless_closed(self, tmp_path: Path):
        graph = residual_blocks(5, NAMES)
        values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
        capture = write(tmp_path / "run.zarr", graph, values)
        assert Scene.build(default_scene(), capture).context.capture is capture
        assert shown(Scene.build(spec(groups="closed"), capture)) == ["input", *CLOSED[1:6], "out"]

    def test_layer_that_the_scene_names_is_in_no_group(self, capture: Capture):
        for more in (
            {"camera": {"keyframes": [{"target": "layer:block_3_part1"}]}},
            {"views": [{"kind": "structure"}, {"kind": "channels", "layer": "block_3_part1"}]},
            {"views": [{"kind": "structure"}, {"kind": "activations", "layers": ["block_3_part1"]}]},
        ):
            names = shown(Scene.build(spec(**more), capture))
            assert "block_3_part1" in names
            assert {*CLOSED} - {"block_3"} <= {*names}

    def test_layer_with_a_map_is_in_no_group(self, tmp_path: Path):
        graph = residual_blocks(BLOCKS, NAMES)
        values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
        capture = write(tmp_path / "run.zarr", graph, values, also=[write_map])
        scene = Scene.build(spec(views=[{"kind": "structure"}, {"kind": "attributions"}]), capture)
        assert "block_3_part1" in shown(scene)
        assert scene.at(99.0).primitives

    def test_layers_with_maps_of_added_samples_are_in_no_group(self, capture: Capture, tmp_path: Path):
        first, second = (mapped(capture, tmp_path, layer) for layer in ("block_3_part1", "block_5_part2"))
        longer = CaptureSeries.of(capture).plus(first).plus(second).without(2)
        scene = Scene.build(spec(views=[{"kind": "structure"}, {"kind": "attributions"}]), longer)
        assert "block_5_part2" in shown(scene)
        assert "block_3_part1" not in shown(scene), "that sample was removed"
        assert any(one.name == "map:block_5_part2" for one in scene.at(99.0, Selection(sample=3)).primitives)

    def test_group_ends_when_a_map_of_a_layer_in_it_arrives(self, capture: Capture, tmp_path: Path):
        first, second = (mapped(capture, tmp_path, layer) for layer in ("block_3_part1", "block_5_part2"))
        series = CaptureSeries.of(capture).plus(first)
        scene = Scene.build(spec(views=[{"kind": "structure"}, {"kind": "attributions"}]), series)
        scene = scene.revised(series.plus(second))
        assert {"block_3_part1", "block_5_part2"} < {*shown(scene)}
        assert "block_2" in shown(scene), "other groups stay closed"
        for number, layer in enumerate(("block_3_part1", "block_5_part2"), capture.committed):
            drawn = scene.at(99.0, Selection(sample=number)).primitives
            assert {one.name for one in drawn if one.name.startswith("map:block")} == {f"map:{layer}"}

    def test_unknown_name_is_an_error_that_lists_the_layers_inside_groups(self, capture: Capture):
        with pytest.raises(SceneError, match="the model has input, block_0_part0, block_0_part1"):
            Scene.build(spec(views=[{"kind": "activations", "layers": ["blok"]}]), capture)


class TestOpening:
    def test_group_is_opened_in_place(self, capture: Capture):
        scene = Scene.build(default_scene(), capture)
        wider = scene.with_open(scene.context.opened | {"block_2"})
        parts = [f"block_2_part{k}" for k in range(4)]
        assert shown(wider) == [*CLOSED[:3], *parts, *CLOSED[4:]]
        assert shown(wider.with_open(scene.context.opened)) == CLOSED
        assert wider.with_open(wider.context.opened) is wider

    def test_opening_all_gives_the_picture_without_groups(self, capture: Capture):
        scene = Scene.build(default_scene(), capture)
        assert scene.context.grouping is not None
        opened, plain = scene.with_open(scene.context.grouping.everything), Scene.build(spec(groups="open"), capture)
        assert opened.context.graph == plain.context.graph
        assert opened.context.plan.placements == plain.context.plan.placements

    def test_groups_around_a_layer_are_opened_to_show_it(self, capture: Capture):
        scene = Scene.build(default_scene(), capture)
        assert "block_7_part2" in shown(scene.showing("block_7_part2"))
        assert scene.showing("input") is scene
        assert scene.showing(None) is scene

    def test_scene_of_more_samples_keeps_its_groups(self, capture: Capture):
        scene = Scene.build(default_scene(), capture).showing("block_7_part2")
        assert scene.capture is capture
        longer = scene.revised(capture)
        assert shown(longer) == shown(scene)
        assert longer.context.plan is scene.context.plan


def test_picture_says_how_many_layers_the_blocks_stand_for(capture: Capture):
    def rows(scene: Scene) -> list[str]:
        (title,) = (p for p in scene.at(99.0).primitives if isinstance(p, Panel) and p.name == "title")
        return [row.text for row in title.rows]

    scene = Scene.build(default_scene(), capture)
    assert rows(scene)[-1] == "50 layers in 14 blocks, of which 12 are groups of layers"
    assert rows(scene.with_open(frozenset({*scene.context.grouping.everything} - {"block_2"})))[-1] == (
        "50 layers in 47 blocks, of which 1 is a group of layers"
    )
    assert not any("blocks" in text for text in rows(Scene.build(spec(groups="open"), capture)))
    structure = Scene.build(spec(views=[{"kind": "structure"}]), capture)
    legend = next(p for p in structure.at(0.0).primitives if isinstance(p, Panel) and p.name == "structure")
    assert legend.rows[0].text.startswith("50 nodes")
    assert rows(structure)[-1] == rows(scene)[-1]


def test_closed_group_is_drawn_with_the_numbers_of_its_last_layer_and_named(capture: Capture):
    picture = Scene.build(default_scene(), capture).at(99.0)
    blocks = {p.name: p for p in picture.primitives if isinstance(p, Voxels)}
    whole = {p.name: p for p in Scene.build(spec(groups="open"), capture).at(99.0).primitives if isinstance(p, Voxels)}
    assert np.array_equal(blocks["block_2"].values, whole["block_2_part3"].values)
    assert {p.name for p in picture.primitives if isinstance(p, Box)} == {*CLOSED}
    (names,) = (p for p in picture.primitives if isinstance(p, Labels) and p.name == "names")
    assert ("block_2", "4 layers · 8 × 8 × 4") in [label.lines for label in names.labels]
