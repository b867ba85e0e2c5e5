"""Pictures of each family of models: every block and every text is inside the frame, and no text covers another."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.storage.axis_names import write_texts, write_unit_names
from nnviz3d.data.storage.truths import write_truth
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support import captures
from tests.support.graphs import Spec, chain, graph_of
from tests.support.pinhole import to_pixels
from tests.support.shot import Shot

pytestmark = pytest.mark.slow

SIZE = (1600, 900)
COLUMNS = ("age", "income", "rooms", "bedrooms", "population", "households", "latitude", "longitude")


def heads(graph: ModelGraph, **activations: str) -> ModelGraph:
    return replace(graph, nodes=tuple(replace(n, activation=activations.get(n.id, n.activation)) for n in graph))


def table() -> ModelGraph:
    nodes: list[Spec] = [
        ("row", "InputLayer", (8,)),
        ("scale", "Normalization", (8,)),
        ("dense", "Dense", (24,)),
        ("price", "Dense", (1,)),
    ]
    return chain(nodes)


def columns() -> ModelGraph:
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    nodes: list[Spec] = [(name, "InputLayer", (1,)) for name in names]
    nodes += [("features", "Concatenate", (4,)), ("dense", "Dense", (16,)), ("species", "Dense", (3,))]
    edges = [(name, "features") for name in names] + [("features", "dense"), ("dense", "species")]
    return heads(graph_of(nodes, edges), species="softmax")


def photo_or_not() -> ModelGraph:
    nodes: list[Spec] = [("photo", "InputLayer", (48, 48, 3)), ("conv", "Conv2D", (46, 46, 8))]
    return heads(chain([*nodes, ("pool", "GlobalAveragePooling2D", (8,)), ("dog", "Dense", (1,))]), dog="sigmoid")


def signal() -> ModelGraph:
    nodes: list[Spec] = [
        ("ecg", "InputLayer", (256, 2)),
        ("conv", "Conv1D", (256, 16)),
        ("pool", "MaxPooling1D", (64, 16)),
    ]
    return heads(
        chain([*nodes, ("mean", "GlobalAveragePooling1D", (16,)), ("rhythm", "Dense", (4,))]), rhythm="softmax"
    )


def denoised() -> ModelGraph:
    return chain([("noisy", "InputLayer", (200, 1)), ("conv", "Conv1D", (200, 8)), ("clean", "Conv1D", (200, 1))])


def volume() -> ModelGraph:
    nodes: list[Spec] = [("ct", "InputLayer", (16, 24, 24, 1)), ("conv", "Conv3D", (14, 22, 22, 8))]
    return heads(
        chain([*nodes, ("pool", "MaxPooling3D", (7, 11, 11, 8)), ("finding", "Dense", (2,))]), finding="softmax"
    )


def three_heads() -> ModelGraph:
    nodes: list[Spec] = [
        ("photo", "InputLayer", (64, 64, 3)),
        ("conv", "Conv2D", (32, 32, 16)),
        ("mean", "GlobalAveragePooling2D", (16,)),
        ("class", "Dense", (5,)),
        ("box", "Dense", (4,)),
        ("mask", "Conv2DTranspose", (64, 64, 1)),
    ]
    edges = [("photo", "conv"), ("conv", "mean"), ("mean", "class"), ("mean", "box"), ("conv", "mask")]
    return heads(graph_of(nodes, edges), **{"class": "softmax", "mask": "sigmoid"})


def segmenter() -> ModelGraph:
    nodes: list[Spec] = [("photo", "InputLayer", (64, 64, 1)), ("down", "Conv2D", (32, 32, 8))]
    nodes += [("up", "Conv2D", (64, 64, 8)), ("classes", "Conv2D", (64, 64, 4))]
    return heads(chain(nodes), classes="softmax")


def variational() -> ModelGraph:
    nodes: list[Spec] = [
        ("digit", "InputLayer", (8, 8, 1)),
        ("flat", "Flatten", (64,)),
        ("mean", "Dense", (2,)),
        ("log_var", "Dense", (2,)),
        ("sample", "Sampling", (2,)),
        ("pixels", "Dense", (64,)),
        ("rebuilt", "Reshape", (8, 8, 1)),
    ]
    edges = [("digit", "flat"), ("flat", "mean"), ("flat", "log_var"), ("mean", "sample"), ("log_var", "sample")]
    graph = graph_of(nodes, [*edges, ("sample", "pixels"), ("pixels", "rebuilt")])
    return replace(graph, outputs=("rebuilt", "mean", "log_var"))


def high_ranks() -> ModelGraph:
    nodes: list[Spec] = [("five", "InputLayer", (2, 3, 8, 8, 4)), ("six", "Reshape", (2, 3, 2, 4, 8, 4))]
    return chain([*nodes, ("dense", "Dense", (2, 3, 2, 4, 8, 5)), ("answer", "Dense", (3,))])


def text() -> ModelGraph:
    nodes: list[Spec] = [
        ("review", "InputLayer", (1,)),
        ("counts", "TextVectorization", (12,)),
        ("hidden", "Dense", (8,)),
    ]
    return heads(chain([*nodes, ("mood", "Dense", (1,))]), mood="sigmoid")


FAMILIES = (
    table,
    columns,
    photo_or_not,
    signal,
    denoised,
    volume,
    three_heads,
    segmenter,
    variational,
    high_ranks,
    text,
)


def capture_of(path: Path, graph: ModelGraph) -> Capture:
    """Write random numbers of both signs for all nodes; one layer has NaN, and one is constant."""
    rng = np.random.default_rng(len(graph))
    values = {n.id: rng.normal(size=(2, *n.shape)).astype(np.float32) for n in graph if n.id != "review"}
    for node in graph:
        if node.activation in ("softmax", "sigmoid"):
            values[node.id] = rng.dirichlet(np.ones(node.shape[-1] + 1), (2, *node.shape[:-1]))[..., 1:].astype(
                np.float32
            )
    if "hidden" in values:
        values["counts"][:], values["hidden"][0, :3] = 1.0, np.nan

    def also(writer) -> None:
        if graph.inputs == ("row",):
            write_unit_names(writer, "row", COLUMNS)
        if "review" in graph:
            write_texts(writer, "review", np.array(["a good film, but a little long for my taste", "no"]))
        if "classes" in graph:
            write_truth(writer, graph, rng.integers(0, 4, (2, 64, 64)))

    return captures.write(
        path / "run.zarr", graph, values, also=[also], classes=("cat", "dog") if "dog" in graph else None
    )


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.__name__)
def shot(request, tmp_path_factory) -> Shot:
    capture = capture_of(tmp_path_factory.mktemp(request.param.__name__), request.param())
    return Shot(Scene.build(default_scene(), capture, aspect=SIZE[0] / SIZE[1]), SIZE)


def test_every_block_is_inside_the_frame(shot):
    pixels = to_pixels(shot.scene.context.plan.corners(), shot.pose, SIZE)
    assert (pixels >= 0).all()
    assert (pixels <= SIZE).all()


def test_every_block_has_pixels_of_its_own(shot):
    for node in shot.scene.context.graph:
        part = shot.part(node.id)
        assert (np.ptp(part.reshape(-1, 3), axis=0) > 12).any(), node.id


def test_texts_are_inside_the_frame_and_do_not_cover_each_other(shot):
    rects = [p.rect for p in shot.placed] + shot.panels
    assert not any(a.overlaps(b) for a, b in combinations(rects, 2))
    for rect in rects:
        assert min(rect.left, rect.bottom) >= 0
        assert rect.left + rect.width <= 2 * SIZE[0]
        assert rect.bottom + rect.height <= 2 * SIZE[1]


def test_inputs_and_outputs_are_named(shot):
    graph = shot.scene.context.graph
    ends = {graph.node(name).name for name in (*graph.inputs, *graph.outputs)}
    assert ends <= shot.words()


def test_numbers_of_inputs_and_scores_of_outputs_are_shown(shot):
    beside = [label.lines[0] for label in shot.labels if label.small and label.align == "left"]
    assert set(beside) <= shot.words()
    graph = shot.scene.context.graph
    short = [name for name in graph.outputs if len(graph.node(name).shape) == 1]
    right = [label for label in shot.labels if label.align == "right"]
    assert sum(label.lines[0] in shot.words() for label in right) >= len(short)
