"""Runs with interventions equal models whose weights are edited by hand, and the model itself stays as it is."""

import hashlib

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import nnviz3d
from nnviz3d import Insights, Intervention
from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.capabilities.interventions import read_changed, read_interventions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import ModelError, SampleError, UserError


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


@pytest.mark.parametrize(
    ("intervention", "layer", "entry"),
    [
        (Intervention("conv", unit=3, reader="right", reader_unit=1), "right", np.s_[:, :, 3, 1]),
        (Intervention("pooled", unit=4, reader="head", reader_unit=2), "head", np.s_[4, 2]),
    ],
    ids=["kernel from a channel to another", "weight before a softmax"],
)
def test_muted_connection_equals_a_weight_of_zero(tmp_path, model, x, intervention, layer, entry):
    def cut(copy):
        kernel, bias = (np.array(w) for w in copy.get_layer(layer).get_weights())
        kernel[entry] = 0
        copy.get_layer(layer).set_weights([kernel, bias])

    run, numbers = changed(tmp_path, model, x, intervention)
    reference = outputs(edited(model, cut), x)
    for name in {layer, "head"}:
        assert np.array_equal(numbers(name), reference[name]), name
        assert not np.array_equal(numbers(name), run.activations(name).values), name
    assert numbers(intervention.layer) is None


def test_two_muted_connections_of_a_neuron_equal_two_weights_of_zero(tmp_path, model, x):
    def cut(copy):
        kernel, bias = (np.array(w) for w in copy.get_layer("head").get_weights())
        kernel[4, 2] = kernel[1, 2] = kernel[4, 0] = 0
        copy.get_layer("head").set_weights([kernel, bias])

    places = ("pooled[4]->head[2]", "pooled[1]->head[2]", "pooled[4]->head[0]")
    _, numbers = changed(tmp_path, model, x, *map(Intervention.at, places))
    assert np.array_equal(numbers("head"), outputs(edited(model, cut), x)["head"])


def test_one_use_of_a_weight_changes_one_number(tmp_path, model, x):
    run, numbers = changed(
        tmp_path, model, x, Intervention("conv", index=(4, 5, 3), reader="right", reader_index=(4, 5, 1))
    )
    kernel = model.get_layer("right").get_weights()[0]
    before, after = run.activations("right").values, numbers("right")
    lost = run.activations("conv").values[:, 4, 5, 3] * kernel[0, 0, 3, 1]
    np.testing.assert_allclose(after[:, 4, 5, 1], before[:, 4, 5, 1] - lost, rtol=1e-5, atol=1e-6)
    before[:, 4, 5, 1] = after[:, 4, 5, 1]
    assert np.array_equal(before, after)


def test_paint_equals_the_prediction_of_a_painted_picture(tmp_path):
    random = np.random.default_rng(2)
    start = keras.Input((12, 10, 3), name="start")
    scaled = layers.Rescaling(1 / 255, name="scaled")(start)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(layers.Conv2D(4, 3, name="conv")(scaled))
    model = perturbed(keras.Model(start, layers.Dense(3, name="head")(pooled), name="pictures"))
    picture = random.integers(0, 256, (12, 10, 3), np.uint8)
    paint = np.zeros((12, 10, 4), np.uint8)
    paint[3:6, 2:9] = [*random.integers(0, 256, 3), 255]
    paint[8, 1] = [250, 250, 250, 40]  # nearly transparent, so not painted
    Image.fromarray(picture).save(tmp_path / "whole.png")
    Image.fromarray(paint).save(tmp_path / "paint.png")
    whole = picture.copy()
    whole[3:6, 2:9] = paint[3, 2, :3]
    one = Intervention("start", action="paint", picture=str(tmp_path / "paint.png"))
    run, numbers = changed(tmp_path, model, str(tmp_path / "whole.png"), one)
    reference = outputs(model, whole[np.newaxis].astype(np.float32))
    assert np.array_equal(run.activations("start").values[0], picture)
    for name in ("start", "conv", "head"):
        assert np.array_equal(numbers(name), reference[name]), name


def test_paint_over_an_array_takes_the_range_of_the_array(tmp_path, model, x):
    given = np.random.default_rng(4).uniform(0, 1, (1, 10, 9, 3)).astype(np.float32)
    paint = np.zeros((10, 9, 4), np.uint8)
    paint[1:3] = [255, 0, 51, 255]
    Image.fromarray(paint).save(tmp_path / "paint.png")
    one = Intervention("start", action="paint", picture=str(tmp_path / "paint.png"))
    _, numbers = changed(tmp_path, model, given, one)
    expected = given.copy()
    expected[:, 1:3] = np.array([1, 0, 0.2], np.float32)
    np.testing.assert_allclose(numbers("start"), expected, rtol=1e-6)
    assert np.array_equal(numbers("head"), outputs(model, numbers("start"))["head"])


