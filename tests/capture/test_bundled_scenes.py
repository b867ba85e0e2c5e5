"""Bundled scenes on other models: each draws the layers that exist, or names the missing kind in one sentence."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.apps.target import ModelOptions, bundled_scenes, resolve
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.capabilities.features import FeatureOptions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.errors import UserError
from nnviz3d.scene.primitives import Panel, Points, Tiles, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection

pytestmark = pytest.mark.slow


def birdnet() -> keras.Model:
    photo = x = keras.Input((8, 8, 3), name="photo")
    for k in range(3):
        x = layers.Conv2D(4 + k, 3, padding="same", activation="relu", name=f"filter{k}")(x)
    x = layers.GlobalAveragePooling2D(name="squeeze")(x)
    x = layers.Dense(7, activation="relu", name="body")(x)
    return keras.Model(photo, layers.Dense(3, activation="softmax", name="answer")(x), name="birdnet")


def wine() -> keras.Model:
    measures = x = keras.Input((9,), name="measures")
    for name in ("wide", "narrow"):
        x = layers.Dense(6, activation="relu", name=name)(x)
    return keras.Model(measures, layers.Dense(3, activation="softmax", name="sort")(x), name="wine")


def reviews() -> keras.Model:
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 8, name="words")(tokens)
    x = layers.Add(name="join")([x, layers.MultiHeadAttention(2, 4, name="look")(x, x)])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(tokens, layers.Dense(2, activation="softmax", name="mood")(x), name="reviews")


SAMPLES = 12
MODELS = {"birdnet": birdnet, "wine": wine, "reviews": reviews}
NO_TRAINING = r"^kind: this capture of \w+ holds no training; record one with"
REFUSED = {
    ("attention", "birdnet"): "^birdnet has no attention layer .* choose another scene or model.$",
    ("attention", "wine"): "^wine has no attention layer .* choose another scene or model.$",
    ("examples", "wine"): r"^wine has no convolution; name one for --examples: ",
    ("examples", "reviews"): r"^reviews has no convolution; name one for --examples: ",
    ("features", "wine"): r"^Features need a model of one picture, .*; this model takes \(9,\).$",
    ("features", "reviews"): r"^Features need a model of one picture, .*; this model takes \(6,\).$",
    **{(scene, name): NO_TRAINING for scene in ("history", "histograms") for name in MODELS},
    **{("landscape", name): "^The data set of the loss landscape .* --dataset DATA --labels FILE.$" for name in MODELS},
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Files of each model, and samples for it."""
    folder = tmp_path_factory.mktemp("foreign")
    found = {}
    random = np.random.default_rng(5)
    for name, make in MODELS.items():
        keras.utils.set_random_seed(7)
        model = make()
        model.save(folder / f"{name}.keras")
        (spec,) = model.inputs
        shape = (SAMPLES, *spec.shape[1:])
        x = random.integers(0, 20, shape) if spec.dtype == "int32" else random.random(shape)
        np.save(folder / f"{name}.npy", x.astype(spec.dtype))
        found[name] = (CachedModel(load_model(str(folder / f"{name}.keras"))), folder / f"{name}.npy")
    return found


@pytest.fixture(scope="module")
def look(kept, tmp_path_factory):
    """Build a bundled scene on a model; scenes that need the same capture share it."""
    captures = {}

    def look(scene: str, name: str) -> Scene:
        model, data = kept[name]
        spec = resolve(f"{name}.keras", scene, ModelOptions()).spec
        wanted = spec.needs().plus(Insights(feature_options=FeatureOptions(steps=8)))
        key = (name, wanted.model_dump_json())
        if key not in captures:
            out = tmp_path_factory.mktemp(name) / "run.zarr"
            request = CaptureRequest(model=f"{name}.keras", inputs=(str(data),), out=out, insights=wanted)
            model.answer(request, lambda event: None)
            captures[key] = open_capture(out)
        return Scene.build(spec, captures[key])

    return look


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scene", sorted(bundled_scenes()))
def test_bundled_scene_draws_a_foreign_model_or_refuses_in_one_sentence(scene, model, look):
    if (scene, model) in REFUSED:
        with pytest.raises(UserError, match=REFUSED[scene, model]):
            look(scene, model)
        return
    built = look(scene, model)
    drawn = built.at(built.duration, Selection()).primitives
    (title,) = [p for p in drawn if isinstance(p, Panel) and p.name == "title"]
    assert title.rows[0].text == model
    assert len(drawn) > 2


