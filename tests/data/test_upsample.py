"""A map over more places than it has."""

import numpy as np

from nnviz3d.data.upsample import upsampled


def test_numbers_stand_for_the_middles_of_places():
    assert upsampled(np.array([[0.0, 4.0]]), (4,)).tolist() == [[0.0, 1.0, 3.0, 4.0]]
    assert upsampled(np.array([[5.0]]), (3,)).tolist() == [[5.0, 5.0, 5.0]]


def test_as_many_places_change_nothing():
    values = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    assert np.array_equal(upsampled(values, (3, 5)), values)


def test_each_axis_is_interpolated_by_itself():
    values = np.arange(2 * 3 * 2, dtype=float).reshape(1, 2, 3, 2)
    first, second, third = (upsampled(np.arange(n, dtype=float)[None], (m,))[0] for n, m in ((2, 4), (3, 6), (2, 5)))
    expected = 6 * first[:, None, None] + 2 * second[:, None] + third
    assert np.allclose(upsampled(values, (4, 6, 5))[0], expected)
