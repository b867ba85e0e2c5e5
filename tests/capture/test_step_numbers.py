"""Recorded histograms and updates of single weights are the numbers of the training itself."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.data.capture import open_capture
from nnviz3d.data.training_histograms import histogram_of

pytestmark = pytest.mark.slow

VARIABLES = (("hidden", "kernel"), ("hidden", "bias"), ("scores", "kernel"), ("scores", "bias"))


def recorded(path, optimizer, *, scaled=False, **options):
    """Record each step of a small training; return the training, and the weights before each step and at the end."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 6)).astype("f4"), rng.integers(0, 3, 40)
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, "tanh", name="hidden"),
            layers.BatchNormalization(name="norm", trainable=False),
            layers.Dense(3, name="scores"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0) if scaled else optimizer,
        loss,
        jit_compile=False,
    )
    before = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs=None: before.append(_numbers(model)))
    recorder = TrainingRecorder(path, **{"every": 1, "probes_every": 1, "weights_every": 1, **options})
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[recorder, spy], shuffle=False)
    return open_capture(path).training, [*before, _numbers(model)]


def _numbers(model):
    names = dict(zip(VARIABLES, model.trainable_variables, strict=True))
    return {key: np.array(variable) for key, variable in names.items()}


@pytest.mark.parametrize("scaled", [False, True])
def test_update_of_a_weight_by_sgd_is_learning_rate_times_gradient(tmp_path, scaled):
    training, states = recorded(tmp_path / "run.zarr", keras.optimizers.SGD(0.25), scaled=scaled)
    assert training.update_steps.tolist() == list(range(1, 11))
    for step in training.update_steps.tolist():
        for key in VARIABLES:
            found = training.update(*key, step)
            assert np.array_equal(found.before, states[step - 1][key])
            assert np.array_equal(found.after, states[step][key])
            assert np.array_equal(found.after, found.before - np.float32(0.25) * found.gradient)
    assert training.update("norm", "gamma", 10) is None, "it is frozen"


def test_update_of_a_weight_by_adam_is_the_recorded_one(tmp_path):
    training, states = recorded(tmp_path / "run.zarr", keras.optimizers.Adam(0.01), weights_every=4)
    assert training.update_steps.tolist() == training.weight_steps.tolist() == [1, 4, 8]
    for step in range(1, 11):
        found = training.update("scores", "kernel", step)
        assert found.step == max(kept for kept in (1, 4, 8) if kept <= step)
        assert np.array_equal(found.before, states[found.step - 1]["scores", "kernel"])
        assert np.array_equal(found.after, states[found.step]["scores", "kernel"])
    first = training.update("scores", "kernel", 1)
    # The first step of Adam: the means of the gradient and of its square are the gradient and its square.
    expected = 0.01 * first.gradient / (np.abs(first.gradient) + 1e-7 / np.sqrt(1 - 0.999))
    assert first.before - first.after == pytest.approx(expected, rel=1e-3)


def test_histograms_are_those_of_all_numbers_of_a_layer(tmp_path):
    training, states = recorded(tmp_path / "run.zarr", keras.optimizers.SGD(0.25))
    found = training.histograms
    assert found.steps.tolist() == list(range(1, 11))
    assert found.layers == ("hidden", "norm", "scores")
    assert found.of("norm", "weights") is None, "it is frozen"
    for layer in ("hidden", "scores"):
        own = [key for key in VARIABLES if key[0] == layer]
        histograms = {name: found.of(layer, name) for name in ("weights", "gradients", "updates")}
        for at, step in enumerate(found.steps.tolist()):
            updates = [training.update(*key, step) for key in own]
            numbers = {
                "weights": [states[step][key] for key in own],
                "gradients": [one.gradient for one in updates],
                "updates": [states[step][key] - states[step - 1][key] for key in own],
            }
            for name, arrays in numbers.items():
                limits, counts = histogram_of(np.concatenate([array.ravel() for array in arrays]))
                assert histograms[name].limits[at].tolist() == limits.tolist()
                assert histograms[name].counts[at].tolist() == counts.tolist()


def test_recording_without_intervals_has_a_histogram_for_each_step_and_no_updates_of_too_many_weights(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("nnviz3d.capture.training.step_numbers.MOST_UPDATED", 10)
    training, _ = recorded(
        tmp_path / "run.zarr", keras.optimizers.SGD(0.25), every=None, probes_every=None, weights_every=None
    )
    assert training.histograms.steps.tolist() == training.steps.tolist()
    assert len(training.weight_steps) > 0
    assert len(training.update_steps) == 0
    assert training.update("hidden", "kernel", 10) is None
