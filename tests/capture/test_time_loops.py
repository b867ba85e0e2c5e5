"""Layers inside TimeDistributed and Bidirectional are nodes, whose numbers are those that Keras computes at every step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import nnviz3d
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, expected_inputs, open_model
from nnviz3d.data.request import Insights
from tests.capture import zoo
from tests.capture.test_activations import run
from tests.capture.test_connections import connections

VIDEO = ("time step", "row", "column", "channel")


class Doubled(layers.Layer):
    """A composite with a variable of its own, an operator and a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, activation="tanh", name="dense")

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="gain")
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x * self.gain) * 2.0


def frame_network():
    """A network for one picture, with statistics unlike those of a new layer."""
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            Doubled(name="doubled"),
        ],
        name="cnn",
    )
    network.get_layer("norm").set_weights([np.full(2, value, np.float32) for value in (0.7, -0.3, 0.2, 1.9)])
    return network


@pytest.fixture(scope="module")
def video():
    """A network of each picture, then a recurrent layer; and that network."""
    start = keras.Input((4, 8, 8, 1), name="video")
    network = frame_network()
    x = layers.TimeDistributed(network, name="each")(start)
    x = layers.LSTM(3, name="lstm")(x)
    return keras.Model(start, layers.Dense(2, activation="softmax", name="kind")(x)), network


def test_layers_of_each_picture_have_the_numbers_of_that_picture(video, rng):
    model, network = video
    x = zoo.numbers(rng, 3, 4, 8, 8, 1)
    nodes = len(network._inbound_nodes), [len(layer._inbound_nodes) for layer in network.layers]
    described, found = run(model, [x])
    assert (len(network._inbound_nodes), [len(layer._inbound_nodes) for layer in network.layers]) == nodes
    inside = ["conv", "norm", "pool", "flat", "doubled/multiply", "doubled/dense", "doubled/multiply_1"]
    names = [f"each/cnn/{name}" for name in inside]
    assert [node.id for node in described.graph] == ["video", *names, "lstm", "kind"]
    assert [described.graph.sources(node)[0] for node in (*names, "lstm")] == ["video", *names]
    assert described.graph.parameters == model.count_params()
    layers_ = network.layers[:4]
    for step in range(4):
        value = x[:, step]
        for layer in layers_:
            value = layer(value)
            assert np.array_equal(found[f"each/cnn/{layer.name}", 0][:, step], value), (layer.name, step)
    assert np.array_equal(found[names[-1], 0], keras.Model(model.inputs, model.get_layer("each").output)(x))
    assert np.array_equal(found["kind", 0], model(x))
    axes = {node.id: node.axes for node in described.graph}
    assert {axes[name] for name in ("video", *names[:3])} == {VIDEO}
    assert {axes[name] for name in names[3:]} == {("time step", "channel")}


def test_nested_loops_have_two_time_axes_and_the_numbers_of_keras(rng):
    start = keras.Input((2, 3, 8, 8, 1), name="videos")
    model = keras.Model(
        start, layers.TimeDistributed(layers.TimeDistributed(frame_network(), name="in"), name="out")(start)
    )
    x = zoo.numbers(rng, 2, 2, 3, 8, 8, 1)
    described, found = run(model, [x])
    conv = described.graph.node("out/in/cnn/conv")
    assert (conv.shape, conv.axes) == ((2, 3, 6, 6, 2), ("outer time step", *VIDEO))
    assert np.array_equal(found[described.graph.outputs[0], 0], model(x))


def test_sequences_of_any_length_run_as_in_keras(rng):
    start = keras.Input((None, 6), name="start")
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(start)
    model = keras.Model(start, layers.TimeDistributed(layers.Dense(2, name="dense"), name="each")(both))
    x = zoo.numbers(rng, 3, 5, 6)
    _, found = run(model, [x], Inputs((InputSpec("start", (None, 6), "float32"),), expected_inputs(model).structure))
    assert np.array_equal(found["each/dense", 0], model.predict(x, verbose=0))


class Masked(layers.Layer):
    """Sets the numbers of masked samples to -1."""

    def call(self, x, mask=None):
        return x if mask is None else keras.ops.where(mask[:, None], x, -1.0)

    def compute_output_shape(self, shape):
        return shape


