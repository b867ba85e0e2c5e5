"""t-SNE on a grid: forces equal their sums over all pairs, steps equal openTSNE's, and points do not depend on threads."""

import numpy as np
import pytest

from nnviz3d.analysis.affinities import affinities_of, nearest
from nnviz3d.analysis.embedding import embed
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capture import open_capture

pytest.importorskip("numba")
from nnviz3d.analysis.grid_tsne import GridTSNE, Repulsion
from nnviz3d.analysis.threads import Threads


def silent(*_):
    pass


@pytest.fixture(scope="module")
def cloud() -> np.ndarray:
    """Some tight groups and scattered points, with an extent of about one."""
    rng = np.random.default_rng(1)
    centers = rng.uniform(-0.5, 0.5, (12, 3))
    grouped = np.repeat(centers, 60, axis=0) + 0.02 * rng.standard_normal((720, 3))
    return np.concatenate([grouped, rng.uniform(-0.5, 0.5, (80, 3))])


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Groups of vectors."""
    rng = np.random.default_rng(3)
    return (np.repeat(4 * rng.standard_normal((4, 9)), 60, axis=0) + rng.standard_normal((240, 9))).astype(np.float32)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("extent", "error"), [(1e-3, 0.05), (0.9, 0.01), (3, 0.01), (30, 0.01), (200, 0.01)])
def test_repulsion_equals_the_sum_over_all_pairs(cloud, extent, error, dimensions):
    points = cloud * extent
    points[:, dimensions:] = 0
    apart = points[:, np.newaxis] - points
    q = 1 / (1 + np.square(apart).sum(axis=2))
    forces = (np.square(q)[..., np.newaxis] * apart).sum(axis=1)
    with Threads(2) as threads:
        found, total = Repulsion()(points, threads)
    assert total == pytest.approx(q.sum() - len(points), rel=5e-3)
    away = np.linalg.norm((found - forces)[:, :dimensions], axis=1)
    assert away.mean() < error * np.linalg.norm(forces, axis=1).mean()


@pytest.mark.parametrize("exaggeration", [12, 1])
def test_step_equals_that_of_opentsne_without_approximations(vectors, cloud, exaggeration):
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    start = 20 * cloud[:240]
    near = PerplexityBasedNN(vectors.astype(np.float64), 10, method="exact")
    reference = TSNEEmbedding(start.copy(), near, negative_gradient_method="bh", theta=0.01)
    reference = np.asarray(reference.optimize(3, exaggeration=exaggeration, momentum=0.8))
    found = GridTSNE(affinities_of(vectors, 10, 0, silent)[0], start)
    found.iterate(3, exaggeration, silent, 1)
    moved = reference - reference.mean(axis=0) - start + start.mean(axis=0)
    away = found.points - found.points.mean(axis=0) - (reference - reference.mean(axis=0))
    assert np.linalg.norm(away) < 0.02 * np.linalg.norm(moved)


def test_divergence_equals_its_definition(vectors, cloud):
    points = 20 * cloud[:240]
    near, exact = affinities_of(vectors, 10, 0, silent)
    assert exact
    assert near.values.sum() == pytest.approx(1)
    rows = np.repeat(np.arange(240), np.diff(near.indptr))
    q = 1 / (1 + np.square(points[:, np.newaxis] - points).sum(axis=2))
    share = q[rows, near.indices] / (q.sum() - 240)
    divergence = float((near.values * np.log(near.values / share)).sum())
    assert GridTSNE(near, points).divergence() == pytest.approx(divergence, rel=1e-3)


def test_points_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    vectors = (np.repeat(4 * rng.standard_normal((10, 5)), 250, axis=0) + rng.standard_normal((2500, 5))).astype(
        np.float32
    )
    near, _ = affinities_of(vectors, 10, 0, silent)
    start = 1e-4 * rng.standard_normal((2500, 3))
    points = []
    for threads in (1, 2, 5):
        found = GridTSNE(near, start, threads)
        found.iterate(20, 12, silent, 50)
        found.iterate(30, 1, silent, 50)
        points.append(found.points)
    assert np.ptp(points[0]) > 20
    assert np.array_equal(points[0], points[1])
    assert np.array_equal(points[0], points[2])


@pytest.mark.parametrize("scale", [1e-30, 1, 1e37])
def test_nearest_neighbours_are_those_of_all_pairs(vectors, scale):
    doubled = np.concatenate([vectors, vectors[:3], vectors[:3]]) * np.float32(scale)
    told = []
    indices, distances = nearest(doubled, 7, lambda done, total: told.append((done, total)))
    away = np.linalg.norm(doubled[:, np.newaxis].astype(float) - doubled, axis=2)
    np.fill_diagonal(away, np.inf)
    np.testing.assert_allclose(distances, np.sort(away, axis=1)[:, :7], rtol=1e-5)
    assert (indices != np.arange(len(doubled))[:, np.newaxis]).all()
    assert told == [(246, 246)]


@pytest.mark.slow
def test_digits_are_embedded_as_well_as_by_opentsne():
    digits = open_capture(bundled("embedding.zarr.zip")).embedding("dense")
    told = []
    options = EmbeddingOptions(engine="grid")
    found = embed(digits.vectors, options, lambda done, total: told.append(done / total))
    assert found.settings["engine"] == "grid"
    assert found.quality["trustworthiness"] >= digits.quality["trustworthiness"] - 0.002
    assert found.quality["kl"] == pytest.approx(digits.quality["kl"], abs=0.05)
    assert found.snapshots.shape == (31, 1000, 3)
    assert np.array_equal(found.snapshots[-1], found.points)
    assert told == sorted(told)
    assert told[-1] == 1
