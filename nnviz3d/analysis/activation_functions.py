"""Activation functions of Keras in NumPy, by their names, in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_LEAK = 0.2
"""Slope of Keras' leaky_relu below zero, if a layer does not say another one."""


def _gelu(x: Numbers) -> Numbers:
    return np.asarray(x * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))))


def _softplus(x: Numbers) -> Numbers:
    return np.asarray(np.logaddexp(x, 0))


def _sigmoid(x: Numbers) -> Numbers:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def _elu(x: Numbers) -> Numbers:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(x: Numbers) -> Numbers:
    return np.clip(x / 6 + 0.5, 0, 1)


def _softmax(x: Numbers) -> Numbers:
    powers = np.exp(x - x.max(initial=0))
    return np.asarray(powers / powers.sum())


_FUNCTIONS: Mapping[str, Callable[[Numbers], Numbers]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, _LEAK * x),
    "elu": _elu,
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "hard_swish": lambda x: x * _hard_sigmoid(x),
    "tanh": np.tanh,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "softmax": _softmax,
    "square": np.square,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "absolute": np.abs,
    "negative": np.negative,
}
OVER_UNITS = frozenset({"softmax"})
"""Functions that take all numbers along the last axis at once."""


def function_named(kind: str) -> str | None:
    """Return the function that an operation such as ``Relu`` computes of each number; `None` for another kind."""
    name = kind.lower()
    return name if name in _FUNCTIONS and name not in OVER_UNITS else None


def activation_function(
    name: str | None, details: Mapping[str, Any] | None = None
) -> Callable[[Numbers], Numbers] | None:
    """Return an activation function; no name is the identity, and an unknown name gives `None`.

    Parameters
    ----------
    details
        Settings of the layer, of which ``negative_slope`` changes a leaky function.
    """
    if name is None:
        return _FUNCTIONS["linear"]
    slope = (details or {}).get("negative_slope")
    if name in ("relu", "leaky_relu") and isinstance(slope, int | float):
        return lambda x: np.where(x > 0, x, slope * x)
    return _FUNCTIONS.get(name)
