"""Engines and methods are chosen by the number of points and by what is installed; all keep groups together."""

import numpy as np
import pytest

from nnviz3d.analysis import embedding_engines
from nnviz3d.analysis.embedding import embed, key_of, project
from nnviz3d.analysis.embedding_engines import MANY, resolved, slow_note
from nnviz3d.analysis.embedding_trajectory import embed_steps
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingCaptureOptions, EmbeddingOptions
from nnviz3d.errors import ModelError, UserError


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    """Three groups of 60 vectors each, far apart."""
    rng = np.random.default_rng(3)
    return (np.repeat(10 * rng.standard_normal((3, 20)), 60, axis=0) + rng.standard_normal((180, 20))).astype(
        np.float32
    )


def kept_apart(points: np.ndarray) -> bool:
    """Whether each point is nearer to the centre of its own group than to the others."""
    centers = points.reshape(3, 60, -1).mean(axis=1)
    away = np.linalg.norm(points[:, np.newaxis] - centers, axis=2)
    return bool((away.argmin(axis=1) == np.repeat(np.arange(3), 60)).all())


def as_embedding(found, options: EmbeddingOptions) -> Embedding:
    none = np.empty(0, dtype=np.int64)
    return Embedding(
        name="layer",
        method=options.method,
        names=tuple(map(str, range(180))),
        labels=none,
        predictions=none,
        probabilities=none.astype(np.float32),
        thumbnails=np.empty((0, 1, 1, 3), dtype=np.uint8),
        key="",
        **vars(found),
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["umap", "pacmap"])
def test_umap_and_pacmap_keep_groups_apart_and_follow_the_seed(groups, method):
    pytest.importorskip(method)
    options = EmbeddingOptions(method=method)
    found = embed(groups, options)
    assert kept_apart(found.points)
    assert found.points.shape == (180, 3)
    assert np.array_equal(found.snapshots[-1], found.points)
    assert np.array_equal(embed(groups, options).points, found.points)
    assert "perplexity" not in found.settings
    assert "kl" not in found.quality
    assert np.array_equal(project(as_embedding(found, options), groups[:5]), found.points[:5])


def test_landmarks_are_embedded_and_all_others_placed_among_them(groups):
    options = EmbeddingOptions(landmarks=100, engine="opentsne")
    found = embed(groups, options)
    assert found.settings["landmarks"] == 100
    assert found.points.shape == (180, 3)
    assert kept_apart(found.points)
    assert found.snapshots.shape == (31, 180, 3)
    assert found.settings["judged"] == 180
    assert np.array_equal(project(as_embedding(found, options), groups[7:9]), found.points[7:9])
    with pytest.raises(ModelError, match=r"perplexity of 34 needs .* and there are 100"):
        embed(groups, EmbeddingOptions(landmarks=100, perplexity=34))
    with pytest.raises(ValueError, match="landmarks are at least 100, not 7"):
        EmbeddingOptions(landmarks=7)


def test_engine_is_chosen_by_the_number_of_points(monkeypatch):
    monkeypatch.setattr(embedding_engines, "find_spec", lambda name: None)
    assert resolved(EmbeddingOptions(), 10**6).engine == "opentsne"
    monkeypatch.setattr(embedding_engines, "find_spec", lambda name: name)
    assert resolved(EmbeddingOptions(), MANY).engine == "opentsne"
    assert resolved(EmbeddingOptions(), MANY + 1).engine == "grid"
    assert resolved(EmbeddingOptions(landmarks=MANY), 10**6).engine == "opentsne"
    assert resolved(EmbeddingOptions(engine="sklearn"), 10**6).engine == "sklearn"
    assert resolved(EmbeddingOptions(method="umap"), 10**6).engine == "opentsne"  # which it does not use


def test_slow_engine_is_told_with_a_faster_way(monkeypatch):
    few, many = EmbeddingOptions(), EmbeddingOptions(engine="opentsne")
    monkeypatch.setattr(embedding_engines, "find_spec", lambda name: name)
    assert slow_note(few, 10**5) == slow_note(many, MANY) == slow_note(EmbeddingOptions(method="pca"), 10**5) == ""
    assert slow_note(many, 10**5).endswith("--engine grid is several times faster.")
    assert "--landmarks 100000 embeds some" in slow_note(few, 10**6)
    monkeypatch.setattr(embedding_engines, "find_spec", lambda name: None)
    assert "openTSNE takes minutes for 100,000 samples; " in slow_note(few, 10**5)
    assert slow_note(EmbeddingOptions(landmarks=MANY), 10**5) == ""


@pytest.mark.parametrize(("options", "what"), [({"engine": "grid"}, "t-SNE on a grid"), ({"method": "umap"}, "UMAP")])
def test_missing_libraries_are_named_with_the_command_that_installs_them(groups, monkeypatch, options, what):
    monkeypatch.setattr(embedding_engines, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=rf"{what} is not installed; .* pip install 'nnviz3d\[embedding\]'"):
        embed(groups, EmbeddingOptions(**options))
    assert embed(groups, EmbeddingOptions(engine="grid", method="pca")).points.shape == (180, 3)


def test_hashes_of_earlier_versions_stay(groups):
    text = '{"method":"tsne","engine":"opentsne","dimensions":3,"perplexity":null,"pooled":false,"seed":0}'
    assert EmbeddingOptions().to_json() == text
    assert key_of(groups, EmbeddingOptions()) == key_of(groups, EmbeddingOptions(engine="opentsne"))
    assert key_of(groups, EmbeddingOptions()) != key_of(groups, EmbeddingOptions(engine="grid"))
    assert key_of(groups, EmbeddingOptions()) != key_of(groups, EmbeddingOptions(landmarks=100))


def test_options_that_exclude_each_other_are_refused():
    chosen = EmbeddingCaptureOptions(embed_method="umap", landmarks=500).request_fields()["embedding_options"]
    assert (chosen.method, chosen.engine, chosen.landmarks) == ("umap", "auto", 500)
    assert EmbeddingCaptureOptions(pca=True).request_fields()["embedding_options"].method == "pca"
    with pytest.raises(UserError, match="--pca and --embed-method umap exclude each other"):
        EmbeddingCaptureOptions(pca=True, embed_method="umap").request_fields()
    with pytest.raises(UserError, match="--landmarks is at least 100; got 5"):
        EmbeddingCaptureOptions(landmarks=5).request_fields()


def test_points_of_a_training_are_not_found_by_other_methods(groups):
    with pytest.raises(ModelError, match="by t-SNE or PCA, not by umap"):
        embed_steps(iter([groups]), 1, EmbeddingOptions(method="umap"))
