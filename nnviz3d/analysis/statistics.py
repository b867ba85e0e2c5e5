"""Statistics of a tensor: moments, extremes, zeros, saturation, and a histogram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import LayerNode

BINS = 32
"""Bars of a histogram."""

_SATURATED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "sigmoid": (lambda v: abs(v - 0.5) > 0.49, "below 0.01 or above 0.99"),
    "hard_sigmoid": (lambda v: (v <= 0) | (v >= 1), "0 or 1"),
    "tanh": (lambda v: abs(v) > 0.98, "beyond ±0.98"),
    "hard_tanh": (lambda v: abs(v) >= 1, "−1 or 1"),
    "relu6": (lambda v: v >= 6, "6"),
}
"""For each activation function, the outputs at which it is almost flat, as a test and in words.

The tests use only operators, so that they work for arrays of any library."""

_FLAT_AT_ZERO = frozenset({"relu", "relu6", "hard_sigmoid", "gelu", "silu", "swish", "hard_silu", "hard_swish"})
"""Activation functions whose output is 0 for inputs far below 0, where their gradient is 0 too."""

_NEVER_NEGATIVE = frozenset({"relu", "relu6", "hard_sigmoid"})
"""Those of them whose output is never negative."""

_RELU_KINDS = frozenset({"relu", "relu6"})
"""Kinds of nodes, in small letters, that are such an activation function: `ReLU` in Keras, `Relu` in other runtimes."""


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """Statistics of a tensor; all but `count`, `zeros`, `saturated`, `nan` and `infinite` are of the finite numbers.

    Attributes
    ----------
    count
        Number of elements, finite or not.
    mean, std, minimum, maximum
        NaN if there is no finite number. `std` is the population's: the root of the mean squared distance from the
        mean.
    zeros
        Share of exact zeros among all numbers, 0 to 1; 0 for an empty tensor.
    saturated
        Share of the numbers where the activation function is flat, 0 to 1 (see `saturation_rule`); `None` for activation
        functions without such a rule, such as a ReLU or a softmax.
    nan, infinite
        Number of NaN, and of infinite numbers.
    counts, edges
        The histogram: ``(BINS,)`` int64 counts of the finite numbers between ``(BINS + 1,)`` float64 edges, evenly spaced
        from the minimum to the maximum. Each bin includes its lower edge, the last one both edges. If all numbers are
        equal, the edges extend a little to both sides. Without finite numbers there are no bins, and one edge, 0.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    zeros: float
    saturated: float | None
    nan: int
    infinite: int
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]

    @property
    def finite(self) -> int:
        """Number of finite elements."""
        return self.count - self.nan - self.infinite


def layer_statistics(values: NDArray[Any], activation: str | None = None) -> LayerStatistics:
    """Compute the statistics of a tensor.

    Parameters
    ----------
    values
        Any shape and type of real numbers; sums are computed in float64.
    activation
        Keras' name of the activation function of the layer.
    """
    flat = np.asarray(values).reshape(-1)
    nan = int(np.isnan(flat).sum())
    finite = flat[np.isfinite(flat)].astype(np.float64)
    zeros = float(np.mean(flat == 0)) if flat.size else 0.0
    rule = _SATURATED.get(activation or "")
    saturated = None if rule is None or not flat.size else float(np.mean(rule[0](flat.astype(np.float64))))
    infinite = flat.size - finite.size - nan
    if not finite.size:
        none = float("nan")
        counts, edges = np.zeros(0, dtype=np.int64), np.zeros(1)
        return LayerStatistics(flat.size, none, none, none, none, zeros, saturated, nan, infinite, counts, edges)
    counts, edges = _histogram(finite)
    moments = (float(finite.mean()), float(finite.std()), float(finite.min()), float(finite.max()))
    return LayerStatistics(flat.size, *moments, zeros, saturated, nan, infinite, counts, edges)


def saturation_rule(activation: str | None) -> str | None:
    """Describe the outputs of an activation function that count as saturated; `None` if there is no rule."""
    rule = _SATURATED.get(activation or "")
    return None if rule is None else rule[1]


def saturates(activation: str | None) -> Callable[[Any], Any] | None:
    """Return the test of `saturation_rule` for the numbers of an array of any library; `None` if there is no rule."""
    rule = _SATURATED.get(activation or "")
    return None if rule is None else rule[0]


def can_die(node: LayerNode) -> bool:
    """Whether units of a layer can be dead: its activation function is flat where its output is 0."""
    return node.activation in _FLAT_AT_ZERO or node.kind.casefold() in _RELU_KINDS


def is_never_negative(node: LayerNode) -> bool:
    """Whether units of a layer can be dead and its outputs are never negative: a mean of 0 tells that all are 0."""
    return node.activation in _NEVER_NEGATIVE or node.kind.casefold() in _RELU_KINDS


def _histogram(finite: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    low, high = float(finite.min()), float(finite.max())
    # Bins must be wider than the distance of two adjacent floating-point numbers.
    if high - low <= BINS * np.spacing(max(abs(low), abs(high))):
        margin = max(abs(low), abs(high)) * 1e-3 or 0.5
        low, high = low - margin, high + margin
    counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    return counts.astype(np.int64), edges