def test_mask_of_each_step_reaches_the_layer_inside():
    start = keras.Input((4,), dtype="int32", name="start")
    embedded = layers.Embedding(9, 3, mask_zero=True, name="embed")(start)
    model = keras.Model(start, layers.TimeDistributed(Masked(name="masked"), name="each")(embedded))
    x = np.array([[1, 2, 0, 0], [3, 0, 4, 5]], np.int32)
    _, found = run(model, [x])
    assert np.array_equal(found["each/masked", 0], model(x))
    assert np.array_equal((found["each/masked", 0] == -1.0).all(axis=-1), x == 0)


@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("sequences", [True, False])
def test_directions_of_a_bidirectional_layer_are_nodes(merge, sequences, rng):
    start = keras.Input((5, 4), name="start")
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=sequences, name="lstm"), merge_mode=merge, name="both")
    model = keras.Model(start, both(start))
    x = zoo.numbers(rng, 2, 5, 4)
    described, found = run(model, [x])
    assert np.array_equal(found["both/forward_lstm", 0], both.forward_layer(x))
    assert np.array_equal(found["both/backward_lstm", 0], both.backward_layer(x))
    expected = keras.tree.flatten(model(x))
    assert all(np.array_equal(found[name, 0], v) for name, v in zip(described.graph.outputs, expected, strict=True))


def test_layers_in_a_model_of_mixed_precision_run_as_in_keras(rng):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = frame_network()
        start = keras.Input((2, 8, 8, 1), name="video")
        model = keras.Model(start, layers.TimeDistributed(network, name="each")(start))
        plain = layers.TimeDistributed(layers.Dense(3, dtype="float32", name="dense"), dtype="float16", name="plain")
        model = keras.Model(start, plain(model.output))
    finally:
        keras.config.set_dtype_policy("float32")
    x = zoo.numbers(rng, 2, 2, 8, 8, 1)
    _, found = run(model, [x])
    assert np.array_equal(found["plain/dense", 0], keras.ops.cast(model(x), "float32"))


def test_contributions_at_the_most_active_step_and_the_bias_sum_to_the_cells_value(rng):
    start = keras.Input((3, 7, 6, 2), name="video")
    conv = layers.Conv2D(4, 3, padding="same", strides=2, name="conv")
    model = keras.Model(start, layers.TimeDistributed(conv, name="each")(start))
    conv.bias.assign(rng.normal(size=4))
    x = zoo.numbers(rng, 4, 3, 7, 6, 2)
    pairs, values, _ = connections(model, x)
    steps = set()
    for i, record in enumerate(pairs["video", "each/conv"]["contribution"]):
        after = values["each/conv"][i]
        cell = np.unravel_index(record.index[0, 1], after.shape)
        steps.add(cell[0])
        assert set(record.index[:, 0] // (7 * 6 * 2)) == {cell[0]}
        assert np.allclose(record.contribution, record.weight * x[i].ravel()[record.index[:, 0]], atol=1e-6)
        assert np.isclose(record.contribution.sum() + conv.bias.numpy()[cell[-1]], after[cell], atol=1e-4)
    assert len(steps) > 1


def test_gradients_by_layers_inside_equal_those_of_a_gradient_tape(video, tmp_path, rng):
    model, network = video
    x = zoo.numbers(rng, 2, 4, 8, 8, 1)
    out = tmp_path / "run.zarr"
    made = nnviz3d.capture(model, x, out=out, insights=Insights(targets=("1",), gradients=True))
    first, rest = network.layers[0], network.layers[1:]
    with tf.GradientTape() as tape:
        maps = tf.stack([first(x[:, step]) for step in range(4)], axis=1)
        tape.watch(maps)
        frames = []
        for step in range(4):
            value = maps[:, step]
            for layer in rest:
                value = layer(value)
            frames.append(value)
        kind = model.get_layer("kind")
        state = model.get_layer("lstm")(tf.stack(frames, axis=1))
        score = tf.reduce_sum((tf.matmul(state, kind.kernel) + kind.bias)[:, 1])
    expected = tape.gradient(score, maps)
    found = [made.explanations(i).gradient("each/cnn/conv") for i in range(2)]
    assert np.abs(np.asarray(expected)).max() > 0
    assert np.allclose(found, expected, atol=1e-6)


def test_wrapper_whose_network_reads_values_is_one_block_with_a_reason():
    start = keras.Input((3, 5), name="start")
    model = keras.Model(start, layers.TimeDistributed(zoo.Picky(name="picky"), name="each")(start))
    described = describe(open_model(model, expected_inputs(model)), "m")
    assert [node.id for node in described.graph] == ["start", "each"]
    assert described.program.sealed["each"].startswith("this layer wants numbers")
