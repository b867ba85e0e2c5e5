"""Pictures without a channel axis, ``(H, W)``, are pictures in every part of a capture."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.live_model import capture
from nnviz3d.data.capabilities.features import FeatureOptions
from nnviz3d.data.request import Insights

H, W = 20, 16


def bare(photo, unfold):
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(unfold(photo))
    return keras.Model(photo, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D(name="pool")(x)))


@pytest.fixture(scope="module", params=["reshape", "expand_dims"])
def pair(request, tmp_path_factory):
    """Captures of a network on ``(H, W)``, and of the same network on ``(H, W, 1)``."""
    keras.utils.set_random_seed(5)
    unfold = layers.Reshape((H, W, 1)) if request.param == "reshape" else lambda x: keras.ops.expand_dims(x, -1)
    nets = [
        bare(keras.Input((H, W), name="photo"), unfold),
        bare(keras.Input((H, W, 1), name="photo"), lambda x: x),
    ]
    nets[1].set_weights(nets[0].get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, H, W)).astype(np.uint8)
    wanted = Insights(
        attributions=("grad_cam", "score_cam", "vanilla", "integrated_gradients", "occlusion"),
        features=("conv",),
        feature_options=FeatureOptions(steps=8),
    )
    folder = tmp_path_factory.mktemp("tables")
    x = (pixels, pixels[..., None])
    return [
        capture(net, given, out=folder / f"{i}.zarr", insights=wanted)
        for i, (net, given) in enumerate(zip(nets, x, strict=True))
    ]


@pytest.mark.parametrize("method", ["grad_cam", "score_cam", "vanilla", "integrated_gradients", "occlusion"])
def test_maps_and_their_faithfulness_equal_those_with_one_channel(pair, method):
    table, photo = pair
    assert table.graph.node("photo").axes == ("row", "column")
    assert table.activations("photo").values.shape == (2, H, W)
    for i in range(2):
        one, other = (run.explanations(i).attribution(method) for run in pair)
        assert one.values.shape == other.values.shape
        assert np.allclose(one.values, other.values, atol=1e-4 * np.abs(other.values).max())
        assert one.deletion.shape == other.deletion.shape != (0,)
        assert np.allclose(one.deletion, other.deletion, atol=1e-4)
    assert np.array_equal(table.picture("photo", 1), photo.picture("photo", 1))


def test_features_are_pictures_of_one_channel(pair):
    table, photo = (run.features("conv") for run in pair)
    assert table.images.shape == (3, H, W, 1)
    assert np.allclose(table.images, photo.images, atol=1e-3)