def shown(built: Scene, kind: type) -> set[str]:
    return {p.name for p in built.at(built.duration, Selection()).primitives if isinstance(p, kind)}


def test_scene_shows_the_layer_of_its_kind_in_another_model(look):
    assert shown(look("features", "birdnet"), Tiles) == {"filter2"}
    assert shown(look("embedding", "birdnet"), Points) == {"body"}
    assert shown(look("embedding", "wine"), Points) == {"narrow"}
    assert {name for name in shown(look("kernels", "birdnet"), Voxels) if name.startswith("filter 0 of")} == {
        "filter 0 of filter0"
    }
    assert "filter 0 of wide" in shown(look("kernels", "wine"), Voxels), (
        "the first dense layer, for lack of a convolution"
    )
    assert "map:measures" in shown(look("decisions", "wine"), Voxels), "integrated gradients, for lack of spatial axes"
    assert "filter 0 of mood" in shown(look("kernels", "reviews"), Voxels)


def test_scene_shows_the_layers_that_a_capture_holds(kept, tmp_path):
    model, data = kept["birdnet"]
    wanted = Insights(embeddings=("squeeze",), features=("filter1[0:2]",), feature_options=FeatureOptions(steps=8))
    out = tmp_path / "held.zarr"
    model.answer(
        CaptureRequest(model="birdnet.keras", inputs=(str(data),), out=out, insights=wanted), lambda event: None
    )
    capture = open_capture(out)
    built = {
        name: Scene.build(resolve(str(out), name, ModelOptions()).spec, capture) for name in ("features", "embedding")
    }
    assert shown(built["features"], Tiles) == {"filter1"}
    assert shown(built["embedding"], Points) == {"squeeze"}
    (legend,) = [
        p for p in built["features"].at(99.0, Selection()).primitives if isinstance(p, Panel) and p.name == "channels"
    ]
    assert legend.rows[0].text == "2 of 5 channels of filter1"


def test_refusal_of_a_vision_model_without_a_convolution_names_the_features_option(tmp_path):
    photo = keras.Input((6, 6, 3), name="photo")
    x = layers.Dense(2, name="body")(layers.Flatten(name="flat")(photo))
    keras.Model(photo, x, name="flatnet").save(tmp_path / "flat.keras")
    spec = resolve("flat.keras", "features", ModelOptions()).spec
    request = CaptureRequest(model="flat.keras", inputs=("random",), out=tmp_path / "r.zarr", insights=spec.needs())
    with pytest.raises(UserError, match=r"^flatnet has no convolution, .* --features LAYER, .* one of flat, body, "):
        CachedModel(load_model(str(tmp_path / "flat.keras"))).answer(request, lambda event: None)


def test_refusal_of_a_model_without_a_hidden_layer_names_the_embed_option(tmp_path):
    x = keras.Input((4,), name="x")
    keras.Model(x, layers.Dense(2, name="only")(x), name="line").save(tmp_path / "line.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((8, 4)).astype(np.float32))
    insights = resolve("line.keras", "embedding", ModelOptions()).spec.needs()
    request = CaptureRequest(
        model="line.keras", inputs=(str(tmp_path / "x.npy"),), out=tmp_path / "r.zarr", insights=insights
    )
    with pytest.raises(
        UserError, match=r"^line has no hidden layer, .* --embed LAYER, where LAYER is one of x, only, and"
    ):
        CachedModel(load_model(str(tmp_path / "line.keras"))).answer(request, lambda event: None)
