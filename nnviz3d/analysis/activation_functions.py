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
        Settings of the layer: ``negative_slope`` and, of a ReLU, ``max_value`` and ``threshold``, or ``alpha`` of an ELU.
    """
    if name is None:
        return _FUNCTIONS["linear"]
    if name in ("relu", "leaky_relu"):
        slope = _setting(details, "negative_slope", _LEAK if name == "leaky_relu" else 0.0)
        most, least = _setting(details, "max_value", math.inf), _setting(details, "threshold", 0.0)
        if slope == 0:  # a product with 0 would be -0, or NaN for an infinite sum
            return lambda x: np.where(x > least, np.minimum(x, most), np.where(np.isnan(x), x, 0.0))
        return lambda x: np.where(x > least, np.minimum(x, most), slope * (x - least))
    if name == "elu":
        alpha = _setting(details, "alpha", 1.0)
        return lambda x: np.where(x > 0, x, alpha * _elu(x))
    return _FUNCTIONS.get(name)


def function_words(name: str | None, details: Mapping[str, Any] | None = None) -> str | None:
    """Return the name of an activation function for users; `None` for the identity."""
    most = _setting(details, "max_value", math.inf)
    if name == "relu" and most < math.inf:
        return "relu6" if most == 6 else f"relu (at most {most:g})"
    return None if name == "linear" else name


def _setting(details: Mapping[str, Any] | None, name: str, usual: float) -> float:
    value = (details or {}).get(name)
    return value if isinstance(value, int | float) else usual
