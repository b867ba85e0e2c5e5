"""What a tensor's numbers are like: moments, extremes, zeros, saturation, and how they are spread."""

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
"""By activation function: where its output hardly changes any more with its input, and the same in words.

The rules are of operators alone, so that they serve arrays of any library."""

_FLAT_AT_ZERO = frozenset({"relu", "relu6", "hard_sigmoid", "gelu", "silu", "swish", "hard_silu", "hard_swish"})
"""Activation functions that give exactly 0 for all that is far below it, and pass no gradient there."""


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What a tensor's numbers are like; all but `count`, `zeros`, `saturated`, `nan` and `infinite` tell of finite ones.

    Attributes
    ----------
    count
        How many numbers there are, finite or not.
    mean, std, minimum, maximum
        Of the finite numbers; NaN if there is none. `std` is the population's, the root of the mean squared distance
        from the mean.
    zeros
        Share of exact zeros among all numbers, 0 to 1; 0 for none at all.
    saturated
        Share of the numbers where the activation function is flat, 0 to 1 (see `saturation_rule`); `None` where that
        says nothing, as for a ReLU, a softmax, or no activation function.
    nan, infinite
        How many numbers are NaN, and how many are infinite.
    counts, edges
        The histogram: ``(BINS,)`` int64 counts of the finite numbers between ``(BINS + 1,)`` float64 edges, evenly from
        the minimum to the maximum; each bin holds its lower edge, the last one both. Where all numbers are alike, the
        edges reach a little to both sides of them. Without a finite number there are no bins, and one edge, 0.
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
        """How many numbers are finite."""
        return self.count - self.nan - self.infinite


def layer_statistics(values: NDArray[Any], activation: str | None = None) -> LayerStatistics:
    """Measure a tensor.

    Parameters
    ----------
    values
        Any shape, any type of real numbers; all sums are of float64.
    activation
        Name of the activation function that made them, as Keras calls it.
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
    """Say which outputs of an activation function count as saturated; `None` where `saturated` is."""
    rule = _SATURATED.get(activation or "")
    return None if rule is None else rule[1]


def saturates(activation: str | None) -> Callable[[Any], Any] | None:
    """Return what tells of each number of an array, NumPy's or another, whether it is saturated, as `saturation_rule`."""
    rule = _SATURATED.get(activation or "")
    return None if rule is None else rule[0]


def can_die(node: LayerNode) -> bool:
    """Whether a unit of a layer that gives 0 learns nothing by it: its activation function is flat there."""
    return node.activation in _FLAT_AT_ZERO or node.kind == "ReLU"


def _histogram(finite: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    low, high = float(finite.min()), float(finite.max())
    # Bins that are narrower than two neighbouring numbers are apart cannot be told from one another.
    if high - low <= BINS * np.spacing(max(abs(low), abs(high))):
        margin = max(abs(low), abs(high)) * 1e-3 or 0.5
        low, high = low - margin, high + margin
    counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    return counts.astype(np.int64), edges
