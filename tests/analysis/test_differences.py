"""Sizes of differences against NumPy, in float64, for whole tensors, channels and single numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.analysis import differences
from nnviz3d.analysis.differences import tensor_difference


@pytest.mark.parametrize("part", [7, 2**20])
def test_sizes_are_numpys(monkeypatch, part):
    monkeypatch.setattr(differences, "_PART", part)
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 5, 4, 3)).astype(np.float32)
    found = tensor_difference(a, b, channel=2, most=5)
    x, y = a.astype(float), b.astype(float)
    scale = np.sqrt((np.mean(x**2) + np.mean(y**2)) / 2)
    assert found.scale == pytest.approx(scale, rel=1e-12)
    assert found.size == pytest.approx(np.sqrt(np.mean((x - y) ** 2)) / scale, rel=1e-12)
    np.testing.assert_allclose(found.units, np.sqrt(np.mean((x - y) ** 2, axis=(0, 1))) / scale, rtol=1e-6)
    assert found.largest.tolist() == np.argsort(-np.abs(x - y).reshape(-1), kind="stable")[:5].tolist()
    assert found.unlike == 0


def test_equal_opposite_and_zero_tensors():
    a = np.arange(1, 7, dtype=np.float32)
    assert (tensor_difference(a, a).size, tensor_difference(a, a).largest.size) == (0.0, 0)
    assert tensor_difference(a, -a).size == pytest.approx(2)
    zero = tensor_difference(0 * a, 0 * a)
    assert (zero.size, zero.scale) == (0, 0)
    with pytest.raises(ValueError, match="no difference"):
        tensor_difference(a, a[:3])


def test_numbers_that_are_not_finite_are_counted_apart():
    a = np.array([1, np.nan, np.inf, np.nan, np.inf, 2], np.float32)
    b = np.array([1, np.nan, np.inf, 0, -np.inf, 4], np.float32)
    found = tensor_difference(a, b)
    assert found.unlike == 2
    assert found.largest.tolist() == [5]
    assert found.size == pytest.approx(np.sqrt(4 / 2) / np.sqrt((5 + 17) / 4))
    assert np.isnan(tensor_difference(a[1:3], a[1:3]).size)
