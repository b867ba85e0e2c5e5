"""Drawings of captures with channels first, and with pictures without a channel axis."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from nnviz3d.data.axes import named_axes
from nnviz3d.data.capabilities.attributions import write_attribution, write_attribution_layers
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.targets import PREDICTED, write_targets
from nnviz3d.scene.derived.neurons import neurons_of
from nnviz3d.scene.derived.unit_weights import links_of
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.panel_rows import ScaleRow
from nnviz3d.scene.primitives import Image, Labels, Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene
from tests.support import captures
from tests.support.graphs import chain
from tests.support.number_words import read_number

FIRST = ("channel", "row", "column")
TABLE = ("row", "column")


def moved(values):
    """Convert ``(n, H, W, C)`` to ``(n, C, H, W)``; other arrays are returned unchanged."""
    return np.moveaxis(values, -1, 1) if values.ndim == 4 else values


def turned(capture, path):
    """Write the same capture with channels first."""
    nodes = tuple(
        replace(
            node,
            shapes=((node.shape[-1], *node.shape[:-1]),) if len(node.shape) == 3 else node.shapes,
            named_axes=FIRST if len(node.shape) == 3 else (),
            details={"data_format": "channels_first"} if node.kind == "Flatten" else node.details,
        )
        for node in capture.graph
    )
    graph = replace(capture.graph, nodes=nodes)

    def flat(name, index):
        shape = capture.graph.node(name).shape
        if len(shape) < 3:
            return index
        row, column, channel = np.unravel_index(index, shape)
        return np.ravel_multi_index((channel, row, column), graph.node(name).shape)

    def also(writer):
        answers = np.array([capture.explanations(i).explained(None).target.index for i in range(3)])
        write_targets(writer, PREDICTED, "scores", answers, np.ones(3), np.full(3, 0.5))
        for method, layer in (("grad_cam", "conv"), ("vanilla", "input")):
            write_attribution_layers(writer, method, PREDICTED, [layer])
            found = [capture.explanations(i).attribution(method) for i in range(3)]
            write_attribution(writer, PREDICTED, found)
        for name in captures.explained_gradients():
            gradient = np.stack([capture.explanations(i).gradient(name, None) for i in range(3)])
            write_gradient(writer, PREDICTED, name, 0, 0, moved(gradient))
        writer.write_weights("conv", "kernel", capture.weights("conv")["kernel"])

    pairs = {}
    for source, target in (("flatten", "dense"), ("input", "conv")):
        pairs[source, target] = {
            ranking: [
                replace(one, index=np.stack([flat(source, one.index[:, 0]), flat(target, one.index[:, 1])], axis=1))
                for one in (capture.connections(source, target, ranking, i) for i in range(3))
            ]
            for ranking in ("weight", "contribution")
        }
    values = {node.id: moved(capture.activations(node.id).values) for node in graph}
    return captures.write(
        path, graph, values, connections=pairs, also=[also], classes=captures.CLASSES, labels=capture.labels
    )


@pytest.fixture(scope="module")
def first(explained_capture, tmp_path_factory):
    return turned(explained_capture, tmp_path_factory.mktemp("first") / "explained.zarr")


def scene_of(capture, *views):
    return Scene.build(parse_scene({"format": 1, "views": list(views)}), capture)


def drawn(scene, **selected):
    found = scene.at(scene.duration, Selection(**selected)).primitives
    return {(type(p).__name__, p.name): p for p in found if not isinstance(p, Labels)}


def same(one, other):
    for part in fields(one):
        a, b = getattr(one, part.name), getattr(other, part.name)
        if isinstance(a, np.ndarray):
            assert np.allclose(a, b, equal_nan=True, atol=1e-6), (one.name, part.name)
        elif isinstance(a, str | int | float | tuple) and not isinstance(one, Panel):
            assert a == b or np.allclose(np.array(a, dtype=float), np.array(b, dtype=float)), (one.name, part.name)


VIEWS = {
    "blocks": [{"kind": "structure"}, {"kind": "activations", "reveal": {"start": 0, "duration": 0}}],
    "gradients": [{"kind": "activations", "quantity": "gradient"}],
    "connections": [{"kind": "connections"}],
    "maps": [{"kind": "attributions"}],
    "pixel maps": [{"kind": "attributions", "method": "vanilla"}],
    "channels": [{"kind": "channels", "layer": "conv", "unfold": {"start": 0, "duration": 1}, "order": "contribution"}],
    "nodes": [{"kind": "nodes"}],
    "nodes by contribution": [{"kind": "nodes", "ranking": "contribution"}],
    "statistics": [{"kind": "statistics"}],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_draw_channels_first_like_channels_last(name, explained_capture, first):
    here, there = (drawn(scene_of(capture, *VIEWS[name]), sample=1) for capture in (first, explained_capture))
    assert here.keys() == there.keys()
    for key, primitive in here.items():
        same(primitive, there[key])


def test_labels_show_the_shape_in_the_layers_order_of_axes(first):
    found = scene_of(first, {"kind": "structure"}).at(0.0).primitives
    texts = [line for p in found if isinstance(p, Labels) for label in p.labels for line in label.lines]
    assert any("4 × 6 × 7" in text for text in texts)


def test_pick_has_the_index_of_the_stored_number(first):
    scene = scene_of(first, {"kind": "activations"})
    pick = CellPick("conv", (3, 5, 2))
    told = scene.describe(pick, Selection(sample=2, pick=pick))
    assert np.float32(read_number(dict(told.parts)["activation"])) == first.activation("conv", 2)[3, 5, 2]
    assert told.more[0] == "channel 3, row 5, column 2"
    assert (
        np.float32(read_number(dict(told.parts)["Grad-CAM"]))
        == first.explanations(2).attribution("grad_cam").values[5, 2]
    )
    pixel = CellPick("conv", (5, 2))
    told = scene.describe(pixel, Selection(sample=2, pick=pixel))
    numbers = [np.float32(read_number(text)) for text in dict(told.parts)["activation"].split(", ")]
    assert numbers == first.activation("conv", 2)[:, 5, 2].tolist()
    assert told.more[0] == "row 5, column 2"


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 4, 6), FIRST),
        ((5, 2, 3, 4), ("channel", "plane", "row", "column")),
        ((3, 7), ("channel", "time step")),
        ((9, 8), TABLE),
        ((2, 3, 4, 5), named_axes(4, 1)),
    ],
)
def test_cells_are_found_from_their_index_in_any_order_of_axes(shape, axes):
    grid, values = grid_for(shape, axes), np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    arranged = grid.arrange(values)
    assert arranged.shape == grid.size
    x, y, z = grid.cells(np.arange(values.size)).T
    assert np.array_equal(arranged[x, y, z], values.ravel())
    for cell in np.ndindex(grid.size):
        index = grid.index(cell)
        assert arranged[cell] == values[index]
        assert grid.full(grid.location(index), index[axes.index("channel")] if "channel" in axes else 0) == index


def test_flattened_channels_are_found_in_the_order_of_the_flatten_layer():
    shape = (2, 3, 4)
    graph = chain(
        [("x", "InputLayer", shape), ("conv", "Conv2D", shape), ("flat", "Flatten", (24,)), ("out", "Dense", (5,))]
    )
    graph = replace(graph, nodes=tuple(replace(n, named_axes=FIRST) if len(n.shape) == 3 else n for n in graph))
    shapes = {node.id: node.shape for node in graph}
    by_row = neurons_of(graph, shapes).feed("flat", "out").units
    assert np.array_equal(by_row, np.repeat([0, 1], 12))
    nodes = tuple(replace(n, details={"data_format": "channels_first"}) if n.id == "flat" else n for n in graph)
    by_place = neurons_of(replace(graph, nodes=nodes), shapes).feed("flat", "out").units
    assert np.array_equal(by_place, np.tile([0, 1], 12))


@pytest.mark.parametrize("axes", [FIRST, ()])
def test_dense_weights_join_channels_only_if_channels_are_last(axes, tmp_path):
    graph = chain([("x", "InputLayer", (4, 4, 4)), ("mix", "Dense", (4, 4, 3))])
    graph = replace(graph, nodes=(replace(graph.node("x"), named_axes=axes), graph.node("mix")))
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    kernel = np.ones((4, 3), np.float32)
    capture = captures.write(
        tmp_path / "mix.zarr", graph, values, also=[lambda w: w.write_weights("mix", "kernel", kernel)]
    )
    neurons = neurons_of(graph, {node.id: node.shape for node in graph})
    assert (links_of(capture, neurons, neurons.feeds[0]) is None) == bool(axes)


@pytest.fixture(scope="module")
def pair(explained_capture, tmp_path_factory):
    """The explained capture with an input of only rows and columns, and with an input of time steps and channels."""
    folder = tmp_path_factory.mktemp("tables")

    def also(writer):
        write_targets(writer, PREDICTED, "scores", np.zeros(3, np.int64), np.ones(3), np.full(3, 0.5))
        write_attribution_layers(writer, "grad_cam", PREDICTED, ["conv"])
        maps = [explained_capture.explanations(i).attribution("grad_cam") for i in range(3)]
        write_attribution(writer, PREDICTED, maps)

    found = []
    for name, axes in (("table", TABLE), ("steps", ())):
        start = replace(explained_capture.graph.node("input"), shapes=((8, 9),), named_axes=axes)
        graph = replace(explained_capture.graph, nodes=(start, *explained_capture.graph.nodes[1:]))
        values = {node.id: explained_capture.activations(node.id).values.reshape(3, *node.shape) for node in graph}
        found.append(captures.write(folder / f"{name}.zarr", graph, values, also=[also]))
    return found


def test_picture_without_channels_is_upright_and_has_the_map_over_it(pair, explained_capture):
    views = [{"kind": "activations"}, {"kind": "attributions"}]
    here, there = (drawn(scene_of(capture, *views), sample=1) for capture in (pair[0], explained_capture))
    for key in (("Image", "input"), ("Image", "map:input"), ("Image", "map:conv")):
        assert np.array_equal(here[key].pixels, there[key].pixels)


def test_attribution_scale_is_mixed_with_grey_only_if_the_map_covers_a_picture(pair, explained_capture):
    def scale(capture):
        panel = drawn(scene_of(capture, {"kind": "attributions"}), sample=1)["Panel", "attribution"]
        return next(row for row in panel.rows if isinstance(row, ScaleRow)).colormap.table

    table, steps = (scale(capture) for capture in pair)
    assert np.array_equal(table, scale(explained_capture))
    assert not np.array_equal(table, steps)


def test_input_of_steps_and_channels_is_not_drawn_as_a_picture(pair):
    found = drawn(scene_of(pair[1], {"kind": "activations"}, {"kind": "attributions"}))
    assert ("Image", "map:conv") in found
    assert not any(isinstance(p, Image) and p.name in ("input", "map:input") for p in found.values())
