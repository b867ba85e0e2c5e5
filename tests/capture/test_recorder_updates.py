"""Steps without an update: no fault if the optimizer waits or skips, a fault if an intended update changes nothing."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.analysis.health import first_alarms
from nnviz3d.data.capture import open_capture

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 6)).astype("f4"), RNG.integers(0, 3, 32)


def recorded(path, optimizer, *, eager=True, loss=None):
    """Train eight steps, and return the record, the recorder's warnings, and the alarms in the record."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "tanh", name="hidden"), layers.Dense(3, name="scores")]
    )
    model.compile(optimizer, loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=eager)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, Y, batch_size=4, verbose=0, shuffle=False, callbacks=[TrainingRecorder(path, every=1)])
    capture = open_capture(path)
    found = {(alarm.kind, alarm.step) for alarm in first_alarms(capture.training, capture.graph)}
    return capture.training, [str(one.message) for one in said if "at step" in str(one.message)], found


def updates(training):
    ratios = training.statistic("update_ratio")[:, training.layers.index("hidden")]
    return [int(step) for step, ratio in zip(training.steps, ratios, strict=True) if not np.isnan(ratio)]


@pytest.mark.parametrize("eager", [True, False])
def test_accumulated_gradients_raise_no_alarm(tmp_path, eager):
    training, said, alarms = recorded(
        tmp_path / "run.zarr", keras.optimizers.Adam(1e-2, gradient_accumulation_steps=4), eager=eager
    )
    assert updates(training) == [4, 8]
    assert (said, alarms) == ([], set())
    assert (training.statistic("gradient_norm")[:, training.layers.index("hidden")] > 0).all()


@pytest.mark.parametrize("accumulated", [None, 2])
def test_gradient_overflow_by_a_loss_scale_raises_no_alarm(tmp_path, accumulated):
    def loss(y, p):
        return 20 * keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True)

    inner = keras.optimizers.SGD(1e-3, gradient_accumulation_steps=accumulated)
    training, said, alarms = recorded(
        tmp_path / "run.zarr",
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=3e38),
        loss=loss,
    )
    at = training.layers.index("hidden")
    refused = np.isnan(training.statistic("gradient_norm")[:, at])
    assert refused[0]
    assert not refused[-1], "the scale has come down by then"
    assert np.isnan(training.statistic("nonfinite_gradients")[refused, at]).all()
    assert (said, alarms) == ([], set())
    taken = np.flatnonzero(~refused) + 1
    assert updates(training) == taken[(accumulated or 1) - 1 :: accumulated or 1].tolist()


def test_nan_loss_raises_an_alarm_even_with_a_loss_scale(tmp_path):
    def loss(y, p):
        return keras.ops.mean(p) * np.nan

    _, said, alarms = recorded(
        tmp_path / "run.zarr", keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-2)), loss=loss
    )
    assert ("nonfinite", 1) in alarms
    assert said


@pytest.mark.parametrize("accumulated", [None, 2])
def test_update_that_changes_nothing_raises_an_alarm(tmp_path, accumulated):
    training, said, alarms = recorded(
        tmp_path / "run.zarr", keras.optimizers.SGD(1e-12, gradient_accumulation_steps=accumulated)
    )
    first = accumulated or 1
    assert updates(training)[0] == first
    assert alarms == {("update", first)}
    assert len(said) == 1
    assert f"at step {first}: its weights changed by " in said[0]


def test_custom_loop_with_an_optimizer_records_the_steps_of_updates(tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "tanh", name="hidden"), layers.Dense(3, name="scores")]
    )
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 24, 4):
            with tf.GradientTape() as tape:
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
                    Y[start : start + 4], model(X[start : start + 4])
                )
            grads = tape.gradient(loss, [v.value for v in model.trainable_variables])
            optimizer.apply(grads, model.trainable_variables)
            recorder.step(model, X, Y, loss=loss, grads=grads, optimizer=optimizer)
    recorder.close()
    training = open_capture(recorder.path).training
    assert updates(training) == [2, 4, 6]
    assert training.learning_rate == pytest.approx([0.1] * 6)
