"""Captures of two models with equal graphs: matched nodes and samples, their numbers, and sentences for other graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.compared import counterpart_activation, counterpart_of, has_counterpart, inputs_differ
from nnviz3d.data.counterpart import Counterpart, matched_nodes, matched_samples, told_apart
from nnviz3d.data.graph import Edge, ModelGraph
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import CaptureError
from tests.support import captures
from tests.support.graphs import chain

NAMES = ("a.keras", "b.keras")


def other_values(samples: int = 3) -> dict[str, np.ndarray]:
    """Return other numbers than those of `captures.small_values`."""
    random = np.random.default_rng(21)
    return {n.id: random.random((samples, *n.shape), dtype=np.float32) for n in captures.small_graph()}


def renamed(graph: ModelGraph, ending: str) -> ModelGraph:
    """Return a graph whose nodes have other names."""
    ids = {node.id: node.path + ending for node in graph}
    return replace(
        graph,
        nodes=tuple(replace(node, path=ids[node.id]) for node in graph),
        edges=tuple(replace(edge, source=ids[edge.source], target=ids[edge.target]) for edge in graph.edges),
        inputs=tuple(ids[name] for name in graph.inputs),
        outputs=tuple(ids[name] for name in graph.outputs),
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return captures.write(tmp_path_factory.mktemp("a") / "a.zarr", captures.small_graph(), captures.small_values())


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    values = {f"{name}_1": array for name, array in other_values().items()}
    return captures.write(tmp_path_factory.mktemp("b") / "b.zarr", renamed(captures.small_graph(), "_1"), values)


@pytest.fixture(scope="module")
def series(shown, other) -> CaptureSeries:
    return CaptureSeries.of(shown).compared(Counterpart.of(shown, other, NAMES, "b.keras"))


def test_nodes_of_equal_graphs_with_other_names_are_matched_by_order(series):
    assert counterpart_of(series).nodes["conv"] == "conv_1"
    for node in series.graph:
        for sample in range(3):
            assert np.array_equal(counterpart_activation(series, node.id, sample), other_values()[node.id][sample])


def test_later_samples_have_the_numbers_of_their_own_run(series, shown, other):
    longer = series.plus(shown, other)
    assert has_counterpart(longer, 5)
    assert np.array_equal(counterpart_activation(longer, "dense", 5), other_values()["dense"][2])
    assert not has_counterpart(longer.without(5), 4)
    assert counterpart_of(longer.without(5)) is counterpart_of(series)


def test_later_samples_that_the_other_capture_holds_are_known_by_name_and_input(shown, other, tmp_path):
    first = captures.write(tmp_path / "0.zarr", shown.graph, captures.small_values(1))
    held = captures.write(
        tmp_path / "h.zarr", shown.graph, captures.small_values() | {"dense": other_values()["dense"]}
    )
    series = CaptureSeries.of(first).compared(Counterpart.of(first, held, NAMES, "b"))
    again = captures.write(tmp_path / "1.zarr", shown.graph, captures.small_values())
    longer = series.plus(again)
    assert np.array_equal(counterpart_activation(longer, "dense", 3), other_values()["dense"][2])
    odd = captures.write(tmp_path / "2.zarr", shown.graph, other_values())
    assert not has_counterpart(series.plus(odd), 1), "of another file with the same name"
    with pytest.raises(CaptureError, match=r"b.keras was not run on sample 0; choose a sample that both ran on"):
        counterpart_activation(series.plus(odd), "conv", 1)


def test_samples_are_matched_by_name_or_else_by_position(shown):
    assert matched_samples(["x", "y", "x"], ["x", "z", "x", "x"]) == (0, None, 2)
    assert matched_samples(["x", "y"], ["u", "v"]) == (0, 1), "as many samples, none by its name: by position"
    assert matched_samples(["x", "y"], ["u"]) == (None, None)
    alone = captures.write(shown.path.parent / "one.zarr", shown.graph, captures.small_values(1))
    assert Counterpart.of(shown, alone, NAMES, "b").samples == (0, None, None)


def named(capture, *names: str) -> CaptureSeries:
    """Return a reader of a capture whose samples have other names."""
    series = CaptureSeries.of(capture)
    series.provenance = replace(series.provenance, samples=names)
    return series


def test_samples_of_other_names_are_matched_by_position_where_they_have_the_same_input(shown, tmp_path):
    values = other_values() | {"input": captures.small_values()["input"].copy()}
    values["input"][1] += 1
    other = named(captures.write(tmp_path / "b.zarr", shown.graph, values), "x", "y", "z")
    assert Counterpart.of(shown, other, NAMES, "b").samples == (0, None, 2)
    odd = named(captures.write(tmp_path / "c.zarr", shown.graph, other_values()), "x", "y", "z")
    with pytest.raises(CaptureError, match=r"no sample in common: one holds sample 0, the other x"):
        Counterpart.of(shown, odd, NAMES, "b")


def test_samples_of_one_name_with_other_inputs_are_told(shown, series, tmp_path):
    assert inputs_differ(series, 0)
    assert not inputs_differ(shown, 0), "nothing is compared"
    for more, differs in ((0.0, False), (0.01, True)):
        path = tmp_path / f"{more}.zarr"
        provenance = Provenance("hand.keras", samples=shown.provenance.samples)
        with CaptureWriter(path, graph=shown.graph, provenance=provenance, samples=3, float16=True) as writer:
            writer.write_activations("input", 0, 0, captures.small_values()["input"] + np.float32(more))
            writer.commit(3)
        rounded = open_capture(path)
        assert not np.array_equal(rounded.activation("input", 1), shown.activation("input", 1))
        found = CaptureSeries.of(shown).compared(Counterpart.of(shown, rounded, NAMES, "b"))
        assert inputs_differ(found, 1) is differs, "rounding on one side is no other input"


def test_captures_without_a_sample_in_common_are_refused(shown, tmp_path):
    alone = captures.write(tmp_path / "one.zarr", shown.graph, captures.small_values(1))
    odd = CaptureSeries.of(alone)
    odd.provenance = replace(odd.provenance, samples=("cat.jpg",))
    with pytest.raises(CaptureError, match=r"no sample in common: one holds sample 0, the other cat.jpg"):
        Counterpart.of(shown, odd, NAMES, "b")


def test_paths_are_told_apart_by_their_shortest_ends():
    assert told_apart("runs/a.keras", "b.keras") == ("a.keras", "b.keras")
    assert told_apart("x/run1/m.keras", "x/run2/m.keras") == ("run1/m.keras", "run2/m.keras")
    assert told_apart("m.keras", "m.keras") == ("m.keras", "m.keras")


def spec(*changes: tuple[int, tuple]) -> ModelGraph:
    layers = [("input", "InputLayer", (8,)), ("dense", "Dense", (4,)), ("act", "ReLU", (4,)), ("out", "Dense", (2,))]
    for place, layer in changes:
        layers[place] = layer
    return chain(layers)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (spec((1, ("dense", "Dense", (6,)))), "dense has shape 4 in a.keras and 6 in b.keras"),
        (spec((1, ("fc", "Dense", (6,)))), r"dense \(fc\) has shape 4 in a.keras and 6 in b.keras"),
        (
            spec((2, ("act", "Dropout", (4,)))),
            r"where a.keras has act \(ReLU, 4\), b.keras has act \(Dropout, 4\)",
        ),
        (
            chain([("input", "InputLayer", (8,)), ("dense", "Dense", (4,)), ("act", "ReLU", (4,))]),
            r"\(4 and 3 layers\): a.keras goes on with out \(Dense, 2\)",
        ),
    ],
)
def test_first_difference_of_two_graphs_is_named(other, words):
    with pytest.raises(CaptureError, match=rf"a.keras and b.keras have different graphs.*{words}.*same layers"):
        matched_nodes(spec(), other, NAMES)


def test_graphs_with_other_edges_are_told_apart():
    graph = captures.small_graph()
    wired = replace(graph, edges=(*graph.edges[:-1], Edge("flatten", "scores")))
    with pytest.raises(CaptureError, match=r"scores takes dense in a.keras and flatten in b.keras"):
        matched_nodes(graph, wired, NAMES)
