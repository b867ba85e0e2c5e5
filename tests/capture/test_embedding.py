"""Embedded vectors are the layer's outputs; unchanged embeddings are reused."""

import hashlib
import shutil

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture import embedding
from nnviz3d.capture.live_model import capture
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.bundled import bundled, digits
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.errors import ModelError

DATASET = ("digits:0-119",)


@pytest.fixture(scope="module")
def kept() -> CachedModel:
    """The digits network."""
    return CachedModel(load_model(str(bundled("digits.keras"))))


@pytest.fixture(scope="module")
def answers(kept) -> dict[str, np.ndarray]:
    """Outputs of every layer for the data set, computed by Keras."""
    model = kept.traced.loaded.model
    every = keras.Model(model.inputs, {layer.name: layer.output for layer in model.layers})
    x = digits()[0][:120, ..., np.newaxis].astype(np.float32) / 255
    parts = [every([x[start : start + 32]]) for start in range(0, 120, 32)]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


@pytest.fixture
def ask(kept, tmp_path):
    """Captures one digit with the embedding of some layers' outputs for many, always into the same folder."""

    def ask(*names, dataset=DATASET, report=lambda event: None, **options):
        placing = EmbeddingOptions(**{"method": "pca", **options})
        wanted = Insights(embeddings=names, dataset=dataset, embedding_options=placing)
        out = tmp_path / "run.zarr"
        kept.answer(CaptureRequest(model="digits.keras", inputs=("digits:7",), out=out, insights=wanted), report)
        return open_capture(out)

    return ask


def placed_anew(events):
    return any(event.event == "progress" and event.stage == "embed" for event in events)


def content(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


def test_embedded_vectors_are_the_layers_outputs(ask, answers):
    run = ask("dense_1", "dense")
    assert run.embeddings == ("dense", "dense_1")
    few, many = run.embedding("dense_1"), run.embedding("dense")
    assert np.array_equal(few.vectors, answers["dense_1"])
    assert (few.mean.size, few.basis.size) == (0, 0)
    # More than fifty numbers are reduced by PCA, whose basis is orthonormal.
    assert many.basis.shape == (64, 50)
    assert np.allclose(many.basis.T @ many.basis, np.eye(50), atol=1e-5)
    assert np.allclose(many.mean, answers["dense"].mean(axis=0), atol=1e-5)
    assert np.allclose(many.vectors, (answers["dense"] - many.mean) @ many.basis, atol=1e-5)
    assert many.vectors.var(axis=0).sum() > 0.99 * answers["dense"].var(axis=0).sum()


def test_every_point_has_name_label_prediction_and_thumbnail(ask, answers):
    images, labels = digits()
    found = ask("dense_1").embedding("dense_1")
    assert found.names == tuple(f"digits:{i}" for i in range(120))
    assert np.array_equal(found.labels, labels[:120])
    assert np.array_equal(found.predictions, answers["dense_1"].argmax(axis=1))
    assert np.array_equal(found.probabilities, answers["dense_1"].max(axis=1))
    assert np.array_equal(found.thumbnails, np.repeat(images[:120, ..., np.newaxis], 3, axis=3))


def test_pooled_vectors_are_means_over_locations(ask, answers):
    run = ask("conv2d_*", pooled=True)
    assert run.embeddings == ("conv2d_1", "conv2d_2")
    for name in run.embeddings:
        found, means = run.embedding(name), answers[name].mean(axis=(1, 2))
        assert found.settings["dimensions"] == 64
        assert np.allclose(found.vectors, (means - found.mean) @ found.basis, atol=1e-5)
    assert ask("conv2d_2").embedding("conv2d_2").settings["dimensions"] == 3 * 3 * 64


def test_outputs_of_a_custom_layer_for_given_samples_are_embedded(tmp_path, rng):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="hidden"), layers.Dense(1, name="price")])
    x, options = rng.random((12, 6), dtype=np.float32), EmbeddingOptions(perplexity=3, dimensions=2)
    wanted = Insights(embeddings=("hidden",), embedding_options=options)
    labels = rng.integers(0, 3, 12)
    found = capture(model, x, out=tmp_path / "run.zarr", labels=labels, insights=wanted).embedding("hidden")
    assert found.points.shape == (12, 2)
    assert np.array_equal(found.vectors, model.layers[0](x).numpy())
    assert np.array_equal(found.labels, labels)
    # A single output number is no class, and vectors have no thumbnails.
    assert [len(part) for part in (found.predictions, found.probabilities, found.thumbnails)] == [0, 0, 0]


def test_embedding_is_reused_while_vectors_and_options_are_the_same(ask):
    def again(**options):
        events = []
        return ask("dense_1", method="tsne", report=events.append, **options).embedding("dense_1"), placed_anew(events)

    first, anew = again()
    assert anew
    same, anew = again()
    assert not anew
    assert same.key == first.key
    for name in ("points", "first", "snapshots", "vectors", "labels", "predictions", "probabilities", "thumbnails"):
        assert np.array_equal(getattr(same, name), getattr(first, name)), name
    assert (same.quality, same.settings) == (first.quality, first.settings)
    other, anew = again(seed=1)
    assert anew
    assert other.key != first.key
    assert not np.array_equal(other.points, first.points)
    assert again(seed=1, dataset=("digits:0-99",))[1]


def test_a_damaged_earlier_capture_is_replaced(ask, tmp_path):
    whole = ask("dense_1").embedding("dense_1")
    shutil.rmtree(tmp_path / "run.zarr" / "embeddings" / "dense_1" / "points")
    assert np.array_equal(ask("dense_1").embedding("dense_1").points, whole.points)


def test_interrupted_embedding_leaves_the_earlier_capture_unchanged(ask, tmp_path):
    ask("dense_1")
    before = content(tmp_path)

    def stop(event):
        if placed_anew([event]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask("dense_1", method="tsne", report=stop)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        (("dense", "dens_*"), {}, r"No layer is named 'dens_\*', .*; the layers are input, conv2d, .*dense_1\."),
        (("dense",), {"dataset": ()}, r"dense: .*there is only 1; give at least 2, .* --dataset digits:"),
        (("dense",), {"dataset": ("digits:0-3",), "method": "tsne"}, r"there are only 4; give at least 5"),
        (
            ("dense",),
            {"perplexity": 39.7, "method": "tsne"},
            r"dense: .*perplexity of 39\.7 .*121 samples.*at most 39\.6\.",
        ),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence_and_leave_no_files(ask, tmp_path, names, options, sentence):
    with pytest.raises(ModelError, match=sentence) as error:
        ask(*names, **options)
    assert "\n" not in str(error.value)
    assert not content(tmp_path)


def test_outputs_larger_than_memory_are_refused_before_the_model_runs(ask, monkeypatch):
    monkeypatch.setattr(embedding, "_MEMORY", 120 * 576 * 4 - 1)
    with pytest.raises(ModelError, match=r"conv2d_2 has 576 outputs, .* average each feature map .*\(pooled\)"):
        ask("conv2d_2")
    with pytest.raises(ModelError, match=r"flatten has .*; choose fewer samples, or choose another layer"):
        ask("flatten")
    ask("conv2d_2", pooled=True)
