"""The samples that are kept for a channel are those that a full sort of all samples puts first."""

import keras
import numpy as np
import pytest

from nnviz3d.capture.examples import MOST, StrongestSamples, means_of
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.bundled import bundled, digits
from nnviz3d.data.capabilities.examples import read_examples
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.errors import ModelError

COUNT = 90


@pytest.fixture(scope="module")
def kept():
    return CachedModel(load_model(str(bundled("digits.keras"))))


def captured(kept, out, *names, dataset=(f"digits:0-{COUNT - 1}",)):
    wanted = Insights(examples=names, dataset=dataset)
    kept.answer(
        CaptureRequest(model="digits.keras", inputs=("digits:7",), out=out, insights=wanted), lambda event: None
    )
    return open_capture(out)


def test_samples_of_each_channel_are_the_first_of_a_full_sort(kept, tmp_path):
    capture = captured(kept, tmp_path / "run.zarr", "conv2d_1", "dense")
    model = kept.traced.loaded.model
    x = digits()[0][:COUNT, ..., np.newaxis].astype(np.float32) / 255
    every = keras.Model(model.inputs, [model.get_layer(name).output for name in ("conv2d_1", "dense")])
    for name, values in zip(("conv2d_1", "dense"), every([x]), strict=True):
        values = values.numpy()
        means = values.reshape(COUNT, -1, values.shape[-1]).mean(axis=1)
        found = read_examples(capture.stored, name)
        assert found.samples.shape == (values.shape[-1], MOST)
        for channel in range(values.shape[-1]):
            chosen = found.samples[channel]
            assert np.allclose(found.means[channel], means[chosen, channel], rtol=1e-4, atol=1e-6)
            assert np.allclose(found.means[channel], -np.sort(-means[:, channel])[:MOST], rtol=1e-4, atol=1e-6)
        assert found.count == COUNT
        assert [found.names[np.searchsorted(found.shown, i)] for i in found.samples[0]] == [
            f"digits:{i}" for i in found.samples[0]
        ]
        first = int(found.samples[0, 0])
        assert np.array_equal(found.thumbnails[np.searchsorted(found.shown, first)][..., 0], digits()[0][first])


def test_batches_of_any_size_give_the_same_samples(rng):
    means = rng.integers(0, 6, (50, 4)).astype(np.float32)  # many are equal
    means[3, 1] = np.nan
    whole, parts = StrongestSamples(), StrongestSamples()
    whole.add(0, means)
    for start in range(0, 50, 7):
        parts.add(start, means[start : start + 7])
    assert np.array_equal(whole.samples, parts.samples)
    assert np.array_equal(whole.means, parts.means)
    for channel in range(4):
        ranked = sorted(range(50), key=lambda i: (np.isnan(means[i, channel]), -np.nan_to_num(means[i, channel]), i))
        assert whole.samples[channel].tolist() == ranked[:MOST]


def test_mean_of_a_channel_is_over_its_locations(rng):
    values = rng.normal(size=(3, 5, 4, 6))
    assert np.allclose(means_of(values, ("row", "column", "channel")), values.mean(axis=(1, 2)))
    assert np.allclose(means_of(values, ("channel", "row", "column")), values.mean(axis=(2, 3)))
    assert np.allclose(means_of(values[:, :, 0, 0], ("channel",)), values[:, :, 0, 0])


def test_unknown_layer_is_named_with_those_that_there_are(kept, tmp_path):
    with pytest.raises(ModelError, match=r"No layer is named 'conf'.*conv2d_1"):
        captured(kept, tmp_path / "run.zarr", "conf")
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize("dataset", [(), ("digits:3",)])
def test_examples_among_a_single_sample_are_refused(kept, tmp_path, dataset):
    with pytest.raises(
        ModelError, match=r"^Examples of channels need 2 samples or more, and there is 1; give more with"
    ):
        captured(kept, tmp_path / "run.zarr", "conv2d_1", dataset=dataset)
    assert not (tmp_path / "run.zarr").exists()
