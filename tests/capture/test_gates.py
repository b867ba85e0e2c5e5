"""Gates and states of recurrent layers equal their equations, and their hidden states equal Keras' outputs bit for bit."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.capture.programs import call
from tests.capture import zoo

LSTM = ("input gate", "forget gate", "candidate", "output gate", "cell state", "hidden state")
GRU = ("update gate", "reset gate", "candidate", "hidden state")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def randomized(model, rng):
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


def gates(model, x, tmp_path, node="recurrent", sample=None):
    """Capture a model; returns the capture and the gates of all samples, ``(N, T, units)`` by name."""
    capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    each = [capture.gates(node, i) for i in range(capture.committed)]
    assert list(each[0]) == capture.graph.node(node).details.get("gates", [])
    return capture, {name: np.stack([one[name] for one in each]) for name in each[0]}


def one_layer(layer, *shape, **given):
    start = keras.Input(shape, name="start")
    return keras.Model(start, layer(start, **given))


@pytest.mark.parametrize("implementation", [1, 2])
def test_gates_of_an_lstm_equal_its_equations(implementation, tmp_path, rng):
    layer = layers.LSTM(3, implementation=implementation, name="recurrent")
    model = randomized(one_layer(layer, 5, 4), rng)
    x = zoo.numbers(rng, 2, 5, 4)
    _, found = gates(model, x, tmp_path)
    assert tuple(found) == LSTM
    kernel, recurrent, bias = (v.numpy().astype(np.float64) for v in layer.weights)
    h = c = np.zeros((2, 3))
    for t in range(5):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, value in zip(LSTM, (i, f, g, o, c, h), strict=True):
            assert np.allclose(found[name][:, t], value, atol=1e-6), (name, t)
    assert np.array_equal(found["hidden state"][:, -1], model(x))


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("reset_after", [True, False])
def test_gates_of_a_gru_equal_its_equations(implementation, reset_after, tmp_path, rng):
    layer = layers.GRU(3, implementation=implementation, reset_after=reset_after, name="recurrent")
    model = randomized(one_layer(layer, 5, 4), rng)
    x = zoo.numbers(rng, 2, 5, 4)
    _, found = gates(model, x, tmp_path)
    assert tuple(found) == GRU
    kernel, recurrent, bias = (v.numpy().astype(np.float64) for v in layer.weights)
    of_input, of_state = bias if reset_after else (bias, np.zeros_like(bias))
    h = np.zeros((2, 3))
    for t in range(5):
        xz, xr, xh = np.split(x[:, t] @ kernel + of_input, 3, axis=1)
        hz, hr, hh = np.split(h @ recurrent + of_state, 3, axis=1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        g = np.tanh(xh + (r * hh if reset_after else (r * h) @ recurrent[:, 6:]))
        h = z * h + (1 - z) * g
        for name, value in zip(GRU, (z, r, g, h), strict=True):
            assert np.allclose(found[name][:, t], value, atol=1e-6), (name, t)
    assert np.array_equal(found["hidden state"][:, -1], model(x))


def test_state_of_a_simple_layer_equals_its_equation(tmp_path, rng):
    layer = layers.SimpleRNN(3, activation="relu", name="recurrent")
    model = randomized(one_layer(layer, 5, 4), rng)
    x = zoo.numbers(rng, 2, 5, 4)
    _, found = gates(model, x, tmp_path)
    kernel, recurrent, bias = (v.numpy() for v in layer.weights)
    h = np.zeros((2, 3))
    for t in range(5):
        h = np.maximum(x[:, t] @ kernel + h @ recurrent + bias, 0)
        assert np.allclose(found["hidden state"][:, t], h, atol=1e-5)
    assert list(found) == ["hidden state"]


def test_gates_of_a_convolutional_lstm_are_maps_that_fulfil_its_equations(tmp_path, rng):
    layer = layers.ConvLSTM2D(2, 3, name="recurrent")
    model = randomized(one_layer(layer, 4, 7, 6, 1), rng)
    x = zoo.numbers(rng, 2, 4, 7, 6, 1)
    _, found = gates(model, x, tmp_path)
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(LSTM, (2, 4, 5, 4, 2))
    i, f, g, o, c, h = found.values()
    before = np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], axis=1)
    assert np.allclose(c, f * before + i * g, atol=1e-6)
    assert np.allclose(h, o * np.tanh(c), atol=1e-6)
    assert np.array_equal(h[:, -1], model(x))


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("unroll", [False, True])
def test_hidden_state_is_the_output_of_every_step(kind, backwards, unroll, tmp_path, rng):
    layer = kind(3, return_sequences=True, go_backwards=backwards, unroll=unroll, name="recurrent")
    model = randomized(one_layer(layer, 5, 4), rng)
    capture, found = gates(model, zoo.numbers(rng, 2, 5, 4), tmp_path)
    assert np.array_equal(found["hidden state"], capture.activations("recurrent").values)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_masked_steps_keep_the_state(kind, tmp_path, rng):
    start = keras.Input((6,), dtype="int32", name="start")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="embedding")(start)
    model = randomized(keras.Model(start, kind(3, return_sequences=True, name="recurrent")(embedded)), rng)
    x = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 0]], np.int32)
    capture, found = gates(model, x, tmp_path)
    assert np.array_equal(found["hidden state"], capture.activations("recurrent").values)
    for values in found.values():
        assert np.array_equal(values[0, 3:], np.repeat(values[0, 2:3], 3, axis=0))
        assert np.array_equal(values[1, 1], values[1, 0])


def test_stateful_layer_begins_with_its_state_and_keeps_it(tmp_path, rng):
    start = keras.Input(batch_shape=(2, 5, 4), name="start")
    layer = layers.LSTM(3, stateful=True, return_sequences=True, name="recurrent")
    model = randomized(keras.Model(start, layer(start)), rng)
    model(zoo.numbers(rng, 2, 5, 4))
    states = [v.numpy() for v in layer.states]
    assert all(np.any(state) for state in states)
    x = zoo.numbers(rng, 2, 5, 4)
    capture, found = gates(model, x, tmp_path)
    assert np.array_equal(found["hidden state"], capture.activations("recurrent").values)
    assert all(np.array_equal(v, state) for v, state in zip(layer.states, states, strict=True))
    assert np.array_equal(found["hidden state"], model(x))


def test_states_of_an_encoder_begin_the_decoder(tmp_path, rng):
    start, later = keras.Input((5, 4), name="start"), keras.Input((3, 4), name="later")
    _, *states = layers.LSTM(3, return_state=True, name="encoder")(start)
    model = keras.Model([start, later], layers.LSTM(3, name="recurrent")(later, initial_state=states))
    randomized(model, rng)
    x = [zoo.numbers(rng, 2, 5, 4), zoo.numbers(rng, 2, 3, 4)]
    capture, found = gates(model, x, tmp_path)
    encoder = [capture.gates("encoder", i) for i in range(2)]
    before = np.stack([one["cell state"][-1] for one in encoder])
    first = {name: value[:, 0] for name, value in found.items()}
    assert np.allclose(
        first["cell state"], first["forget gate"] * before + first["input gate"] * first["candidate"], atol=1e-6
    )
    assert np.array_equal(found["hidden state"][:, -1], capture.activations("recurrent").values)


class Cell(layers.Layer):
    """A recurrent cell of one's own with two states of different sizes."""

    state_size = (3, 2)
    output_size = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, x, states):
        long = states[0] * 0.5 + keras.ops.tanh(x @ self.kernel)
        return long, [long, states[1] + long[:, :2]]


