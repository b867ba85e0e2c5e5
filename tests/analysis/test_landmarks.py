"""Placing among landmarks is exact in its neighbours and independent of the other vectors."""

import numpy as np
import pytest

from nnviz3d.analysis.landmarks import PLACED_BY, choose, place_among


@pytest.fixture(scope="module")
def landmarks() -> tuple[np.ndarray, np.ndarray]:
    """Vectors of landmarks with some equal ones, and points."""
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((300, 12)).astype(np.float32)
    vectors[280:] = vectors[5]
    return vectors, rng.standard_normal((300, 3)).astype(np.float32)


def test_chosen_landmarks_are_ascending_and_follow_the_seed():
    assert np.array_equal(choose(5, 9, 0), np.arange(5))
    some = choose(10_000, 100, 1)
    assert (np.diff(some) > 0).all()
    assert len(some) == 100
    assert np.array_equal(some, choose(10_000, 100, 1))
    assert not np.array_equal(some, choose(10_000, 100, 2))


def test_points_equal_those_by_all_distances(landmarks):
    vectors, points = landmarks
    rng = np.random.default_rng(7)
    new = np.concatenate([rng.standard_normal((50, 12)), vectors[5:8]]).astype(np.float32)
    for row, placed in zip(new, place_among(vectors, points, new), strict=True):
        away = np.square(vectors.astype(float) - row).sum(axis=1)
        near = np.lexsort((np.arange(300), away))[:PLACED_BY]
        weights = np.exp(-(away[near] - away[near[0]]) / away[near[2]]) if away[near[0]] else away[near] == 0
        np.testing.assert_allclose(placed, np.average(points[near], axis=0, weights=weights), rtol=1e-5)


def test_points_do_not_depend_on_the_other_vectors(landmarks):
    vectors, points = landmarks
    new = np.random.default_rng(8).standard_normal((90, 12)).astype(np.float32)
    whole = place_among(vectors, points, new)
    order = np.random.default_rng(9).permutation(90)
    assert np.array_equal(place_among(vectors, points, new[order]), whole[order])
    assert np.array_equal(
        np.concatenate([place_among(vectors, points, part) for part in np.split(new, [1, 40])]), whole
    )
    assert place_among(vectors, points, new[:0]).shape == (0, 3)


def test_landmark_and_few_landmarks_are_placed(landmarks):
    vectors, points = landmarks
    assert np.array_equal(place_among(vectors, points, vectors[:5]), points[:5])
    assert np.array_equal(place_among(vectors[:1], points[:1], vectors[:2]), points[[0, 0]])
