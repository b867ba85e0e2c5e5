"""Tests of the place of a class's name among its points."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.scene.views.points.label_places import densest


def cluster(middle: tuple[float, float, float], count: int, spread: float = 0.6, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, 3)) * spread + np.array(middle)).astype(np.float32)


def place(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.median(points[densest(points)], axis=0)


@pytest.mark.parametrize("larger", [110, 150, 300])
def test_name_of_two_clusters_stands_in_the_larger_one(larger):
    points = np.concatenate([cluster((-7.0, 2.0, 0.0), 100, seed=1), cluster((6.0, -3.0, 1.0), larger, seed=2)])
    np.testing.assert_allclose(place(points), (6.0, -3.0, 1.0), atol=0.3)
    np.testing.assert_allclose(place(points[::-1]), place(points), atol=1e-6)


def test_name_of_many_equal_clusters_stands_in_one_of_them():
    middles = np.array([(-8.0, 0.0, 0.0), (8.0, 0.0, 0.0), (0.0, 8.0, 0.0), (0.0, -8.0, 0.0)])
    points = np.concatenate([cluster(tuple(middle), 50, seed=k) for k, middle in enumerate(middles)])
    assert np.linalg.norm(place(points) - middles, axis=1).min() < 0.5


@pytest.mark.parametrize("spread", [0.3, 2.0, 4.0])
def test_name_of_one_cluster_stays_near_its_middle(spread):
    points = cluster((1.0, -2.0, 3.0), 500, spread)
    np.testing.assert_allclose(place(points), (1.0, -2.0, 3.0), atol=0.25 * spread + 0.05)


def test_name_of_a_dense_cluster_is_not_drawn_to_a_few_strays():
    points = np.concatenate([cluster((4.0, 4.0, 0.0), 200), cluster((-9.0, -9.0, 0.0), 20)])
    np.testing.assert_allclose(place(points), (4.0, 4.0, 0.0), atol=0.3)


def test_points_in_a_plane_and_a_single_point_have_a_place():
    flat = cluster((5.0, 5.0, 0.0), 80) * np.array([1, 1, 0], dtype=np.float32)
    np.testing.assert_allclose(place(flat), (5.0, 5.0, 0.0), atol=0.3)
    assert densest(np.array([[40.0, -40.0, 0.0]], dtype=np.float32)).tolist() == [0]


def test_few_of_very_many_points_are_looked_at():
    points = np.concatenate([cluster((-7.0, 0.0, 0.0), 400_000, seed=1), cluster((7.0, 0.0, 0.0), 600_000, seed=2)])
    found = densest(points)
    assert 5_000 < len(found) < 20_000
    assert (points[found, 0] > 0).all()
