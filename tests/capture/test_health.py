"""Faults put into a training raise alarms for the right layer; a healthy training raises none."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.analysis.health import alarms
from nnviz3d.data.bundled import gallery
from nnviz3d.data.capture import open_capture

pytestmark = pytest.mark.slow


def digits(count=96):
    with np.load(gallery() / "digits.npz") as data:
        return data["images"][:count, ..., np.newaxis].astype("f4") / 255, data["labels"][:count]


def recorded(path, model, *, optimizer="adam", count=96, batch=32, epochs=1, every=1, eager=True):
    """Train, and return the callback's warnings and the alarms of each recorded step."""
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False, run_eagerly=eager)
    # Tracing a step takes longer than running three eagerly.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            *digits(count),
            batch_size=batch,
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[TrainingRecorder(path, every=every)],
        )
    capture = open_capture(path)
    found = [alarms(capture.training, capture.graph, k) for k in range(len(capture.training))]
    return [str(one.message) for one in caught if " at step " in str(one.message)], found


def network():
    return keras.models.clone_model(keras.models.load_model(gallery() / "digits.keras"))


def named(found):
    return [(alarm.kind, alarm.layer) for alarm in found]


def test_healthy_training_has_no_alarms_at_any_step(tmp_path):
    told, found = recorded(tmp_path / "run.zarr", network(), count=1000, epochs=7, every=2, eager=False)
    assert len(found) > 100
    assert found == [()] * len(found)
    assert told == []
    assert open_capture(tmp_path / "run.zarr").training.loss[-20:].mean() < 0.15, "and it learnt its task"


def test_deep_sigmoid_stack_has_vanishing_gradients_at_its_first_layers(tmp_path):
    stack = [layers.Dense(8, activation="sigmoid", name=f"hidden_{i}") for i in range(20)]
    head = layers.Dense(10, activation="softmax", name="scores")
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), *stack, head])
    told, found = recorded(tmp_path / "run.zarr", model, count=32)
    layer_names = [alarm.layer for alarm in found[0]]
    assert {alarm.kind for alarm in found[0]} == {"vanishing"}
    assert set(layer_names) == {f"hidden_{i}" for i in range(len(layer_names))}, "the first layers, without a gap"
    assert 6 < len(layer_names) < 18
    assert found[0][0].figure < 1e-9
    assert len(told) == 1
    assert told[0].startswith(
        f"Vanishing gradient in {len(layer_names)} layers, hidden_0 … hidden_{len(layer_names) - 1};"
    )


def test_huge_learning_rate_has_exploding_gradients_and_then_nan(tmp_path):
    told, found = recorded(tmp_path / "run.zarr", network(), optimizer=keras.optimizers.SGD(1e4))
    weighted = ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]
    assert sorted(named(found[0])) == [("update", name) for name in weighted], "the step that was too long"
    assert {layer for kind, layer in named(found[1]) if kind == "exploding"} == set(weighted)
    # Whether the gradient of a layer without weights overflows too depends on the machine's rounding.
    assert {layer for kind, layer in named(found[2]) if kind == "nonfinite"} >= set(weighted)
    assert [sentence.split(" in ")[0] for sentence in told][:1] == ["Update ratio out of range"]
    assert len(told) == len(set(told))
    steps = [sentence.partition(" at step ")[2][0] for sentence in told]
    assert steps == sorted(steps)


def test_bias_that_silences_a_layer_raises_an_alarm_for_this_layer_only(tmp_path):
    bias = keras.initializers.Constant(-1e3)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="before"),
            layers.Dense(16, activation="relu", name="silent", bias_initializer=bias),
            layers.Dense(10, activation="softmax", name="scores"),
        ]
    )
    told, found = recorded(tmp_path / "run.zarr", model)
    assert [named(one) for one in found] == [[("dead", "silent")]] * 3
    assert told == ["silent: dead units at step 1: 100% give 0 for every probe sample (alarm from 90%)."], "once"


@pytest.mark.parametrize("culprit", ["conv2d_1", "dense"])
def test_nan_in_one_weight_raises_the_first_alarm_for_its_layer(tmp_path, culprit):
    model = network()
    kernel, bias = model.get_layer(culprit).get_weights()
    kernel.flat[3] = np.nan
    model.get_layer(culprit).set_weights([kernel, bias])
    told, found = recorded(tmp_path / "run.zarr", model)
    assert [named(one)[0] for one in found] == [("nonfinite", culprit)] * 3, "at later steps too"
    assert found[0][0].figure == 1
    assert f"{culprit}: NaN or infinite at step 1: 1 of its weights (already before the step" in told[0]
