"""The arithmetic of a cell gives the number that Keras computed, within the rounding of float32."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.analysis.cell_sums import StoredNumbers, cell_sum
from nnviz3d.analysis.recurrent_sums import gate_sum
from nnviz3d.analysis.sum_terms import OWN, UnknownSumError
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.programs.gates import gates_recorded
from nnviz3d.capture.weights import layers_of
from nnviz3d.data.request import Insights
from nnviz3d.scene.derived.cell_explanation import explained_cell, explained_gate
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene

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
    "flattened": ((3, 4, 2), lambda: layers.Flatten()),
    "flattened, channels first": ((3, 4, 2), lambda: layers.Flatten(data_format="channels_first")),
    "reshaped": ((3, 4, 2), lambda: layers.Reshape((2, 12))),
    "permuted": ((3, 4, 2), lambda: layers.Permute((3, 1, 2))),
    "repeated": ((4,), lambda: layers.RepeatVector(3)),
    "cropped": ((6, 7, 2), lambda: layers.Cropping2D(((1, 2), (2, 1)))),
    "cropped, one axis": ((6, 2), lambda: layers.Cropping1D((2, 1))),
    "enlarged": ((3, 4, 2), lambda: layers.UpSampling2D((2, 3))),
    "several output axes": ((4, 5), lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), "tanh", "de")),
    "several input axes": ((4, 2, 3), lambda: layers.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e")),
    "layer normalization": ((6, 20), lambda: layers.LayerNormalization()),
    "layer normalization, axes": ((4, 5, 6), lambda: layers.LayerNormalization(axis=(2, 3))),
    "layer normalization, unscaled": ((12,), lambda: layers.LayerNormalization(scale=False)),
    "group normalization": ((4, 5, 6), lambda: layers.GroupNormalization(3)),
    "rescaled": ((3, 4, 2), lambda: layers.Rescaling([0.5, 2.0], offset=-1)),
    "unit length": ((4, 6), lambda: layers.UnitNormalization()),
    "root mean square": ((6, 9), lambda: layers.RMSNormalization()),
    "function": ((5, 5, 2), lambda: layers.LeakyReLU(0.3)),
    "function with a limit": ((5, 5, 2), lambda: layers.ReLU(0.7)),
    "function with all settings": ((5, 7), lambda: layers.ReLU(0.9, negative_slope=0.2, threshold=0.3)),
    "function with a factor": ((5, 7), lambda: layers.ELU(0.4)),
    "softmax, its axis in a list": ((5, 7), lambda: layers.Softmax(axis=[-1])),
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


def test_function_is_named_as_it_is_limited_and_one_over_other_axes_is_refused(rng):
    for make, words in ((lambda: layers.ReLU(6.0), "relu6"), (lambda: layers.ReLU(2.0), "relu (at most 2)")):
        graph, _ = described(keras.Sequential([keras.Input((3,)), make()]), rng)
        found = cell_sum(graph.node(graph.outputs[0]), (1,), (3,), [np.full(3, 7.0, np.float32)], {})
        assert (found.function, found.result) == (words, make().max_value)
    graph, _ = described(keras.Sequential([keras.Input((4, 3)), layers.Softmax(axis=1)]), rng)
    with pytest.raises(UnknownSumError, match="over other axes"):
        cell_sum(graph.node(graph.outputs[0]), (1, 1), (4, 3), [np.ones((4, 3), np.float32)], {})


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
        found = cell_sum(node, index, given.shape, [x[0]], weights.get(node.path, {}))
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


def test_layers_of_two_inputs_take_each_number_from_its_own(rng):
    left, right = keras.Input((4, 4, 3), name="left"), keras.Input((4, 4, 2), name="right")
    gate = keras.Input((1, 1, 3), name="gate")
    joined, product = layers.Concatenate(name="joined")([left, right]), layers.Multiply(name="product")([left, gate])
    largest = layers.Maximum(name="largest")([left, gate])
    model = keras.Model([left, right, gate], [joined, product, largest])
    values = [rng.normal(size=shape).astype(np.float32) for shape in ((1, 4, 4, 3), (1, 4, 4, 2), (1, 1, 1, 3))]
    graph, _ = described(model, rng)
    given = [np.asarray(made)[0] for made in model(values)]
    a, b, c = (one[0] for one in values)
    for index, source in (((1, 2, 1), 0), ((1, 2, 4), 1)):
        found = cell_sum(graph.node("joined"), index, given[0].shape, [a, b], {})
        assert found.sources.tolist() == [source]
        assert found.result == given[0][index]
    assert found.place(0) == (1, 2, 1)
    assert cell_sum(graph.node("product"), (1, 2, 1), given[1].shape, [a, c], {}).equals(given[1][1, 2, 1])
    assert cell_sum(graph.node("largest"), (1, 2, 1), given[2].shape, [a, c], {}).equals(given[2][1, 2, 1])


@pytest.mark.parametrize(("heads", "captured"), [(1, True), (3, True), (3, False)])
def test_attention_is_the_sum_over_heads_and_positions_of_score_times_value(rng, heads, captured):
    x, y = keras.Input((6, 8), name="x"), keras.Input((5, 7), name="y")
    layer = layers.MultiHeadAttention(heads, 4, value_dim=3, name="attention")
    made, scores = layer(x, y, return_attention_scores=True)
    model = keras.Model([x, y], [made, scores])
    graph, weights = described(model, rng)
    values = [rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((6, 8), (5, 7))]
    given, shares = (np.asarray(one)[0] for one in model(values))
    stored = StoredNumbers(scores=shares) if captured else StoredNumbers()
    for index in ((0, 0), (5, 7), (3, 2)):
        inputs = [one[0] for one in values]
        found = cell_sum(graph.node("attention"), index, given.shape, inputs, weights["attention"], stored)
        assert found.equals(given[index]), (found.result, given[index])
        assert found.result == pytest.approx(given[index], rel=1e-4, abs=1e-5)
        assert not found.equals(given[index] + 0.01)
        assert np.allclose(found.weights.reshape(heads, 5), shares[:, index[0]], atol=1e-6)
        assert found.place(4) == (4,)
        assert set(found.sources) == {1}
        assert (found.names[-1] == f"head {heads - 1}") if heads > 1 else not found.names


def test_attention_without_weights_shares_out_the_values(rng):
    x, y = keras.Input((6, 8), name="x"), keras.Input((5, 8), name="y")
    for kind in (layers.Attention, layers.AdditiveAttention):
        model = keras.Model([x, y], kind(name="attention")([x, y]))
        graph, weights = described(model, rng)
        values = [rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((6, 8), (5, 8))]
        given = np.asarray(model(values))[0]
        inputs = [one[0] for one in values]
        found = cell_sum(graph.node("attention"), (2, 3), given.shape, inputs, weights["attention"])
        assert found.equals(given[2, 3])
        assert found.weights.sum() == pytest.approx(1)


def test_products_of_tensors_and_looked_up_weights_are_taken_apart(rng):
    x, y = keras.Input((2, 4, 5), name="x"), keras.Input((2, 5, 3), name="y")
    model = keras.Model([x, y], keras.ops.relu(keras.ops.matmul(x, y)))
    graph, _ = described(model, rng)
    values = [rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((2, 4, 5), (2, 5, 3))]
    given = (values[0] @ values[1])[0]
    found = cell_sum(graph.node("matmul"), (1, 2, 0), given.shape, [one[0] for one in values], {})
    assert found.equals(given[1, 2, 0])
    assert found.place(3) == (1, 3, 0)
    assert cell_sum(graph.node("relu"), (1, 2, 0), given.shape, [given], {}).result == max(given[1, 2, 0], 0)
    model = keras.Sequential([keras.Input((3,), dtype="int32", name="ids"), layers.Embedding(7, 4, name="words")])
    graph, weights = described(model, rng)
    found = cell_sum(graph.node("words"), (2, 1), (3, 4), [np.array([1, 0, 5], np.float32)], weights["words"])
    assert found.result == np.asarray(model(np.array([[1, 0, 5]])))[0, 2, 1]
    assert found.names == ("so row 5 of its weights",)


RECURRENT = {
    "simple": lambda **more: layers.SimpleRNN(4, name="r", **more),
    "lstm": lambda **more: layers.LSTM(4, name="r", **more),
    "gru": lambda **more: layers.GRU(4, name="r", **more),
    "gru, reset before": lambda **more: layers.GRU(4, reset_after=False, name="r", **more),
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("more", [{"return_sequences": True}, {"go_backwards": True}, {"use_bias": False}], ids=str)
def test_recurrent_layers_are_taken_apart_into_gates_and_these_into_products(rng, name, more):
    model = keras.Sequential([keras.Input((5, 3), name="input"), RECURRENT[name](**more)])
    graph, weights = described(model, rng)
    x = rng.normal(size=(1, 5, 3)).astype(np.float32)
    given = np.asarray(model(x))[0]
    with gates_recorded(model.get_layer("r")) as recorded:
        model.get_layer("r")(keras.ops.convert_to_tensor(x))
    gates = {gate: np.asarray(numbers)[0] for gate, numbers in recorded.items()}
    node = graph.node("r")
    for index in [(4, 1), (0, 3), (2, 0)] if given.ndim == 2 else [(0,), (3,)]:
        found = cell_sum(node, index, given.shape, [x[0]], weights["r"], StoredNumbers(gates=gates))
        assert found.equals(given[index]), (found.result, given[index])
        assert not found.equals(given[index] + 0.001)
    for gate, numbers in gates.items():
        for step, unit in ((0, 2), (3, 1)):
            found = gate_sum(node, gate, step, unit, [x[0]], weights["r"], gates)
            assert found.equals(numbers[step, unit]), (gate, step, found.result, numbers[step, unit])
            taken = [k for k in range(len(found.sources)) if found.sources[k] == 0]
            assert all(found.inputs[k] == x[0][found.place(k)] for k in taken)
            assert len(taken) in (0, 3)


def test_first_states_of_another_layer_are_terms_and_a_masked_step_shows_the_last_one_that_counted(rng):
    x, h, c = keras.Input((5, 3), name="x"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    layer = layers.LSTM(4, name="r")
    model = keras.Model([x, h, c], layer(x, initial_state=[h, c]))
    graph, weights = described(model, rng)
    values = [rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((5, 3), (4,), (4,))]
    mask = np.array([[True, True, False, False, False]])
    with gates_recorded(layer) as recorded:
        given = np.asarray(layer(values[0], mask=mask, initial_state=values[1:]))[0]
    gates = {gate: np.asarray(numbers)[0] for gate, numbers in recorded.items()}
    inputs = [one[0] for one in values]
    found = cell_sum(graph.node("r"), (1,), given.shape, inputs, weights["r"], StoredNumbers(gates=gates))
    assert found.equals(given[1])
    assert "step 1" in found.names[1]
    first = gate_sum(graph.node("r"), "cell state", 0, 2, inputs, weights["r"], gates)
    assert first.equals(gates["cell state"][0, 2])
    assert first.sources.tolist() == [2, OWN]
    assert first.inputs[0] == values[2][0, 2]


def test_layer_that_computes_no_sum_says_why(rng):
    model = keras.Sequential(
        [
            keras.Input((5, 3), name="input"),
            layers.ZeroPadding1D(1, name="padded"),
            layers.LSTM(2, name="lstm"),
            layers.Lambda(abs, name="own"),
            layers.Dense(2, name="d"),
        ]
    )
    graph, weights = described(model, rng)
    sequence = np.zeros((5, 3), np.float32)
    with pytest.raises(UnknownSumError, match="not captured"):
        cell_sum(graph.node("lstm"), (0,), (2,), [sequence], weights["lstm"])
    with pytest.raises(UnknownSumError, match="Lambda"):
        cell_sum(graph.node("own"), (0,), (2,), [np.zeros(2, np.float32)], {})
    with pytest.raises(UnknownSumError, match="padding"):
        cell_sum(graph.node("padded"), (0, 1), (7, 3), [sequence], {})
    assert cell_sum(graph.node("padded"), (1, 2), (7, 3), [sequence], {}).place(0) == (0, 2)
    with pytest.raises(UnknownSumError, match="--weights all"):
        cell_sum(graph.node("d"), (0,), (2,), [np.zeros(2, np.float32)], {})


def test_every_number_of_a_captured_text_model_and_of_its_gates_is_taken_apart(tmp_path, rng):
    start = keras.Input((6,), dtype="int32", name="ids")
    x = layers.Embedding(9, 4, mask_zero=True, name="words")(start)
    x = layers.LSTM(3, return_sequences=True, name="lstm")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = layers.Concatenate(name="both")([layers.GRU(2, name="gru")(x), layers.GlobalAveragePooling1D(name="pool")(x)])
    model = keras.Model(start, layers.Dense(3, activation="softmax", name="mood")(x))
    for variable in model.variables:
        variable.assign(rng.normal(0, 0.6, variable.shape))
    ids = np.array([[3, 1, 4, 0, 0, 0], [5, 2, 8, 6, 7, 1]], dtype=np.int32)
    capture = nnviz3d.capture(model, ids, out=tmp_path / "run.zarr", insights=Insights(attention=True))
    context = Scene.build(default_scene(), capture).context
    for sample in (0, 1):
        for layer in ("words", "lstm", "norm", "attention", "gru", "pool", "both", "mood"):
            values = capture.activation(layer, sample)
            for index in np.ndindex(values.shape):
                found = explained_cell(context, CellPick(layer, index), sample)
                if (sample, layer) == (0, "attention") and index[0] > 2:
                    assert "a mask hides" in found.reason
                    continue
                assert not found.reason, (layer, index, found.reason)
                assert found.sum.result == pytest.approx(values[index], rel=1e-4, abs=1e-5)
        for layer in ("lstm", "gru"):
            for gate, numbers in capture.gates(layer, sample).items():
                for step, unit in np.ndindex(numbers.shape):
                    found = explained_gate(context, layer, gate, (step, unit), sample)
                    # At a masked step the numbers of the step before stay.
                    assert not found.reason, (layer, gate, step, unit, found.reason)
                    assert found.sum.result == pytest.approx(numbers[step, unit], rel=1e-4, abs=1e-5)