def test_stacked_cells_and_cells_of_ones_own_have_their_states(tmp_path, rng):
    cells = [layers.LSTMCell(3, name="one"), layers.GRUCell(2, name="two"), Cell(name="own")]
    layer = layers.RNN(cells, return_sequences=True, name="recurrent")
    model = randomized(one_layer(layer, 5, 4), rng)
    capture, found = gates(model, zoo.numbers(rng, 2, 5, 4), tmp_path)
    own = ["own: state 1", "own: state 2"]
    assert list(found) == [*(f"one: {name}" for name in LSTM), *(f"two: {name}" for name in GRU), *own]
    assert [found[name].shape for name in own] == [(2, 5, 3), (2, 5, 2)]
    assert np.array_equal(found["own: state 1"], capture.activations("recurrent").values)
    assert np.allclose(found["own: state 2"], np.cumsum(found["own: state 1"][..., :2], axis=1), atol=1e-6)
    alone = one_layer(layers.RNN(Cell(), name="recurrent"), 5, 4)
    assert list(gates(alone, zoo.numbers(rng, 1, 5, 4), tmp_path)[1]) == ["state 1", "state 2"]


def test_layers_inside_wrappers_have_their_gates(tmp_path, rng):
    start = keras.Input((2, 5, 4), name="start")
    inner = layers.LSTM(3, name="lstm")
    x = layers.TimeDistributed(inner, name="each")(start)
    both = layers.Bidirectional(layers.GRU(2, return_sequences=True, name="gru"), name="both")
    model = randomized(keras.Model(start, both(x)), rng)
    given = zoo.numbers(rng, 3, 2, 5, 4)
    capture, found = gates(model, given, tmp_path, "each/lstm")
    assert found["cell state"].shape == (3, 2, 5, 3)
    assert np.array_equal(found["hidden state"][:, :, -1], capture.activations("each/lstm").values)
    assert np.array_equal(found["hidden state"][:, 1, -1], inner(given[:, 1]))
    for direction in ("forward_gru", "backward_gru"):
        states = np.stack([capture.gates(f"both/{direction}", i)["hidden state"] for i in range(3)])
        assert np.array_equal(states, capture.activations(f"both/{direction}").values)


def test_each_call_has_its_gates_and_the_layer_stays_as_it_is(tmp_path, rng):
    start = keras.Input((5, 4), name="start")
    layer = layers.LSTM(4, return_sequences=True, dtype="mixed_bfloat16", name="recurrent")
    model = randomized(keras.Model(start, layer(layer(start))), rng)
    x = zoo.numbers(rng, 2, 5, 4)
    model(x)  # a call of Keras adds attributes to the cell
    before = dict(vars(layer)), dict(vars(layer.cell))
    capture, found = gates(model, x, tmp_path, "recurrent@1")
    assert (dict(vars(layer)), dict(vars(layer.cell))) == before
    assert found["hidden state"].dtype == np.float32
    assert np.array_equal(found["hidden state"], capture.activations("recurrent@1").values)
    assert not np.array_equal(found["hidden state"][0], capture.gates("recurrent")["hidden state"])


def test_gates_that_are_too_large_are_left_out_with_a_note(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(call, "LARGEST_GATES", 4 * 5 * 3 * 6 - 1)
    capture, found = gates(one_layer(layers.LSTM(3, name="recurrent"), 5, 4), zoo.numbers(rng, 1, 5, 4), tmp_path)
    assert found == {}
    assert any(note.startswith("The gates of recurrent are not captured") for note in capture.provenance.notes)


def test_layers_without_gates_have_none(tmp_path, rng):
    model = keras.Sequential([keras.Input((4,), name="start"), layers.Dense(3, name="recurrent")])
    assert gates(model, zoo.numbers(rng, 1, 4), tmp_path)[1] == {}