@pytest.mark.parametrize("k", [0, 1])
def test_range_of_an_array_that_is_painted_over_is_that_of_all_samples(tmp_path, model, k):
    """A dark sample alone looks like numbers of 0 to 1."""
    given = np.full((2, 10, 9, 3), 0.5, np.float32)
    given[k] *= 400
    Image.new("RGBA", (9, 10), (255, 0, 51, 255)).save(tmp_path / "paint.png")
    one = Intervention("start", action="paint", picture=str(tmp_path / "paint.png"))
    np.save(tmp_path / "x.npy", given)
    np.savez(tmp_path / "packed.npz", start=given)
    for x in (given, *(f"{tmp_path}/{name}[{row}]" for name in ("x.npy", "packed.npz") for row in (0, 1))):
        run, numbers = changed(tmp_path, model, x, one)
        assert np.all(numbers("start") == np.array([255, 0, 51], np.float32))
        assert run.picture("start", 0).max() == np.rint(run.activation("start", 0).max()), "what people see is as dark"
    held = prepare_live_model(model, given)
    asked = CaptureRequest(
        model="live", inputs=("x[0]",), out=tmp_path / "live.zarr", insights=Insights(interventions=(one,))
    )
    held.answer(asked, lambda _: None)
    assert np.all(read_changed(open_capture(asked.out).stored, "start", 0, 0) == np.array([255, 0, 51], np.float32))


def test_runs_with_two_contents_of_one_picture_are_not_mixed(tmp_path, model):
    given = np.full((2, 10, 9, 3), 0.5, np.float32)
    picture = tmp_path / "patch.png"
    Image.new("RGBA", (9, 10), "white").save(picture)
    one = Intervention("start", action="paint", picture=str(picture))
    run, _ = changed(tmp_path, model, given, one)
    listed = read_interventions(run.stored)
    mute = Intervention("conv", unit=1)
    assert listed == (one,)
    assert listed[0].digest == hashlib.sha256(picture.read_bytes()).hexdigest()
    changed(tmp_path, model, given, *listed, mute)
    Image.new("RGBA", (9, 10), "red").save(picture)
    with pytest.raises(SampleError, match=r"patch\.png has changed since it was painted over start"):
        changed(tmp_path, model, given, *listed, mute)
    changed(tmp_path, model, given, one)
    assert read_interventions(open_capture(run.path).stored)[0].digest != listed[0].digest


@pytest.mark.parametrize(("low", "high"), [(-3, 3), (0, 300), (-1, 2), (0, np.nan)])
def test_paint_over_numbers_of_another_range_than_pictures_is_one_sentence(tmp_path, model, low, high):
    given = np.full((2, 10, 9, 3), 0.5, np.float32)
    given[1, 0, 0, :2] = low, high
    Image.new("RGBA", (9, 10), "white").save(tmp_path / "paint.png")
    one = Intervention("start", action="paint", picture=str(tmp_path / "paint.png"))
    with pytest.raises(
        ModelError, match=r"paint start: the numbers of start are .*pixels are known as 0 to 1, -1 to 1"
    ):
        changed(tmp_path, model, given, one)


@pytest.mark.parametrize(
    ("layer", "size", "words"),
    [
        ("start", (4, 4), r"paint\.png is 4 x 4 pixels; a picture to paint over start is 9 x 10"),
        ("conv", (9, 10), "only an input can be painted over; the model has start"),
    ],
)
def test_paint_of_another_size_or_place_is_one_sentence(tmp_path, model, x, layer, size, words):
    Image.new("RGBA", size, "white").save(tmp_path / "paint.png")
    one = Intervention(layer, action="paint", picture=str(tmp_path / "paint.png"))
    with pytest.raises(UserError, match=words):
        changed(tmp_path, model, x[:1], one)


def test_changed_run_alone_equals_that_of_a_whole_capture_for_each_sample_and_list(tmp_path, model, x):
    """One model answers several requests; a kept unchanged run must not be that of another sample."""
    kept = CachedModel(LoadedModel(model, "branched"))
    np.save(tmp_path / "x.npy", x)
    lists = ((Intervention("conv", unit=2),), (Intervention("right", action="scale", factor=2.5),))
    for k, interventions in [(0, lists[0]), (2, lists[0]), (2, lists[1]), (0, lists[1])]:
        insights = Insights(interventions=interventions)
        out = tmp_path / f"{k}-{interventions[0].layer}.zarr.zip"
        request = CaptureRequest(
            model="", inputs=(f"{tmp_path}/x.npy[{k}]",), out=out, insights=insights, changed_only=True
        )
        kept.answer(request.model_copy(update={"prepare": True}), lambda _: None)
        assert not out.exists()
        kept.answer(request, lambda _: None)
        alone = open_capture(out)
        assert alone.explanations(0).interventions == interventions
        assert not alone.has_activations("conv")
        _, numbers = changed(tmp_path, model, x[k : k + 1], *interventions)
        for name in ("start", "conv", "left", "right", "both", "head"):
            found, expected = alone.explanations(0).changed(name), numbers(name)
            assert (found is None) == (expected is None), name
            assert found is None or np.array_equal(found, expected[0]), name


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
        (Intervention("conv", reader="deep", reader_unit=7), "deep has units 0 to 4"),
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
