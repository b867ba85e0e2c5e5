"""Feature visualizations activate a channel more than real pictures; dead channels are reported."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture import features
from nnviz3d.capture.features import feature_visualizations
from nnviz3d.capture.inputs.preprocess import apply
from nnviz3d.capture.live_model import capture
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.capture.work import Work
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.features import FeatureOptions
from nnviz3d.data.request import Insights
from nnviz3d.errors import ModelError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> Work:
    """The digits network and 1,000 digits."""
    kept = CachedModel(load_model(str(bundled("digits.keras"))))
    samples = kept.samples(["digits:0-999"])

    def prepare(samples):
        return [apply("unit", array) for array in samples.arrays]

    arrays = prepare(samples)
    trace = kept.traced.trace(arrays)
    return Work(Insights(), trace, samples, arrays, None, prepare, kept.samples, Path())


def search(work: Work, *features: str, report=lambda event: None, **options):
    wanted = Insights(features=features, feature_options=FeatureOptions(**options))
    return list(feature_visualizations(replace(work, insights=wanted), report))


def convolution(*, bias=(0, 0, 0, 0), colors=1, **options) -> keras.Model:
    model = keras.Sequential([keras.Input((12, 12, colors), name="input"), layers.Conv2D(4, 3, name="conv", **options)])
    model.layers[0].bias.assign(bias)
    return model


def found_by(model, x, tmp_path, *features, node="conv", preprocess=None, **options):
    wanted = Insights(features=features, feature_options=FeatureOptions(**{"steps": 32, **options}))
    return capture(model, x, out=tmp_path / "run.zarr", insights=wanted, preprocess=preprocess).features(node)


@pytest.mark.parametrize("objective", ["channel", "neuron"])
@pytest.mark.parametrize("parametrization", ["fourier", "pixel"])
def test_feature_picture_activates_a_channel_more_than_a_thousand_digits(digits, objective, parametrization):
    (found,) = search(digits, "conv2d_2[0:12]", objective=objective, parametrization=parametrization)
    raw = digits.model([tf.constant(digits.arrays[0])]).raw("conv2d_2").numpy()
    reference = (raw.mean(axis=(1, 2)) if objective == "channel" else raw[:, 1, 1]).max(axis=0)[found.channels]
    live = ~found.dead
    assert live.sum() >= 10
    assert np.mean(found.after[live] > reference[live]) >= 0.9
    assert (found.objective, found.images.shape, found.images.dtype) == (objective, (12, 28, 28, 1), np.float32)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.after > found.before).all()
    # The stored picture is the one without the random transformations of the search.
    again = digits.model([tf.constant(found.images)]).raw("conv2d_2").numpy()
    again = again.mean(axis=(1, 2)) if objective == "channel" else again[:, 1, 1]
    assert np.allclose(again[np.arange(12), found.channels], found.after, rtol=1e-4, atol=1e-4)


def test_feature_picture_activates_a_neuron_with_a_small_receptive_field_more_than_digits(digits):
    (found,) = search(digits, "conv2d_1[0:12]", objective="neuron")
    raw = [digits.model([tf.constant(part)]).raw("conv2d_1").numpy() for part in np.split(digits.arrays[0], 4)]
    reference = np.concatenate(raw)[:, 5, 5].max(axis=0)[:12]
    assert not found.dead.any()
    assert np.mean(found.after > reference) >= 0.9


def test_features_of_an_output_maximize_its_scores(digits):
    (found,) = search(digits, "dense_1", steps=64)
    scores = digits.model([tf.constant(found.images)]).scores("dense_1").numpy()
    assert found.objective == "class"
    assert np.allclose(np.diag(scores), found.after, rtol=1e-4)
    assert (scores.argmax(axis=1) == np.arange(10)).all()


def test_dead_channel_is_reported(tmp_path):
    x = np.random.default_rng(0).random((2, 12, 12, 1), dtype=np.float32)
    found = found_by(convolution(bias=(0, -1e3, 0, 0), activation="relu"), x, tmp_path, "conv")
    assert found.dead.tolist() == [False, True, False, False]
    # Before the activation function the channel can be increased nevertheless.
    assert found.after[1] > found.before[1]
    linear = found_by(convolution(bias=(0, -1e3, 0, 0)), x, tmp_path, "conv")
    assert not linear.dead.any()


def test_features_depend_on_the_seed_and_not_on_other_requested_channels(tmp_path):
    x = np.random.default_rng(0).random((1, 12, 12, 1), dtype=np.float32)
    model = convolution(activation="relu")
    all_four = found_by(model, x, tmp_path, "conv", seed=3)
    again = found_by(model, x, tmp_path, "conv", seed=3)
    other = found_by(model, x, tmp_path, "conv", seed=4)
    some = found_by(model, x, tmp_path, "conv[2]", "conv[0:1]", seed=3)
    assert np.array_equal(all_four.images, again.images)
    assert not np.allclose(all_four.images, other.images, atol=0.05)
    assert some.channels.tolist() == [0, 2]
    assert np.allclose(some.images, all_four.images[[0, 2]], atol=1e-3)
    assert all_four.settings == {"parametrization": "fourier", "steps": 32, "seed": 3}


def test_feature_pictures_have_the_colours_for_display_after_caffe_preprocessing(tmp_path):
    """A model with blue first and the mean subtracted: a red picture maximizes its third channel."""
    model = convolution(colors=3)
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 1, 2, 0] = kernel[1, 1, 0, 1] = 1
    model.layers[0].kernel.assign(kernel)
    photo = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    found = found_by(model, photo, tmp_path, "conv[0:2]", preprocess="caffe", steps=128)
    red, blue = found.images[:, 1:-1, 1:-1].mean(axis=(1, 2))
    assert red[0] > 0.9
    assert blue[2] > 0.9
    # The measured values are those of Keras' preprocessing of these colours.
    assert np.allclose(found.after, [255 * red[0] - 123.68, 255 * blue[2] - 103.939], rtol=1e-3)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 255), (-3, 7)])
def test_value_range_for_arrays_is_that_of_the_samples(tmp_path, low, high):
    model = convolution()
    model.layers[0].kernel.assign(np.full((3, 3, 1, 4), 1 / 9, np.float32))
    x = np.linspace(low, high, 144, dtype=np.float32).reshape(1, 12, 12, 1)
    found = found_by(model, x, tmp_path, "conv[0]", steps=200)
    assert high - 0.1 * (high - low) < found.after[0] <= high + 1e-3


def test_feature_pictures_larger_than_memory_are_refused_before_the_first(digits, monkeypatch):
    monkeypatch.setattr(features, "_MEMORY", 4 * 28 * 28 * 10)
    with pytest.raises(ModelError, match=r"conv2d_2: 12 pictures of 28 × 28 × 1 take .* as in conv2d_2\[0:10\]\."):
        search(digits, "conv2d_2[0:12]", report=pytest.fail)


def test_wrong_feature_requests_are_refused_in_one_sentence(digits, tmp_path):
    with pytest.raises(ModelError, match=r"No layer matches 'conv2d_9'; the model has conv2d, .*Did you mean 'conv2d"):
        search(digits, "conv2d_9")
    with pytest.raises(ModelError, match=r"'conv2d\[32\]': conv2d has the channels 0 to 31\."):
        search(digits, "conv2d[32]")
    with pytest.raises(ModelError, match=r"'conv2d\[4:4\]': conv2d has the channels 0 to 31\."):
        search(digits, "conv2d[4:4]")
    with pytest.raises(ModelError, match="input has no channels to maximize"):
        search(digits, "input")
    dense = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="dense")])
    with pytest.raises(ModelError, match=r"need a model of one picture, .*; this model takes \(6,\)"):
        found_by(dense, np.ones((1, 6), np.float32), tmp_path, "dense")
    assert not (tmp_path / "run.zarr").exists()


def test_features_report_their_progress(digits):
    events = []
    search(digits, "conv2d*[0:2]", steps=16, report=events.append)
    assert {(e.stage, e.total) for e in events} == {("features", 48)}
    done = [e.done for e in events]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 48)
