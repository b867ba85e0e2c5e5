"""Embeddings: near vectors have near points, equal seeds give equal points, quality equals the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from nnviz3d.analysis.embedding import embed, key_of, project
from nnviz3d.analysis.embedding_quality import judge, with_new_quality
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingOptions
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import ModelError


@pytest.fixture(scope="module")
def digits() -> Embedding:
    """Outputs of the bundled network's last hidden layer for a thousand test digits, embedded."""
    return open_capture(bundled("embedding.zarr.zip")).embedding("dense")


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    """Three groups of 40 vectors each, far apart in 80 dimensions."""
    rng = np.random.default_rng(3)
    centers = 10 * rng.standard_normal((3, 80))
    return (np.repeat(centers, 40, axis=0) + rng.standard_normal((120, 80))).astype(np.float32)


def as_embedding(vectors: np.ndarray, options: EmbeddingOptions) -> Embedding:
    placed = embed(vectors, options)
    none = np.empty(0, dtype=np.int64)
    return Embedding(
        name="layer",
        method=options.method,
        names=tuple(map(str, range(len(vectors)))),
        labels=none,
        predictions=none,
        probabilities=none.astype(np.float32),
        thumbnails=np.empty((0, 1, 1, 3), dtype=np.uint8),
        key="",
        **vars(placed),
    )


def test_embedding_of_a_thousand_digits_has_high_quality(digits):
    assert digits.points.shape == (1000, 3)
    found = trustworthiness(digits.vectors, digits.points, n_neighbors=5)
    assert found >= 0.98
    assert digits.quality["trustworthiness"] == pytest.approx(found, abs=1e-9)
    assert digits.quality["neighbours"] > 0.5
    assert digits.snapshots.shape == (31, 1000, 3)
    assert np.array_equal(digits.snapshots[-1], digits.points)
    assert np.bincount(digits.labels).min() >= 85
    assert 0.98 <= (digits.labels == digits.predictions).mean() < 1


@pytest.mark.parametrize("engine", ["opentsne", "sklearn"])
def test_groups_stay_together_with_every_engine(groups, engine):
    placed = embed(groups, EmbeddingOptions(engine=engine, perplexity=15))
    middles = placed.points.reshape(3, 40, 3).mean(axis=1)
    nearest = np.linalg.norm(placed.points[:, np.newaxis] - middles, axis=2).argmin(axis=1)
    assert (nearest == np.repeat(range(3), 40)).mean() > 0.9
    assert placed.quality["kl"] > 0
    assert placed.settings["engine"] == engine


def test_equal_seeds_give_equal_points(groups):
    told: list[tuple[int, int]] = []
    first = embed(groups, EmbeddingOptions(), lambda done, total: told.append((done, total)))
    again = embed(groups.copy(), EmbeddingOptions())
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.snapshots, again.snapshots)
    assert told[0] == (25, 750)
    assert told[-1] == (750, 750)
    assert key_of(groups, EmbeddingOptions()) == key_of(groups.copy(), EmbeddingOptions())
    assert key_of(groups, EmbeddingOptions()) != key_of(groups, EmbeddingOptions(seed=1))
    assert key_of(groups, EmbeddingOptions()) != key_of(groups + 1, EmbeddingOptions())


def test_embedding_in_two_dimensions_and_by_pca_has_the_expected_shapes(groups):
    assert embed(groups, EmbeddingOptions(dimensions=2)).points.shape == (120, 2)
    pca = embed(groups, EmbeddingOptions(method="pca"))
    assert np.array_equal(pca.points, pca.first)
    assert "kl" not in pca.quality
    variances = pca.points.var(axis=0)
    assert variances[0] >= variances[1] >= variances[2]


def test_vectors_are_reduced_to_fifty_dimensions_by_the_stored_basis(groups):
    placed = embed(groups, EmbeddingOptions(method="pca"))
    assert placed.vectors.shape == (120, 50)
    np.testing.assert_allclose(placed.vectors, (groups - placed.mean) @ placed.basis, atol=1e-3)
    few = embed(groups[:, :7], EmbeddingOptions(method="pca"))
    assert np.array_equal(few.vectors, groups[:, :7])
    assert len(few.mean) == 0


def test_vectors_shorter_than_the_dimensions_are_embedded():
    line = np.arange(12, dtype=np.float32)[:, np.newaxis]
    assert np.isfinite(embed(line, EmbeddingOptions()).points).all()
    flat = embed(line, EmbeddingOptions(method="pca")).points
    assert (flat[:, 1:] == 0).all()
    assert (np.diff(flat[:, 0]) > 0).all() or (np.diff(flat[:, 0]) < 0).all()


