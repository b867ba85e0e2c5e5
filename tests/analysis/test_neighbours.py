"""Nearest neighbours, against a comparison of all pairs by the definition and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from nnviz3d.analysis import neighbours
from nnviz3d.analysis.neighbours import nearest


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    numbers = np.random.default_rng(3).normal(5, 2, (300, 17)).astype(np.float32)
    numbers[40], numbers[41] = numbers[7], numbers[7]  # equal vectors
    return numbers


def by_definition(vectors: np.ndarray, to: np.ndarray, among: list[int]) -> list[tuple[float, int]]:
    return sorted((math.dist(vectors[k].tolist(), to.tolist()), k) for k in among)


@pytest.mark.parametrize("at_a_time", [2**20, 100])
@pytest.mark.parametrize("own", [0, 7, 299])
def test_neighbours_are_those_of_a_search_through_all(vectors, own, at_a_time, monkeypatch):
    monkeypatch.setattr(neighbours, "_NUMBERS", at_a_time)
    among = np.arange(300) % 3 != 1
    found = nearest(vectors, vectors[own], 25, among)
    expected = by_definition(vectors, vectors[own], np.flatnonzero(among).tolist())[:25]
    assert found.indices.tolist() == [k for _, k in expected]
    np.testing.assert_allclose(found.distances, [distance for distance, _ in expected], rtol=1e-12)


def test_neighbours_are_those_of_scikit_learn(vectors):
    search = NearestNeighbors(n_neighbors=300, algorithm="brute").fit(vectors.astype(np.float64))
    new = np.random.default_rng(4).normal(5, 2, (20, 17)).astype(np.float32)
    distances, _ = search.kneighbors(new.astype(np.float64))
    for vector, expected in zip(new, distances, strict=True):
        found = nearest(vectors, vector, 1000)
        assert sorted(found.indices.tolist()) == list(range(300))
        np.testing.assert_allclose(found.distances, expected, rtol=1e-7)


def test_equal_vectors_are_in_the_order_of_their_indices(vectors):
    assert nearest(vectors, vectors[41], 3).indices.tolist() == [7, 40, 41]


def test_distances_of_large_numbers_close_together_are_exact():
    # The difference of squared norms would round these to 0.
    near = np.array([[10_000, 0], [10_000, 1e-3], [10_000, -3e-3]], np.float32)
    found = nearest(near, near[0], 3)
    assert found.indices.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.distances, [0, 1e-3, 3e-3], rtol=1e-6)


def test_vectors_without_a_distance_are_left_out_and_counted(vectors):
    some = vectors.copy()
    some[2, 4], some[9, 0] = np.nan, np.inf
    found = nearest(some, some[0], 1000)
    assert found.left_out == 2
    assert len(found.indices) == 298
    assert not {2, 9} & set(found.indices.tolist())


def test_vector_of_another_length_or_without_finite_numbers_is_refused(vectors):
    with pytest.raises(ValueError, match="expected a vector of 17 numbers"):
        nearest(vectors, vectors[0, :4], 3)
    with pytest.raises(ValueError, match="NaN or infinite"):
        nearest(vectors, np.full(17, np.nan, np.float32), 3)
