"""Lines of connections: their paths around other blocks, and the layers that the legend names."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph, connecting_nodes
from nnviz3d.data.records import RANKINGS, Connections
from nnviz3d.scene.primitives import Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.connections import EdgePick, curves
from nnviz3d.scene.views.node_link.picks import LinkPick
from tests.support import captures

SHAPE = (6, 6, 4)


def layer(name: str, kind: str, shape: tuple[int, ...] = SHAPE, parameters: int = 1) -> LayerNode:
    return LayerNode(name, 0, kind, (shape,), parameters)


def write(path: Path, graph: ModelGraph, pairs: list[tuple[str, str]]) -> Capture:
    """Write random numbers of all nodes, and three taps into one cell for each pair."""
    random = np.random.default_rng(4)
    values = {node.id: random.random((1, *node.shape), dtype=np.float32) for node in graph}
    found = {}
    for source, target in pairs:
        index = np.stack([random.choice(values[source][0].size, 3), np.full(3, 1)], axis=1)
        ones = np.ones(3, dtype=np.float32)
        found[source, target] = {r: [Connections(source, target, "fan", r, 9, index, ones, ones)] for r in RANKINGS}
    return captures.write(path, graph, values, connections=found)


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Four branches of two convolutions each, between one layer and a layer that joins them."""
    names = [f"{part}{k}" for k in range(4) for part in ("near", "far")]
    nodes = (
        layer("photo", "InputLayer", parameters=0),
        layer("stem", "Conv2D"),
        *(layer(name, "Conv2D") for name in names),
        layer("join", "Concatenate", (6, 6, 16), 0),
    )
    edges = [("photo", "stem")]
    edges += [edge for k in range(4) for edge in (("stem", f"near{k}"), (f"near{k}", f"far{k}"), (f"far{k}", "join"))]
    graph = ModelGraph("branches", nodes, tuple(Edge(*e) for e in edges), ("photo",), ("join",))
    path = tmp_path_factory.mktemp("branches") / "run.zarr"
    return Scene.build(parse_scene({"format": 1}), write(path, graph, [e for e in edges if e[1] != "join"]))


@pytest.mark.parametrize("target", [f"near{k}" for k in range(4)])
def test_lines_into_another_lane_cross_no_other_block(branches, target):
    context = branches.context
    pair = context.capture.connections("stem", target)
    points = curves(context, "stem", target, pair.index).reshape(-1, 3)
    for node in context.graph:
        if node.id not in ("stem", target):
            place = context.placement(node.id)
            low, high = np.array(place.origin), np.array(place.origin) + np.array(place.size)
            assert not ((points > low) & (points < high)).all(axis=1).any(), node.id


def test_branches_include_lanes_that_are_far_apart(branches):
    place = branches.context.placement
    assert max(abs(place(f"near{k}").lane - place("stem").lane) for k in range(4)) > 1


RECURRENT = ModelGraph(
    "machine",
    (
        layer("series", "InputLayer", (6, 4), 0),
        layer("step", "Dense", (6, 4)),
        layer("norm", "LayerNormalization", (6, 4)),
        layer("memory", "LSTM", (6, 4)),
        layer("look", "MultiHeadAttention", (6, 4)),
        layer("words", "EinsumDense", (6, 4)),
        layer("again", "GRU", (6, 4)),
    ),
    tuple(
        Edge(*e)
        for e in (
            ("series", "step"),
            ("step", "norm"),
            ("norm", "memory"),
            ("memory", "look"),
            ("look", "words"),
            ("words", "again"),
        )
    ),
    ("series",),
    ("again",),
)


def legend(scene: Scene, name: str) -> list[str]:
    (panel,) = [p for p in scene.at(99.0, Selection()).primitives if isinstance(p, Panel) and p.name == name]
    return [row.text for row in panel.rows if hasattr(row, "text")]


def test_legend_names_the_layers_with_weights_that_have_no_lines(tmp_path):
    scene = Scene.build(parse_scene({"format": 1}), write(tmp_path / "a.zarr", RECURRENT, [("series", "step")]))
    rows = legend(scene, "connections")
    assert rows[-1] == "drawn for 1 of 5 layers with weights, not for memory, look, words and 1 more"
    assert "3 of 9 weights into the strongest activation of one layer" in rows


def test_legend_counts_zero_layers_if_none_has_lines(tmp_path):
    scene = Scene.build(parse_scene({"format": 1}), write(tmp_path / "b.zarr", RECURRENT, []))
    assert legend(scene, "connections") == [
        "drawn for 0 of 5 layers with weights, not for step, memory, look and 2 more"
    ]


def test_legend_of_convolutions_alone_counts_convolutions_and_names_no_missing_layer(branches):
    rows = legend(branches, "connections")
    assert rows[-1] == "27 of 81 weights into the strongest activation of each of 9 convolutions"


def test_neuron_graph_legend_names_the_layers_whose_weights_are_not_shown(tmp_path):
    spec = parse_scene({"format": 1, "views": [{"kind": "nodes"}]})
    scene = Scene.build(spec, write(tmp_path / "c.zarr", RECURRENT, [("series", "step")]))
    (row,) = legend(scene, "links")
    assert row == "one grey line instead of weights: step, memory, look and 2 more"


def test_layers_that_scale_single_numbers_are_not_counted_in_the_legend():
    assert connecting_nodes(RECURRENT) == ("step", "memory", "look", "words", "again")


def test_contribution_of_an_infinite_number_is_nan_without_a_warning(tmp_path):
    nodes = (layer("start", "InputLayer", (2,), 0), layer("out", "Dense", (1,)))
    graph = ModelGraph("broken", nodes, (Edge("start", "out"),), ("start",), ("out",))
    index = np.array([[0, 0], [1, 0]])
    weights, none = np.array([0, 1e30], np.float32), np.zeros(2, np.float32)
    found = {
        ("start", "out"): {r: [Connections("start", "out", "dense", r, 2, index, weights, none)] for r in RANKINGS}
    }
    values = {"start": np.array([[np.inf, 1e30]], np.float32), "out": np.array([[np.nan]], np.float32)}
    capture = captures.write(tmp_path / "broken.zarr", graph, values, connections=found)
    with warnings.catch_warnings(action="error"):
        network = Scene.build(default_scene(), capture)
        facts = [
            network.describe(EdgePick("start", "out", (i,), (0,), w), Selection()) for i, w in ((0, 0.0), (1, 1e30))
        ]
        assert [dict(one.parts)["contribution"] for one in facts] == ["NaN", "∞"]
        balls = Scene.build(parse_scene({"format": 1, "views": [{"kind": "nodes"}]}), capture)
        links = [balls.describe(LinkPick("start", "out", "start", i, 0), Selection()) for i in (0, 1)]
        assert [dict(one.parts)["contribution"] for one in links] == ["NaN", "∞"]
