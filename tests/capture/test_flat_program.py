"""Flat programs of all kinds of models: nodes, edges, paths and parameter counts."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.layers.layer import Layer
from keras.src.ops.node import Node

from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, expected_inputs, open_model
from nnviz3d.errors import ModelError
from tests.capture import zoo


def graph_of(model, *shape):
    inputs = expected_inputs(model) or Inputs((InputSpec("input", shape, "float32"),), 0)
    return describe(open_model(model, inputs), model.name).graph


def arrows(graph):
    return [f"{edge.source}->{edge.target}" for edge in graph.edges]


def test_reloaded_sequential_has_its_nine_nodes_and_no_stale_ones(tmp_path):
    model = zoo.reloaded(tmp_path)
    graph = graph_of(model)
    ids = [node.id for node in graph]
    assert ids == ["input", *(layer.name for layer in model.layers)]
    assert len(ids) == 9
    assert arrows(graph) == [f"{a}->{b}" for a, b in pairwise(ids)]
    assert graph.inputs == ("input",)
    assert graph.outputs == ("dense_1",)
    assert graph.parameters == model.count_params()


def test_node_details_hold_the_layers_settings():
    graph = graph_of(zoo.digits_like())
    node = graph.node("conv2d")
    assert (node.kind, node.shape, node.activation, node.parameters) == ("Conv2D", (26, 26, 4), "relu", 40)
    assert node.details["kernel_size"] == [3, 3]
    assert node.details["padding"] == "valid"
    assert graph.node("dense_1").details["units"] == 10
    assert graph.node("dense_1").activation == "softmax"
    assert graph.node("input").kind == "InputLayer"


def test_nested_models_are_path_prefixes_and_shared_layers_have_a_node_for_each_call():
    model = zoo.nested_and_shared()
    graph = graph_of(model)
    assert set(arrows(graph)) == {
        "start->shared",
        "shared->shared@1",
        "shared->inner/first",
        "inner/first->inner/second",
        "shared@1->inner/first@1",
        "inner/first@1->inner/second@1",
        "inner/second->add",
        "inner/second@1->add",
        "add->head/out",
        "head/out->head/drop",
    }
    assert graph.node("inner/first@1").group == "inner"
    assert graph.node("shared").parameters == 72
    assert graph.node("shared@1").parameters == 0
    assert graph.parameters == model.count_params()


def test_skip_connections_are_edges():
    assert set(arrows(graph_of(zoo.residual()))) == {
        "start->stem",
        "stem->relu",
        "relu->inside",
        "stem->add",
        "inside->add",
        "add->pool",
    }


def test_several_inputs_and_outputs_have_their_own_edges():
    graph = graph_of(zoo.two_in_two_out())
    assert graph.inputs == ("left", "right")
    assert graph.outputs == ("first", "second")
    assert set(arrows(graph)) == {"left->both", "right->both", "both->first", "right->second"}


def test_attention_is_one_node_and_wrappers_show_their_layers():
    graph = graph_of(zoo.sequence())
    gru = [f"both_ways/{part}" for part in ("forward_gru", "backward_gru", "flip", "concatenate")]
    assert [node.id for node in graph] == ["start", "attention", "add", "norm", *gru, "each/dense"]
    assert set(arrows(graph)) == {
        "start->attention",
        "start->add",
        "attention->add",
        "add->norm",
        "norm->both_ways/forward_gru",
        "norm->both_ways/backward_gru",
        "both_ways/forward_gru->both_ways/concatenate",
        "both_ways/backward_gru->both_ways/flip",
        "both_ways/flip->both_ways/concatenate",
        "both_ways/concatenate->each/dense",
    }
    assert graph.parameters == zoo.sequence().count_params()


def test_edges_have_the_output_number_of_layers_with_several_outputs():
    start = keras.Input((6, 8), name="start")
    whole, state, _ = layers.LSTM(4, return_state=True, return_sequences=True, name="lstm")(start)
    graph = graph_of(keras.Model(start, [layers.ReLU(name="a")(whole), layers.ReLU(name="b")(state)]))
    assert graph.node("lstm").shapes == ((6, 4), (4,), (4,))
    assert {(e.target, e.output) for e in graph.edges if e.source == "lstm"} == {("a", 0), ("b", 1)}


def test_subclassed_model_with_a_list_and_a_loop_is_opened():
    model = zoo.Stack()
    graph = graph_of(model, 5)
    assert [node.id for node in graph] == [
        "input",
        "stem",
        *(f"block{i}/{part}" for i in range(3) for part in ("multiply", "one", "relu", "two", "add")),
    ]
    assert graph.node("block1/add").kind == "Add"
    assert {"block0/add->block1/multiply", "block0/add->block1/one", "block1/multiply->block1/add"} <= set(
        arrows(graph)
    )
    assert (
        graph.node("block0/multiply").parameters == 8
    )  # the block's own variable counts at the operation that uses it
    assert graph.parameters == model.count_params()


def test_tracing_twice_gives_the_same_graph():
    model = zoo.Stack()
    assert graph_of(model, 5) == graph_of(model, 5)


def test_tensorflow_functions_become_nodes():
    graph = graph_of(zoo.Tutorial(), 9, 9, 1)
    assert [node.kind for node in graph] == [
        "InputLayer",
        "Conv2D",
        "Relu",
        "MaxPool2d",
        "Reshape",
        "Multiply",
        "Concat",
        "Dense",
        "Softmax",
    ]


def test_an_unbuilt_sequential_is_built_for_its_samples():
    model = keras.Sequential([layers.Conv1D(4, 3, name="conv"), layers.GlobalAveragePooling1D(name="pool")])
    assert expected_inputs(model) is None
    assert [node.shape for node in graph_of(model, 9, 3)] == [(9, 3), (7, 4), (4,)]


def test_equal_names_in_two_nested_models_have_different_paths():
    parts = [keras.Sequential([layers.Dense(4, name="dense")], name=name) for name in ("left", "right")]
    graph = graph_of(keras.Sequential([keras.Input((8,), name="input"), *parts]))
    assert [node.id for node in graph] == ["input", "left/dense", "right/dense"]


def test_equal_names_in_one_model_are_numbered():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(4, name="twin"), layers.Dense(4, name="twin")

        def call(self, x):
            return self.two(self.one(x))

    assert [node.id for node in graph_of(Twins(), 3)] == ["input", "twin", "twin_1"]


def test_unusual_names_become_safe_paths():
    model = keras.Sequential(
        [
            keras.Input((3,), name="in put"),
            layers.Dense(2, name="a@1"),
            layers.Dense(2, name=".."),
            layers.Dense(2, name="__x"),
        ]
    )
    assert [node.id for node in graph_of(model)] == ["in_put", "a_1", "_", "_x"]


def test_call_that_only_changes_a_type_is_no_node():
    start = keras.Input((4,), dtype="int32", name="start")
    x = keras.ops.cast(start, "float32")
    graph = graph_of(keras.Model(start, layers.Dense(2, name="dense")(x)))
    assert arrows(graph) == ["start->dense"]


def test_layer_that_needs_concrete_numbers_is_one_block():
    model = keras.Sequential([keras.Input((3,), name="input"), zoo.Picky(name="picky")])
    program = open_model(model, expected_inputs(model))
    assert [call.path for call in program.calls if not call.plumbing] == ["input", "picky"]
    assert "wants numbers" in program.sealed["picky"]


def test_a_model_that_cannot_be_traced_is_refused_with_a_reason():
    class Stubborn(keras.Model):
        def call(self, x):
            raise TypeError("I only eat numbers")

    with pytest.raises(ModelError, match=r"Stubborn .* cannot be traced: I only eat numbers\. Write its call\(\) with"):
        graph_of(Stubborn(), 3)


def test_a_model_without_a_call_names_its_parts():
    class Gan(keras.Model):
        def __init__(self):
            super().__init__(name="gan")
            self.generator = keras.Sequential([layers.Dense(4)])
            self.critic = layers.Dense(1)

    with pytest.raises(ModelError) as error:
        graph_of(Gan(), 3)
    assert str(error.value) == (
        "Gan 'gan' has no call(), so it does not run as a whole; its parts are generator (Sequential), critic (Dense). "
        "Capture one of them: give model.generator in Python, or save it with model.generator.save('generator.keras') and "
        "open that file."
    )

    class Empty(keras.Model):
        pass

    with pytest.raises(ModelError, match=r"Empty 'empty' has no call\(\), so it computes nothing; write one\."):
        graph_of(Empty(name="empty"), 3)


def test_layers_that_declare_their_input_as_output_are_nodes():
    class Twice(layers.Layer):
        def call(self, x):
            return x * 2.0

        def compute_output_spec(self, x):
            return x

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [Twice(name="twice"), layers.Identity(name="same"), layers.Equalization(name="equal")]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    graph = graph_of(Model(), 4, 4, 3)
    assert arrows(graph) == ["input->twice", "twice->same", "same->equal"]


def test_tracing_leaves_keras_and_the_model_unchanged(tmp_path):
    model = zoo.reloaded(tmp_path)
    before = (Layer.__call__, Layer.symbolic_call, Node.__init__)
    nodes = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers]
    graph_of(model)
    with pytest.raises(ModelError):
        open_model(model, Inputs((InputSpec("input", (5, 5, 1), "float32"),), 0))
    assert (Layer.__call__, Layer.symbolic_call, Node.__init__) == before
    assert [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers] == nodes
    with pytest.raises(ValueError, match="KerasTensor"):
        np.asarray(keras.ops.convert_to_tensor(keras.Input((3,))))


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ConvNeXtTiny"])
def test_parameter_counts_of_whole_networks_equal_those_of_keras(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3))
    graph = graph_of(model)
    assert graph.parameters == model.count_params()
    assert all(graph.sources(node.id) for node in graph if node.kind != "InputLayer")


@keras.saving.register_keras_serializable(package="tests")
class Joining(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = keras.layers.Dense(2)

    def call(self, given):
        return self.dense(keras.ops.concatenate(keras.tree.flatten(given), axis=-1))


@pytest.mark.parametrize("from_file", [False, True])
def test_inputs_of_a_subclassed_model_are_known_live_and_from_its_file(tmp_path, from_file):
    left, right = np.ones((1, 4), np.float32), np.ones((1, 2), np.float32)
    for given, shapes in (
        (left, {"input": (4,)}),
        ([left, right], {"input_0": (4,), "input_1": (2,)}),
        ({"b": right, "a": left}, {"a": (4,), "b": (2,)}),
    ):
        model = Joining()
        model(given)
        if from_file:
            model.save(tmp_path / "m.keras")
            model = keras.saving.load_model(tmp_path / "m.keras")
        inputs = expected_inputs(model)
        assert {spec.name: spec.shape for spec in inputs.specs} == shapes
        assert keras.tree.map_structure(lambda _: 0, given) == inputs.structure