def test_share_of_neighbours_equals_the_computation_by_hand():
    line = 2.0 ** np.arange(12, dtype=np.float32)[:, np.newaxis]  # no two neighbours are equally far
    assert judge(line, line)[0] == {"trustworthiness": 1.0, "neighbours": 1.0}
    few = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)  # two neighbours each: all others
    assert judge(few, few[::-1])[0] == {"neighbours": 1.0}


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_projected_known_sample_is_at_its_own_point(groups, method):
    found = as_embedding(groups, EmbeddingOptions(method=method))
    again = project(found, groups[[0, 50, 110]])
    apart = np.linalg.norm(again - found.points[[0, 50, 110]], axis=1)
    assert (apart < 0.1 * np.linalg.norm(found.points.std(axis=0))).all()


def test_projected_digits_are_near_their_own_class(digits):
    seen = replace(digits, mean=np.empty(0, dtype=np.float32))  # the vectors that are there are reduced ones
    there = project(seen, digits.vectors[:50])
    assert (np.linalg.norm(there - digits.points[:50], axis=1) < 0.1 * np.ptp(digits.points[:, 0])).mean() > 0.95


@pytest.mark.parametrize("count", [2, 3, 4])
def test_pca_of_few_samples_has_a_dimension_less_than_there_are_samples(groups, count):
    vectors = groups[[0, 50, 110, 70][:count]]
    found = embed(vectors, EmbeddingOptions(method="pca"))
    assert found.points.shape == (count, 3)
    extents = np.ptp(found.points, axis=0)
    assert (extents > 1e-5 * extents.max()).sum() == min(count - 1, 3)
    apart = np.linalg.norm(found.points[:, np.newaxis] - found.points, axis=2)
    assert np.allclose(apart, np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=2), rtol=1e-4, atol=1e-4)
    for method in ("tsne", "umap", "pacmap"):
        with pytest.raises(ModelError, match=f"there are only {count}; give at least 5"):
            embed(vectors, EmbeddingOptions(method=method))


def test_vectors_that_cannot_be_embedded_are_refused_in_one_sentence(groups):
    with pytest.raises(ModelError, match="there is only 1; give at least 5"):
        embed(groups[:1], EmbeddingOptions())
    with pytest.raises(ModelError, match=r"perplexity of 50 needs at least 151 samples, and there are 120; .* 39\.6\."):
        embed(groups, EmbeddingOptions(perplexity=50))
    assert embed(groups, EmbeddingOptions(perplexity=50, method="pca")).points.shape == (120, 3), "PCA reads none"
    broken = groups.copy()
    broken[7, 2] = np.nan
    with pytest.raises(ModelError, match=r"outputs for 1 of 120 .* number 7\) hold NaN or infinite numbers"):
        embed(broken, EmbeddingOptions())
    with pytest.raises(ModelError, match="equal, so they cannot be told apart"):
        embed(np.ones((9, 4), dtype=np.float32), EmbeddingOptions())
    found = as_embedding(groups, EmbeddingOptions(method="pca"))
    with pytest.raises(ModelError, match="have 79 numbers each; expected 80"):
        project(found, groups[:2, :79])
    with pytest.raises(ModelError, match="NaN"):
        project(found, broken[7:8])


def test_quality_is_measured_on_the_layers_numbers_not_on_pca_components():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((90, 400)).astype(np.float32)  # more variance than fifty directions can hold
    for method in ("pca", "tsne"):
        placed = embed(vectors, EmbeddingOptions(method=method))
        own, left = (trustworthiness(v, placed.points, n_neighbors=5) for v in (vectors, placed.vectors))
        assert placed.quality["trustworthiness"] == pytest.approx(own, abs=1e-9)
        assert abs(own - left) > 1e-3
        kept = placed.vectors.var(axis=0).sum() / vectors.var(axis=0).sum()
        assert placed.quality["variance"] == pytest.approx(kept, rel=1e-4)
        assert 0.5 < kept < 0.95


def test_quality_has_no_variance_without_a_pca(groups):
    assert "variance" not in embed(groups[:, :50], EmbeddingOptions(method="pca")).quality


def test_embedding_of_an_earlier_version_is_judged_by_the_layers_numbers(groups):
    now = as_embedding(groups, EmbeddingOptions(method="pca"))
    before = replace(now, quality={"trustworthiness": 1.0, "neighbours": 1.0})
    assert with_new_quality(before, groups).quality == now.quality
    assert with_new_quality(now, groups) is now


def test_quality_of_many_points_is_measured_on_a_random_part(monkeypatch, groups):
    whole, _ = judge(groups, groups[:, :3])
    monkeypatch.setattr("nnviz3d.analysis.embedding_quality.JUDGED", 100)
    some, judged = judge(groups, groups[:, :3])
    assert judged == 100
    assert some["neighbours"] == pytest.approx(whole["neighbours"], abs=0.1)
    assert judge(groups, groups)[0]["neighbours"] == 1.0
