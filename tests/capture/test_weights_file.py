"""Files of weights open with an architecture from another file; weights of another model are refused by layer."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from nnviz3d.options import Model


def network(*, width=2, more=(), convolution=True):
    first = [layers.Conv2D(3, 3, name="first"), layers.BatchNormalization(name="norm")] if convolution else []
    return keras.Sequential(
        [keras.Input((6, 6, 1), name="input"), *first, layers.Flatten(), layers.Dense(width, name="last"), *more]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(0)
    model = network()
    model.compile("adam", "mse")
    x = rng.random((4, 6, 6, 1)).astype(np.float32)
    model.fit(x, rng.random((4, 2)), verbose=0)
    model.set_weights([rng.random(array.shape) + 0.1 for array in model.get_weights()])  # moving statistics too
    for ending in ("keras", "h5", "weights.h5"):
        (model.save_weights if ending == "weights.h5" else model.save)(folder / f"m.{ending}")
    (folder / "m.json").write_text(model.to_json())
    # Keras 2 saves weights by layer, as they are inside a whole .h5 file.
    with h5py.File(folder / "m.h5") as whole, h5py.File(folder / "by_layer.h5", "w") as alone:
        for name in whole["model_weights"]:
            whole.copy(whole["model_weights"][name], alone)
        alone.attrs.update(whole["model_weights"].attrs)
    others = {
        "wide": network(width=3),
        "deep": network(more=[layers.Dense(2, name="deeper")]),
        "flat": network(convolution=False),
        "head": keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 3, name="first")]),
    }
    for name, other in others.items():
        other.save(folder / f"{name}.keras")
    (folder / "broken.json").write_text("{]")
    (folder / "list.json").write_text("[1]")
    (folder / "code.json").write_text(network(more=[layers.Lambda(lambda x: x * 2, name="twice")]).to_json())
    return folder, x, np.asarray(model(x, training=False))


def refusal(path, **options):
    with pytest.raises(ModelError) as caught:
        load_model(str(path), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("weights", ["m.weights.h5", "by_layer.h5"])
@pytest.mark.parametrize("architecture", ["m.json", "m.keras", "m.h5"])
def test_weights_open_with_an_architecture(folder, weights, architecture):
    loaded = load_model(str(folder[0] / weights), architecture=str(folder[0] / architecture))
    assert loaded.name == weights
    assert f"The architecture is that of {architecture}." in loaded.notes
    assert np.array_equal(loaded.model(folder[1], training=False), folder[2])


def test_architecture_and_weights_of_keras_2_open(folder, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    kinds = tf_keras.layers
    old = tf_keras.Sequential([kinds.Conv2D(3, 3, input_shape=(6, 6, 1)), kinds.BatchNormalization(), kinds.ReLU()])
    rng = np.random.default_rng(1)
    old.set_weights([rng.random(array.shape) + 0.1 for array in old.get_weights()])
    (tmp_path / "old.json").write_text(old.to_json())
    for name in ("old.h5", "old.weights.h5"):
        old.save_weights(tmp_path / name)
        loaded = load_model(str(tmp_path / name), architecture=str(tmp_path / "old.json"))
        assert np.allclose(loaded.model(folder[1], training=False), old(folder[1], training=False), atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (
            "wide.keras",
            "the weights of its layer 'last' (Dense) do not fit: the layer has an array of shape (48, 3), the ",
        ),
        ("deep.keras", "the weights of its layer 'deeper' (Dense) do not fit: the layer has 2 arrays, the file 0."),
        ("flat.keras", "'last' (Dense) do not fit"),
        ("head.keras", "m.weights.h5 holds 8 arrays, but the model in head.keras has 2"),
        ("broken.json", "broken.json is damaged or cut short"),
        ("list.json", "not a dictionary"),
        ("code.json", "with the architecture of code.json carries code of its own: Lambda 'twice'"),
        ("none.json", "--architecture: there is no file"),
        ("m.weights.h5", "m.weights.h5 holds weights but no architecture"),
        ("keras:VGG16", "expected a .json file from model.to_json(), or a .keras file"),
    ],
)
def test_architecture_that_does_not_fit_is_refused(folder, architecture, said):
    assert said in refusal(folder[0] / "m.weights.h5", architecture=str(folder[0] / architecture))


def test_weights_by_layer_of_another_model_are_refused(folder):
    for other in ("wide", "deep", "flat", "head"):
        sentence = refusal(folder[0] / "by_layer.h5", architecture=str(folder[0] / f"{other}.keras"))
        assert f"by_layer.h5 with the architecture of {other}.keras" in sentence
        assert "Give the architecture of the model whose weights they are." in sentence


def test_architecture_is_asked_for_and_refused_where_it_has_no_effect(folder):
    for name in ("m.weights.h5", "by_layer.h5"):
        assert "add --architecture FILE, a .json file from model.to_json()" in refusal(folder[0] / name)
    assert "holds an architecture of its own" in refusal(folder[0] / "m.h5", architecture=str(folder[0] / "m.json"))
    assert "m.keras holds its own" in refusal(folder[0] / "m.keras", architecture=str(folder[0] / "m.json"))


def test_option_reaches_the_request(tmp_path):
    request = Model(architecture="a.json").options().request("m.weights.h5", tmp_path / "run.zarr")
    assert json.loads(request.model_dump_json())["architecture"] == "a.json"
    assert request.loading.architecture == "a.json"
