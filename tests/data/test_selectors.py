"""Selectors of layers by name, by pattern and by kind."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.selectors import by_kind, lacks, matching, without_names


def chain(*layers: tuple[str, str, int]) -> ModelGraph:
    """A chain of layers: name, kind and parameters of each."""
    nodes = tuple(LayerNode(name, 0, kind, ((4,),), parameters) for name, kind, parameters in layers)
    edges = tuple(Edge(a.id, b.id) for a, b in pairwise(nodes))
    return ModelGraph("birdnet", nodes, edges, (nodes[0].id,), (nodes[-1].id,))


CONVOLUTIONAL = chain(
    ("photo", "InputLayer", 0),
    ("stem", "Conv2D", 9),
    ("memory", "ConvLSTM2D", 9),
    ("deep/filter", "DepthwiseConv2D", 9),
    ("squeeze", "GlobalAveragePooling2D", 0),
    ("body", "Dense", 9),
    ("drop", "Dropout", 0),
    ("scores", "Dense", 9),
    ("shares", "Softmax", 0),
)
PERCEPTRON = chain(("x", "InputLayer", 0), ("only", "Dense", 9))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("first convolution", ("stem",)),
        ("last convolution", ("deep/filter",)),
        ("every convolution", ("stem", "deep/filter")),
        ("last hidden", ("body",)),
        ("last recurrent", ("memory",)),
        ("s*", ("stem", "squeeze", "scores", "shares")),
        ("deep", ("deep/filter",)),
        ("dee", ()),
        ("conv2d_1", ()),
        ("conv2d_1 or first convolution", ("stem",)),
        ("body or first convolution", ("body",)),
        ("last attention or every dense", ("body", "scores")),
        ("second convolution", ()),
    ],
)
def test_selector_matches_nodes_by_name_pattern_or_kind(selector, expected):
    assert matching(selector, CONVOLUTIONAL) == expected


def test_selector_matches_a_node_id_before_a_kind():
    graph = chain(("x", "InputLayer", 0), ("last dense", "Conv2D", 1), ("y", "Dense", 1))
    assert matching("last dense", graph) == ("last dense",)


def test_last_hidden_is_none_if_the_output_layer_takes_the_input():
    assert matching("last hidden", PERCEPTRON) == ()


def test_lacks_names_the_missing_kind_and_the_model():
    assert lacks("conv2d_1 or first convolution", PERCEPTRON) == "birdnet has no convolution"
    assert lacks("last hidden", PERCEPTRON) == "birdnet has no hidden layer"


def test_without_names_keeps_only_the_kind_of_a_selector():
    assert without_names("conv2d_1 or first convolution") == "first convolution"
    assert without_names("conv2d_1") == "conv2d_1"
    assert by_kind("conv2d_1 or first convolution")
    assert not by_kind("conv2d_1")
