"""A recorder never changes a model's state: all layers with a state, all ways of training, all probes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from nnviz3d import TrainingRecorder
from nnviz3d.data.capture import open_capture

pytestmark = pytest.mark.slow

N, BATCH = 16, 4
RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(N, 3, 2)).astype("f4"), RNG.integers(0, 3, N)
MODES = {
    "eager": {"run_eagerly": True, "jit_compile": False},
    "compiled": {"jit_compile": False},
    "jit": {"jit_compile": True},
}
PROBES = {"none": {"probes": 0}, "default": {}, "given": {"probes": (X[5:8], Y[5:8])}}


class Noisy(layers.Layer):
    """Draws at random in training and in inference, from its own generator and from the global one."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(4)

    def call(self, x):
        own = keras.random.normal(ops.shape(x), seed=self.seeds)
        return x + 0.1 * own + 0.1 * keras.random.normal(ops.shape(x))


class Counting(layers.Layer):
    """Counts its calls in a Keras variable and a TensorFlow variable; its result depends on both."""

    def build(self, _shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.others = tf.Variable(0.0, trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        self.others.assign_add(1.0)
        return x * (1.0 + 0.01 * self.calls) + 0.001 * self.others


class FakeQuantized(layers.Layer):
    """Rounds to 8 bits of a range whose moving mean it updates, in training and in inference."""

    def build(self, _shape):
        self.range = self.add_weight(shape=(), initializer="ones", trainable=False, name="range")

    def call(self, x):
        self.range.assign(0.9 * self.range + 0.1 * ops.max(ops.abs(x)))
        step = self.range / 127
        return x + ops.stop_gradient(ops.round(x / step) * step - x)


def model_of_states(mode):
    """One model of all layers with a state, so that a changed state of one layer changes the others too."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(6)
    adapted = layers.Dense(4, "relu", lora_rank=2, name="adapted")
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(BATCH, 3, 2), name="series"),
            layers.LSTM(4, stateful=True, return_sequences=True, name="lstm"),
            layers.GRU(4, stateful=True, name="gru"),
            layers.BatchNormalization(momentum=0.8, name="norm"),
            layers.Dropout(0.3, name="dropout"),
            Noisy(name="noisy"),
            Counting(name="counting"),
            FakeQuantized(name="rounded"),
            adapted,
            layers.Dense(3, "softmax", name="kind"),
        ]
    )
    adapted.quantize("int8")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **MODES[mode])
    return model


def trained(mode, *callbacks):
    """Train, and return the model's whole state by name, and Keras' history."""
    model = model_of_states(mode)
    told = model.fit(X, Y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks)).history
    states = {v.path: np.asarray(v) for v in (*model.variables, *model.optimizer.variables)}
    for name in ("lstm", "gru"):
        states.update({f"{name}/state {i}": np.asarray(s) for i, s in enumerate(model.get_layer(name).states)})
    states["counting/others"] = model.get_layer("counting").others.numpy()
    states["next draw"] = np.asarray(keras.random.normal((3,)))
    return states, told


@pytest.fixture(scope="module", params=MODES)
def plain(request):
    return request.param, *trained(request.param)


@pytest.mark.parametrize("probes", PROBES)
def test_states_after_training_are_equal_with_and_without_a_recorder(tmp_path, plain, probes):
    mode, expected, losses = plain
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes_every=1, weights_every=3, **PROBES[probes])
    found, told = trained(mode, recorder)
    assert found.keys() == expected.keys()
    assert [name for name in found if not np.array_equal(found[name], expected[name])] == []
    assert told == losses
    capture = open_capture(recorder.path)
    assert capture.training.steps.tolist() == list(range(1, 9))
    assert capture.has_activations("gru") == (probes != "none")
    if probes == "given":
        assert capture.committed == 3, "fewer than the batch that the model insists on"
        assert np.abs(capture.training.gradient("gru")).max() > 0


def test_recording_points_of_a_model_with_states_changes_no_state(tmp_path, plain):
    mode, expected, losses = plain
    recorder = TrainingRecorder(
        tmp_path / "run.zarr", every=1, probes=0, probes_every=1, embed="gru", embed_samples=(X[:7], Y[:7])
    )
    found, told = trained(mode, recorder)
    assert [name for name in found if not np.array_equal(found[name], expected[name])] == []
    assert told == losses
    assert open_capture(recorder.path).training.embedded.steps.tolist() == list(range(1, 9))
