"""The arithmetic of a cell gives the number that Keras computed, within the rounding of float32."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.analysis.cell_sums import UnknownSumError, cell_sum
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.weights import layers_of

LAYERS = {
    "dense": ((40,), lambda: layers.Dense(7, activation="gelu")),
    "dense over a map": ((4, 5, 6), lambda: layers.Dense(3, activation="tanh")),
    "softmax": ((30,), lambda: layers.Dense(9, activation="softmax")),
    "convolution": ((9, 10, 3), lambda: layers.Conv2D(5, (3, 2), strides=2, padding="same", activation="relu")),
    "groups, dilation": ((9, 9, 6), lambda: layers.Conv2D(9, 3, groups=3, dilation_rate=2, activation="silu")),
    "channels of one location": ((6, 6, 4), lambda: layers.Conv2D(5, 2, activation="softmax")),
    "depthwise": ((8, 8, 3), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
    "separable": ((8, 8, 3), lambda: layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="selu")),
    "transposed": ((5, 6, 3), lambda: layers.Conv2DTranspose(4, (3, 4), strides=2, padding="same", activation="elu")),
    "transposed, valid": ((5, 3), lambda: layers.Conv1DTranspose(4, 3, strides=2)),
    "causal": ((12, 3), lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="mish")),
    "three dimensions": ((4, 5, 6, 2), lambda: layers.Conv3D(3, 2, padding="same", activation="softplus")),
    "normalization": ((6, 6, 4), lambda: layers.BatchNormalization()),
    "mean of a window": ((7, 7, 2), lambda: layers.AveragePooling2D(3, padding="same")),
    "largest of a window": ((7, 7, 2), lambda: layers.MaxPooling2D(2)),
    "mean of a map": ((7, 7, 2), lambda: layers.GlobalAveragePooling2D()),
    "function": ((5, 5, 2), lambda: layers.LeakyReLU(0.3)),
    "function by name": ((5, 7), lambda: layers.Activation("hard_silu")),
}


def described(model, rng):
    for variable in model.variables:
        low = 0.2 if "variance" in variable.name else -0.8
        variable.assign(rng.uniform(low, 0.8, variable.shape))
    found = describe(open_model(model, expected_inputs(model)), "m")
    weights = {
        node.path: {name: np.asarray(v) for name, v in variables.items()} for node, variables in layers_of(found)
    }
    return found.graph, weights


@pytest.mark.parametrize("name", LAYERS)
def test_arithmetic_of_cells_gives_their_numbers(name, rng):
    shape, make = LAYERS[name]
    model = keras.Sequential([keras.Input(shape, name="input"), make()])
    graph, weights = described(model, rng)
    x = rng.normal(size=(1, *shape)).astype(np.float32)
    given = np.asarray(model(x, training=False))[0]
    node = graph.node(graph.outputs[0])
    for _ in range(12):
        index = tuple(int(rng.integers(n)) for n in given.shape)
        found = cell_sum(node, index, given.shape, [x[0]], weights[node.path])
        assert found.equals(given[index]), (index, found.result, given[index])
        assert found.result == pytest.approx(given[index], rel=2e-5, abs=2e-6)
        assert not found.equals(given[index] + 0.01)
        chosen = found.strongest(3)
        assert (np.diff(np.abs(found.products[chosen])) <= 0).all()
        for k in chosen:
            assert found.inputs[k] == x[(0, *found.index[k])]


def test_merged_layers_add_up(rng):
    left, right = keras.Input((4, 4, 3), name="left"), keras.Input((1, 1, 3), name="right")
    values = [rng.normal(size=shape).astype(np.float32) for shape in ((1, 4, 4, 3), (1, 1, 1, 3))]
    for make in (layers.Add, layers.Subtract, layers.Average):
        model = keras.Model([left, right], make(name="merged")([left, right]))
        graph, _ = described(model, rng)
        given = np.asarray(model(values))[0]
        found = cell_sum(graph.node("merged"), (2, 1, 2), given.shape, [v[0] for v in values], {})
        assert found.equals(given[2, 1, 2])


def test_what_is_no_sum_says_why(rng):
    model = keras.Sequential(
        [keras.Input((5, 3), name="input"), layers.LSTM(2, name="lstm"), layers.Dense(2, name="d")]
    )
    graph, weights = described(model, rng)
    with pytest.raises(UnknownSumError, match="LSTM"):
        cell_sum(graph.node("lstm"), (0,), (2,), [np.zeros((5, 3), np.float32)], weights["lstm"])
    with pytest.raises(UnknownSumError, match="--weights all"):
        cell_sum(graph.node("d"), (0,), (2,), [np.zeros(2, np.float32)], {})
