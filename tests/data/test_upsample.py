"""Interpolation of a map to more locations."""

import numpy as np

from nnviz3d.data.upsample import upsampled


def test_numbers_are_at_the_centres_of_locations():
    assert upsampled(np.array([[0.0, 4.0]]), (4,)).tolist() == [[0.0, 1.0, 3.0, 4.0]]
    assert upsampled(np.array([[5.0]]), (3,)).tolist() == [[5.0, 5.0, 5.0]]


def test_upsampling_to_the_same_size_changes_nothing():
    values = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    assert np.array_equal(upsampled(values, (3, 5)), values)


def test_axes_are_interpolated_one_by_one():
    values = np.arange(2 * 3 * 2, dtype=float).reshape(1, 2, 3, 2)
    first, second, third = (upsampled(np.arange(n, dtype=float)[None], (m,))[0] for n, m in ((2, 4), (3, 6), (2, 5)))
    expected = 6 * first[:, None, None] + 2 * second[:, None] + third
    assert np.allclose(upsampled(values, (4, 6, 5))[0], expected)
