"""The graph refuses invalid nodes and edges, and is read from JSON as it was written."""

from dataclasses import replace

import pytest

from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.errors import CaptureError


def diamond() -> ModelGraph:
    nodes = (
        LayerNode("input", 0, "InputLayer", ((8,),)),
        LayerNode("block/left", 0, "Dense", ((4,),), parameters=36, activation="relu", details={"units": 4}),
        LayerNode("block/left", 1, "Dense", ((4,),)),
        LayerNode("add", 0, "Add", ((4,), (None, 2))),
    )
    edges = (
        Edge("input", "block/left"),
        Edge("input", "block/left@1"),
        Edge("block/left", "add"),
        Edge("block/left@1", "add"),
    )
    return ModelGraph("m", nodes, edges, ("input",), ("add",))


def test_node_has_id_name_and_group():
    first, second = diamond().nodes[1:3]
    assert (first.id, first.name, first.group) == ("block/left", "left", "block")
    assert (second.id, second.name, second.group) == ("block/left@1", "left@1", "block")


def test_graph_finds_nodes_sources_and_ancestors():
    graph = diamond()
    assert len(graph) == 4
    assert "block/left@1" in graph
    assert graph.sources("add") == ("block/left", "block/left@1")
    assert graph.parameters == 36
    assert graph.node("add").size == 4
    assert LayerNode("x", 0, "Dense", ((None, 3),)).size == 0
    with pytest.raises(KeyError):
        graph.node("nothing")


def test_graph_is_read_from_its_json():
    assert ModelGraph.from_json(diamond().to_json()) == diamond()


def test_time_step_axis_is_stored_under_its_earlier_name():
    node = LayerNode("conv", 0, "Conv1D", ((3, 7),), named_axes=("channel", "time step"))
    graph = ModelGraph("m", (node,), (), (), ())
    assert graph.to_json()["nodes"][0]["named_axes"] == ["channel", "step"]
    assert ModelGraph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize(
    ("nodes", "edges", "ends", "words"),
    [
        (["a", "a"], [], ["a"], "names node 'a' twice"),
        (["a", "b"], [("a", "c")], ["a"], "to a node it lacks"),
        (["b", "a"], [("a", "b")], ["a"], "out of order"),
        (["a"], [("a", "a")], ["a"], "out of order"),
        (["a"], [], ["z"], "has no such node"),
    ],
)
def test_invalid_graph_is_refused(nodes, edges, ends, words):
    made = tuple(LayerNode(name, 0, "Dense", ((1,),)) for name in nodes)
    with pytest.raises(CaptureError, match=words):
        ModelGraph("m", made, tuple(Edge(*edge) for edge in edges), tuple(ends), ())


def test_refusal_of_damaged_json_names_the_position():
    data = diamond().to_json()
    del data["nodes"][1]["kind"]
    with pytest.raises(CaptureError, match=r"damaged at nodes\.1\.kind"):
        ModelGraph.from_json(data)
    with pytest.raises(CaptureError, match="damaged at its top"):
        ModelGraph.from_json(None)


@pytest.mark.parametrize("default", ["functional", "functional_3", "sequential", "sequential_1", "model", "model_2"])
def test_default_name_of_keras_gives_way_to_the_name_of_the_file_and_is_stored(default):
    graph = replace(diamond(), name=default)
    named = graph.of_file("digits of Ann.keras")
    assert named.name == "digits of Ann"
    assert named.to_json() == graph.to_json()
    assert named.to_json()["name"] == default


@pytest.mark.parametrize("own", ["functional_api", "my_model", "sequential_", "Model", "vgg16"])
def test_name_that_the_author_gave_stays(own):
    assert replace(diamond(), name=own).of_file("m.keras").name == own
