"""Activation functions in NumPy at numbers that sums may be: negative, infinite and NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnviz3d.analysis.activation_functions import activation_function


@pytest.mark.parametrize("details", [None, {"negative_slope": 0.0, "threshold": 0.0}, {"max_value": 6}])
def test_relu_of_a_negative_number_is_zero_without_a_sign(details):
    found = activation_function("relu", details)(np.array([-3.0, -math.inf, 0.0]))
    assert found.tolist() == [0, 0, 0]
    assert not np.signbit(found).any()


@pytest.mark.parametrize("details", [{}, {"negative_slope": 0.1}])
def test_relu_of_nan_is_nan(details):
    assert np.isnan(activation_function("relu", details)(np.array([math.nan]))).all()
