"""Trajectories: classes separate as their vectors do, unchanged vectors do not move, nothing is scaled."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.analysis.embedding_trajectory import aligned, class_separation, displacements, embed_steps
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import ModelError

M, D, CLASSES = 60, 12, 3
LABELS = np.arange(M) % CLASSES
STILL = 0.05
"""Largest displacement of points with almost unchanged vectors, in mean distances from the centre."""


@pytest.fixture(scope="module")
def parting() -> list[np.ndarray]:
    """Vectors whose classes separate step by step; in the last step they change by a thousandth."""
    rng = np.random.default_rng(4)
    middles, noise = rng.normal(size=(CLASSES, D)), rng.normal(size=(M, D))
    steps = [noise + share * middles[LABELS] for share in (0.0, 1.0, 2.0, 4.0)]
    return [v.astype(np.float32) for v in (*steps, steps[-1] + 1e-3 * rng.normal(size=(M, D)))]


@pytest.fixture(scope="module")
def found(parting) -> EmbeddingTrajectory:
    return embed_steps(iter(parting), len(parting))


def test_classes_separate_as_their_vectors_do(found):
    apart = [class_separation(points, LABELS) for points in found.points]
    assert np.all(np.diff(apart[:4]) > 0)
    assert apart[3] > 3 * apart[0]
    assert [sorted(one) for one in found.quality] == [["kl", "neighbours", "trustworthiness"]] * 5
    assert min(one["trustworthiness"] for one in found.quality) > 0.85


def test_class_separation_equals_the_computation_by_hand():
    points = np.array([[0, 0, 0], [2, 0, 0], [10, 0, 0], [10, 2, 0]], dtype=np.float32)
    assert class_separation(points, np.array([4, 4, 9, 9])) == pytest.approx(np.hypot(9, 1) / 1)


def test_unchanged_vectors_do_not_move(parting, found):
    steps = displacements(found)
    assert steps[-1] < STILL < steps[:3].min()
    again = embed_steps(iter([parting[0], parting[1], parting[1]]), 3)
    assert np.array_equal(again.points[1], again.points[2])


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_no_rigid_motion_brings_a_step_closer_to_the_step_before(parting, method):
    points = embed_steps(iter(parting[:3]), 3, EmbeddingOptions(method=method, dimensions=2)).points
    assert points.shape == (3, M, 2)
    for before, after in pairwise(points):
        assert np.allclose(aligned(after, before), after, atol=1e-4 * np.abs(after).max())


def test_aligned_reverts_rotation_reflection_and_shift_but_not_scale():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 3)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    for mirror in (1, -1):
        other = (points @ (turn * [mirror, 1, 1]) + [5, -3, 2]).astype(np.float32)
        assert np.allclose(aligned(other, points), points, atol=1e-5)
    larger = aligned(2 * points, points)
    assert np.linalg.norm(larger - larger.mean(0)) == pytest.approx(
        2 * np.linalg.norm(points - points.mean(0)), rel=1e-5
    )


def test_equal_outputs_give_equal_points_and_earlier_steps_are_reused(parting, found):
    told: list[tuple[int, int]] = []
    early = embed_steps(iter(parting[:2]), 2, report=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert early.keys == found.keys[:2]
    assert np.array_equal(early.points, found.points[:2])
    on = embed_steps(iter(parting[:3]), 3, earlier=early)
    assert np.array_equal(on.points, found.points[:3])
    other = embed_steps(iter([parting[1], parting[0]]), 2, earlier=early)
    assert not set(other.keys) & set(early.keys)


def test_outputs_with_nan_leave_the_points_unchanged(parting):
    broken = parting[1].copy()
    broken[3, 2] = np.nan
    found = embed_steps(iter([parting[0], broken, np.zeros_like(broken), parting[1]]), 4)
    assert np.array_equal(found.points[0], found.points[1])
    assert np.array_equal(found.points[0], found.points[2])
    assert found.quality[1] == found.quality[2] == {}
    assert found.quality[3]["trustworthiness"] > 0.5
    first = embed_steps(iter([broken, parting[0]]), 2)
    assert not first.points[0].any()
    assert np.array_equal(first.points[1], found.points[0])


def test_too_few_samples_are_refused_in_one_sentence():
    with pytest.raises(ModelError, match="there are only 4; give TrainingRecorder at least 5"):
        embed_steps(iter([np.eye(4, dtype=np.float32)]), 1)
    by_pca = EmbeddingOptions(method="pca")
    assert embed_steps(iter([np.eye(4, dtype=np.float32)[:2]]), 1, by_pca).points.shape == (1, 2, 3)
    with pytest.raises(ModelError, match="there is only 1; give TrainingRecorder at least 2"):
        embed_steps(iter([np.eye(4, dtype=np.float32)[:1]]), 1, by_pca)


def test_step_has_pca_variance_and_quality_of_earlier_versions_is_measured_again():
    rng = np.random.default_rng(6)
    steps = [rng.normal(size=(80, 90)).astype(np.float32) for _ in range(2)]
    options = EmbeddingOptions(method="pca")
    found = embed_steps(iter(steps), 2, options)
    assert all(0.5 < one["variance"] < 1 for one in found.quality)
    before = replace(found, quality=tuple({"trustworthiness": 1.0, "neighbours": 1.0} for _ in steps))
    assert embed_steps(iter(steps), 2, options, earlier=before).quality == found.quality
