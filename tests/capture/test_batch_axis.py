"""Models whose code needs the batch size, draws numbers or works on variables alone are traced, with Keras' numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import nnviz3d
from nnviz3d.capture.capture_model import capture_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.programs.batch_axis import open_with_rows
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, open_model
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import Insights
from tests.capture import zoo


class Autoencoder(keras.Model):
    """A variational autoencoder: Kingma and Welling 2014, arXiv:1312.6114."""

    def __init__(self):
        super().__init__(name="autoencoder")
        self.encoder = layers.Dense(5, activation="relu", name="encoder")
        self.mean, self.spread = layers.Dense(2, name="mean"), layers.Dense(2, name="spread")
        self.decoder = layers.Dense(6, activation="sigmoid", name="decoder")
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        hidden = self.encoder(x)
        mean, spread = self.mean(hidden), self.spread(hidden)
        z = mean + ops.exp(0.5 * spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)
        self.add_loss(-0.5 * ops.mean(1 + spread - ops.square(mean) - ops.exp(spread)))
        return self.decoder(z)


def test_variational_autoencoder_draws_for_each_sample_and_stays_as_it_is(tmp_path, rng):
    model = Autoencoder()
    x = zoo.numbers(rng, 8, 6)
    model(x)
    losses, state = len(model.losses), model.seeds.state.numpy().copy()
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", insights=Insights(targets=("1",), gradients=True))
    assert (len(model.losses), model.seeds.state.numpy().tolist()) == (losses, state.tolist())
    graph = run.graph
    assert {f"{e.source}->{e.target}" for e in graph.edges} == {
        "input->encoder",
        "encoder->mean",
        "encoder->spread",
        "spread->multiply",
        "multiply->exp",
        "exp->multiply_1",
        "random_normal->multiply_1",
        "mean->add",
        "multiply_1->add",
        "add->decoder",
    }
    assert graph.parameters == model.count_params()
    found = {node.id: run.activations(node.id).values for node in graph}
    assert np.array_equal(found["mean"], model.mean(model.encoder(x)))
    noise = found["random_normal"]
    assert noise.shape == (8, 2)
    assert len(np.unique(noise[:5])) == 10
    z = found["mean"] + found["exp"] * noise
    assert np.allclose(found["add"], z, atol=1e-6)
    assert np.allclose(found["decoder"], model.decoder(z), atol=1e-6)
    assert np.array_equal(found["decoder"][:7], model(x[:7]))  # the first batch draws what Keras draws
    assert any("random numbers" in note for note in run.provenance.notes)
    assert np.any(run.explanations(0).gradient("random_normal"))


class Tokens(layers.Layer):
    """Sets a class token before every sequence, in one of the usual ways, and adds positions."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.dense = layers.Dense(4, name="dense")

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, 4), initializer="random_normal", name="token")
        self.positions = self.add_weight(shape=(6, 4), initializer="random_normal", name="positions")
        self.dense.build(shape)

    def call(self, x):
        count = ops.shape(x)[0]
        copies = {
            "broadcast_to": lambda: ops.broadcast_to(self.token, (count, 1, 4)),
            "tile": lambda: ops.tile(self.token, (count, 1, 1)),
            "repeat": lambda: ops.repeat(self.token, count, axis=0),
            "add": lambda: self.token + ops.zeros((count, 1, 4)),
        }
        x = ops.concatenate([copies[self.how](), self.dense(x)], axis=1)
        return ops.reshape(x + 2.0 * self.positions[None], (count, -1))


@pytest.mark.parametrize("how", ["broadcast_to", "tile", "repeat", "add"])
def test_class_token_is_a_node_of_every_sample_and_follows_its_variable(how, tmp_path, rng):
    start = keras.Input((5, 4), name="start")
    model = keras.Model(start, Tokens(how, name="tokens")(start))
    x = zoo.numbers(rng, 7, 5, 4)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert run.graph.node(f"tokens/{how}").shape == (1, 4)
    assert run.graph.node("tokens/get_item").shape == (1, 6, 4)
    assert np.array_equal(run.activations(run.graph.outputs[0]).values, model(x))
    assert run.graph.parameters == model.count_params()
    program, specs = open_with_rows(model, Inputs((InputSpec("start", (5, 4), "float32"),), 0))
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    batch = zoo.numbers(rng, specs[0].batch, 5, 4)
    assert np.array_equal(program.run([ops.convert_to_tensor(batch)])[-1][0], model(batch))


class Windows(keras.Model):
    """Folds windows into the batch, whose size its code multiplies and divides."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="dense")

    def call(self, x):
        x = ops.reshape(x, (ops.shape(x)[0] * 2, 3, 4))
        x = self.dense(x)
        return ops.reshape(x, (ops.shape(x)[0] // 2, 6, 3))


def test_numbers_that_a_trace_holds_are_computed_again_for_a_model_that_trains(tmp_path, rng):
    class Baked(keras.Model):
        def __init__(self):
            super().__init__()
            self.shift = self.add_weight(shape=(4,), initializer="random_normal", name="shift")

        def call(self, x):
            return x + ops.convert_to_tensor(np.ones(4, np.float32)) * tf.tanh(tf.convert_to_tensor(self.shift))

    model, x = Baked(), zoo.numbers(rng, 3, 4)
    kept = prepare_live_model(model, x)
    for _ in range(2):
        settings = CaptureSettings(tmp_path / "run.zarr")
        capture_model(kept.traced, kept.samples(kept.sources), settings, lambda event: None, kept.samples)
        run = open_capture(tmp_path / "run.zarr")
        assert np.array_equal(run.activations(run.graph.outputs[0]).values, model(x))
        model.shift.assign(rng.normal(size=4))


def test_windows_in_a_batch_of_known_size_are_unfolded(tmp_path, rng):
    model, x = Windows(), zoo.numbers(rng, 9, 6, 4)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert [node.shape for node in run.graph] == [(6, 4), (2, 3, 4), (2, 3, 3), (6, 3)]
    assert np.array_equal(run.activations("reshape_1").values, model(x))


def test_batch_size_of_a_trace_is_no_length_of_the_model():
    model = Autoencoder()
    model(np.zeros((1, 6), np.float32))
    program, specs = open_with_rows(model, Inputs((InputSpec("input", (6,), "float32"),), 0))
    assert (program.rows, specs[0].batch) == (7, 7)  # 5 is a number of units
    plain = zoo.Stack()
    inputs = Inputs((InputSpec("input", (8,), "float32"),), 0)
    assert (open_with_rows(plain, inputs)[0].rows, open_with_rows(plain, inputs)[1]) == (None, inputs.specs)


class Shifted(keras.Model):
    """Uses operators of variables alone, and one from the left."""

    def __init__(self):
        super().__init__()
        self.gain = self.add_weight(shape=(4,), initializer="random_normal", name="gain")

    def call(self, x):
        return self.gain * x - (-self.gain[:1] + 1.0) ** 2 + self.gain @ ops.ones((4, 4))


def test_operators_of_variables_alone_are_nodes_that_follow_the_variable(rng):
    model, x = Shifted(), zoo.numbers(rng, 3, 4)
    program = open_model(model, Inputs((InputSpec("input", (4,), "float32"),), 0))
    model.gain.assign(rng.normal(size=4))
    assert np.array_equal(program.run([ops.convert_to_tensor(x)])[program.outputs[0][0]][0], model(x))
    kinds = [type(call.operation).__name__ for call in program.calls]
    assert sorted(kinds) == sorted(
        ["InputLayer", "Multiply", "GetItem", "Negative", "Add", "Power", "Subtract", "Matmul", "Add"]
    )
