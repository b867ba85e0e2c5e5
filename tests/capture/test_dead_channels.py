"""Channels that were killed by hand are found in captured samples and by a run of the model, as NumPy finds them."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.live_model import capture
from nnviz3d.data.request import Insights
from nnviz3d.scene.derived.channel_search import ChannelSearch
from nnviz3d.scene.derived.dead_channels import dead_by_examples

DEAD = {"early": (1, 3), "rectified": (0, 5), "hidden": (2, 7, 8)}
SAMPLES = 12


def network(first: bool) -> keras.Model:
    """Return a network with dead channels: weights of 0, and a bias below 0."""
    form = {"data_format": "channels_first" if first else "channels_last"}
    keras.utils.set_random_seed(3)
    photo = keras.Input((3, 10, 12) if first else (10, 12, 3), name="photo")
    x = layers.Conv2D(5, 3, activation="relu", **form, name="early")(photo)
    x = layers.Conv2D(6, 3, **form, name="linear")(x)
    x = layers.ReLU(name="rectified")(x)
    x = layers.GlobalAveragePooling2D(**form, name="pool")(x)
    x = layers.Dense(9, activation="relu", name="hidden")(x)
    model = keras.Model(photo, layers.Dense(4, activation="tanh", name="out")(x))
    for name, channels in {"early": DEAD["early"], "linear": DEAD["rectified"], "hidden": DEAD["hidden"]}.items():
        kernel, bias = model.get_layer(name).get_weights()
        kernel[..., channels], bias[list(channels)] = 0, -0.5
        model.get_layer(name).set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["channels first", "channels last"])
def run(request, tmp_path_factory):
    """A network and its capture of all samples, with examples of the layers that can have dead channels."""
    model = network(request.param)
    pixels = np.random.default_rng(0).integers(0, 256, (SAMPLES, 10, 12, 3)).astype(np.uint8)
    given = np.ascontiguousarray(np.moveaxis(pixels, -1, 1)) if request.param else pixels
    out = tmp_path_factory.mktemp("dead") / "run.zarr"
    return model, capture(model, given, out=out, insights=Insights(examples=tuple(DEAD)))


def by_numpy(model: keras.Model, found, first: int = SAMPLES) -> dict[str, tuple[int, ...]]:
    """Return the channels that are 0 for the first samples, from the outputs of Keras itself."""
    x = found.activations("photo").values[:first]
    zero = {}
    for name in DEAD:
        values = np.asarray(keras.Model(model.input, model.get_layer(name).output)(x))
        if model.get_layer("early").data_format == "channels_first":
            values = np.moveaxis(values, 1, -1)
        zero[name] = tuple(np.flatnonzero((values == 0).reshape(-1, values.shape[-1]).all(axis=0)).tolist())
    return zero


def test_search_and_examples_find_the_channels_that_numpy_finds(run):
    model, found = run
    expected = by_numpy(model, found)
    assert all(set(DEAD[name]) <= set(channels) for name, channels in expected.items())
    search = ChannelSearch(found, range(SAMPLES))
    search.work(1e9)
    assert {one.layer: one.channels for one in search.found} == expected
    assert {one.layer: one.channels for one in dead_by_examples(found)} == expected
    assert [one.total for one in search.found] == [5, 6, 9]
    assert {(one.short, one.words) for one in (*search.found, *dead_by_examples(found))} == {
        ("dead", f"0 for all {SAMPLES} samples")
    }


def test_fewer_samples_are_looked_at_alone(run):
    model, found = run
    search = ChannelSearch(found, range(2))
    search.work(1e9)
    assert {one.layer: one.channels for one in search.found} == by_numpy(model, found, 2)
    assert {one.words for one in search.found} == {"0 for all 2 samples"}
