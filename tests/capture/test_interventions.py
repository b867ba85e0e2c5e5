"""Runs with interventions equal models whose weights are edited by hand, and the model itself stays as it is."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d import Insights, Intervention
from nnviz3d.data.capabilities.interventions import read_changed, read_interventions
from nnviz3d.errors import ModelError


def perturbed(model):
    """Replace all weights, those of normalizations too, by numbers as after a training."""
    numbers = np.random.default_rng(11)
    for variable in model.weights:
        if variable.dtype == "float32":
            variable.assign(numbers.uniform(0.2, 1.2, variable.shape) * numbers.choice([-1, 1], variable.shape) * 0.5)
            if "variance" in variable.name:
                variable.assign(np.abs(variable.numpy()) + 0.3)
    return model


def branched():
    start = keras.Input((10, 9, 3), name="start")
    conv = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(start)
    left = layers.BatchNormalization(name="left")(layers.DepthwiseConv2D(3, padding="same", name="deep")(conv))
    right = layers.Conv2D(5, 1, name="right")(conv)
    both = layers.Add(name="both")([left, right])
    pooled = layers.GlobalAveragePooling2D(name="pooled")(layers.Concatenate(name="joined")([both, conv]))
    return perturbed(keras.Model(start, layers.Dense(4, activation="softmax", name="head")(pooled), name="branched"))


@pytest.fixture(scope="module")
def model():
    return branched()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).normal(size=(3, 10, 9, 3)).astype(np.float32)


def changed(tmp_path, model, x, *interventions):
    """Capture a model with interventions; returns a function from a node to its numbers in the changed run, if any."""
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", insights=Insights(interventions=interventions))
    assert read_interventions(run.stored) == interventions

    def numbers(node):
        found = [read_changed(run.stored, node, 0, i) for i in range(run.committed)]
        return None if found[0] is None else np.stack(found)

    return run, numbers


def outputs(model, x):
    """The outputs of all layers by Keras' own predict of the same batch."""
    every = keras.Model(model.inputs, [one.output for one in model.layers])
    return dict(zip([one.name for one in model.layers], every.predict(x, verbose=0), strict=True))


def edited(model, edit):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    edit(copy)
    return copy


def mute_filter(model, channel):
    kernel, bias = (np.array(w) for w in model.get_layer("conv").get_weights())
    kernel[..., channel], bias[channel] = 0, 0
    model.get_layer("conv").set_weights([kernel, bias])


def test_muted_channel_equals_model_without_its_filter_bit_for_bit(tmp_path, model, x):
    before = [w.copy() for w in model.get_weights()]
    run, numbers = changed(tmp_path, model, x, Intervention("conv", unit=2))
    reference = outputs(edited(model, lambda copy: mute_filter(copy, 2)), x)
    assert numbers("start") is None
    for name in ("conv", "deep", "left", "right", "both", "joined", "pooled", "head"):
        assert np.array_equal(numbers(name), reference[name]), name
        assert not np.array_equal(numbers(name), run.activations(name).values), name
    untouched = outputs(model, x)
    assert all(np.array_equal(run.activations(name).values, untouched[name]) for name in reference)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_scaled_unit_equals_scaled_weights(tmp_path, model, x):
    def halve(copy):
        kernel, bias = (np.array(w) for w in copy.get_layer("right").get_weights())
        kernel[..., 1], bias[1] = kernel[..., 1] / 2, bias[1] / 2
        copy.get_layer("right").set_weights([kernel, bias])

    _, numbers = changed(tmp_path, model, x, Intervention("right", unit=1, action="scale", factor=0.5))
    reference = outputs(edited(model, halve), x)
    assert all(numbers(name) is None for name in ("conv", "deep", "left"))
    for name in ("right", "both", "joined", "head"):
        assert np.array_equal(numbers(name), reference[name]), name


def test_edge_changes_for_its_reader_alone(tmp_path, model, x):
    def blind(copy):
        kernel, bias = (np.array(w) for w in copy.get_layer("right").get_weights())
        kernel[:, :, 3] = 0
        copy.get_layer("right").set_weights([kernel, bias])

    _, numbers = changed(tmp_path, model, x, Intervention("conv", unit=3, reader="right"))
    reference = outputs(edited(model, blind), x)
    assert all(numbers(name) is None for name in ("conv", "deep", "left"))
    for name in ("right", "both", "joined", "head"):
        assert np.array_equal(numbers(name), reference[name]), name


def test_frozen_layer_keeps_its_numbers_while_another_branch_follows(tmp_path, model, x):
    run, numbers = changed(tmp_path, model, x, Intervention("conv", unit=2), Intervention("left", action="freeze"))
    assert not np.array_equal(numbers("deep"), run.activations("deep").values)
    assert np.array_equal(numbers("left"), run.activations("left").values)
    assert np.array_equal(numbers("both"), numbers("left") + numbers("right"))


def test_last_intervention_on_a_number_counts_and_others_stay(tmp_path, model, x):
    run, numbers = changed(
        tmp_path, model, x, Intervention("pooled"), Intervention("pooled", index=(4,), action="scale", factor=-3)
    )
    expected = np.zeros_like(run.activations("pooled").values)
    expected[:, 4] = run.activations("pooled").values[:, 4] * np.float32(-3)
    assert np.array_equal(numbers("pooled"), expected)
    tail = keras.Model(model.get_layer("head").input, model.get_layer("head").output)
    assert np.array_equal(numbers("head"), tail.predict(expected, verbose=0))


def test_masks_of_texts_go_on_to_later_layers(tmp_path):
    start = keras.Input((6,), dtype="int32", name="start")
    words = layers.Embedding(9, 4, mask_zero=True, name="words")(start)
    model = perturbed(keras.Model(start, layers.Dense(2, name="head")(layers.LSTM(3, name="memory")(words))))
    x = np.array([[3, 5, 8, 0, 0, 0], [1, 0, 0, 0, 0, 0]], np.int32)

    def narrow(copy):
        (table,) = (np.array(w) for w in copy.get_layer("words").get_weights())
        table[:, 1] = 0
        copy.get_layer("words").set_weights([table])

    _, numbers = changed(tmp_path, model, x, Intervention("words", unit=1))
    reference = outputs(edited(model, narrow), x)
    for name in ("words", "memory", "head"):
        assert np.array_equal(numbers(name), reference[name]), name


@pytest.mark.parametrize(
    ("intervention", "words"),
    [
        (Intervention("cnov"), "has no layer 'cnov'; it has start, conv, "),
        (Intervention("conv", unit=5), "conv has units 0 to 4; its output is 10 × 9 × 5"),
        (Intervention("conv", index=(10, 0, 0)), "there is no such number in conv, whose output is 10 × 9 × 5"),
        (Intervention("conv", reader="left"), "left does not read conv; what reads it is deep, right, joined"),
    ],
)
def test_place_that_the_model_lacks_is_one_sentence_that_names_it(tmp_path, model, x, intervention, words):
    with pytest.raises(ModelError, match=words) as caught:
        changed(tmp_path, model, x, intervention)
    assert str(caught.value).startswith(intervention.text)
    assert not list(tmp_path.iterdir())


def test_model_with_other_numbers_at_each_run_is_refused(tmp_path):
    import tensorflow as tf

    class Noise(layers.Layer):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    model = keras.Sequential([keras.Input((4,)), Noise(name="noise"), layers.Dense(2, name="head")], name="noisy")
    with pytest.raises(ModelError, match="noisy gives other numbers at each run"):
        changed(tmp_path, model, np.ones((1, 4), np.float32), Intervention("noise"))
