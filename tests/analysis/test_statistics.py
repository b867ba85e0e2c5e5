"""Statistics of a tensor equal those of NumPy and their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnviz3d.analysis.statistics import BINS, layer_statistics, saturation_rule


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    numbers = np.random.default_rng(3).normal(2, 3, (7, 8, 9)).astype(np.float32)
    numbers[numbers < 0] = 0
    return numbers


def test_moments_extremes_and_zeros_equal_those_of_numpy(values: np.ndarray):
    found = layer_statistics(values)
    exact = [float(v) for v in values.reshape(-1)]
    mean = math.fsum(exact) / len(exact)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in exact) / len(exact))
    assert (found.count, found.finite, found.nan, found.infinite) == (504, 504, 0, 0)
    assert (found.mean, found.std) == pytest.approx((mean, std), rel=1e-12)
    assert (found.minimum, found.maximum) == (0.0, values.max())
    assert found.zeros == sum(v == 0 for v in exact) / len(exact) > 0.1


def test_histogram_counts_each_number_once_in_its_bin(values: np.ndarray):
    found = layer_statistics(values)
    assert (found.counts.shape, found.edges.shape) == ((BINS,), (BINS + 1,))
    assert np.allclose(found.edges, np.linspace(found.minimum, found.maximum, BINS + 1))
    flat = values.reshape(-1).astype(np.float64)
    for i, (low, high) in enumerate(zip(found.edges[:-1], found.edges[1:], strict=True)):
        within = (flat >= low) & ((flat < high) | ((i == BINS - 1) & (flat == high)))
        assert found.counts[i] == within.sum()
    assert found.counts.sum() == found.finite


def test_many_float32_are_summed_in_float64():
    numbers = np.full(3_000_000, 0.1, dtype=np.float32)
    numbers[::2] += 1000
    found = layer_statistics(numbers)
    assert found.mean == pytest.approx(numbers.astype(np.float64).mean(), rel=1e-12)
    assert found.std == pytest.approx(500, rel=1e-6)


def test_non_finite_numbers_are_counted_and_left_out():
    numbers = np.array([np.nan, 1, 3, np.inf, -np.inf, 0], dtype=np.float32)
    found = layer_statistics(numbers, "tanh")
    assert (found.count, found.finite, found.nan, found.infinite) == (6, 3, 1, 2)
    assert (found.minimum, found.maximum, found.mean) == (0, 3, pytest.approx(4 / 3))
    assert found.counts.sum() == 3
    assert found.zeros == pytest.approx(1 / 6)
    assert found.saturated == pytest.approx(4 / 6)


@pytest.mark.parametrize("numbers", [[], [np.nan, np.inf]])
def test_statistics_without_a_finite_number_are_nan(numbers: list[float]):
    found = layer_statistics(np.array(numbers, dtype=np.float32), "sigmoid")
    assert np.isnan([found.mean, found.std, found.minimum, found.maximum]).all()
    assert (found.finite, len(found.counts), len(found.edges)) == (0, 0, 1)


@pytest.mark.parametrize("same", [0.0, -7.5, 1e-40, 1e38])
def test_equal_numbers_have_a_histogram_around_them(same: float):
    found = layer_statistics(np.full(20, same, dtype=np.float32))
    assert (found.minimum, found.maximum, found.std) == (np.float32(same), np.float32(same), 0)
    assert found.edges[0] < found.minimum < found.edges[-1]
    assert found.counts.sum() == 20 == found.counts.max()


@pytest.mark.parametrize(
    ("activation", "numbers", "share"),
    [
        ("sigmoid", [0.001, 0.5, 0.9, 0.999], 0.5),
        ("hard_sigmoid", [0, 0.5, 1, 0.01], 0.5),
        ("tanh", [-0.99, 0.97, 0, 0.985], 0.5),
        ("hard_tanh", [-1, 0.99, 0, 0.5], 0.25),
        ("relu6", [0, 5.9, 6, 6], 0.5),
        ("softmax", [0, 0, 0, 1], None),
        ("relu", [0, 6, 60, 1], None),
        (None, [0, 1, 2, 3], None),
    ],
)
def test_saturated_share_follows_the_activation_function(
    activation: str | None, numbers: list[float], share: float | None
):
    assert layer_statistics(np.array(numbers, dtype=np.float32), activation).saturated == share
    assert (saturation_rule(activation) is None) == (share is None)


def test_integers_and_booleans_are_measured():
    assert layer_statistics(np.array([0, 2, 4])).mean == 2
    assert layer_statistics(np.array([True, False])).zeros == 0.5
