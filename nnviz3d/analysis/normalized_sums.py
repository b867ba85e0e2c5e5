"""The arithmetic of normalization layers: a number times a factor, plus a shift; both come from means and variances.

Ioffe and Szegedy 2015 (batch normalization), arXiv:1502.03167; Ba, Kiros and Hinton 2016 (layer normalization),
arXiv:1607.06450; Wu and He 2018 (group normalization), arXiv:1803.08494; Zhang and Sennrich 2019 (RMS), arXiv:1910.07467.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import CellSum, UnknownSumError, single, weight_of
from nnviz3d.data.graph import LayerNode

_SMALLEST = 1e-12
"""Least square of the length by which a unit normalization divides."""
_UNKNOWN = "its settings are not known"
_DEFAULT_EPSILON = {"RMSNormalization": 1e-6, "Normalization": 0.0, "UnitNormalization": 0.0}
_STORED = {"BatchNormalization": ("moving_mean", "moving_variance"), "Normalization": ("mean", "variance")}
"""Names of the variables that hold mean and variance, of the layers that have learned them."""
_OF_SQUARES = ("RMSNormalization", "UnitNormalization")
"""Kinds that divide by a root of squares, without a mean."""
NORMALIZATIONS = (*_STORED, "LayerNormalization", "GroupNormalization", *_OF_SQUARES)
"""Kinds of layers whose arithmetic `normalized` knows."""


def normalized(
    node: LayerNode, index: tuple[int, ...], values: NDArray[np.float32], weights: Mapping[str, NDArray[Any]]
) -> CellSum:
    """Return the one product and the shift of a normalization, with the mean and the deviation that it uses.

    Raises
    ------
    UnknownSumError
        If its settings are not known, or its weights were not stored.
    """
    if values.ndim != len(index):
        raise UnknownSumError("its input has another shape")
    axes, epsilon = _axes(node, len(index)), node.details.get("epsilon", _DEFAULT_EPSILON.get(node.kind))
    if not axes or not isinstance(epsilon, int | float):
        raise UnknownSumError(_UNKNOWN)
    # Weights have the length of the normalized axes; those of a group normalization belong to channels.
    at = tuple(index[axis] for axis in axes)
    hidden = 0.0
    if node.kind in _STORED:
        mean, variance = (_of_index({name: weight_of(weights, name)}, (name,), at, 0.0) for name in _STORED[node.kind])
    else:
        together = _together(node, index, values, axes).astype(np.float64)
        mean = 0.0 if node.kind in _OF_SQUARES else float(together.mean())
        variance = float(np.square(together - mean).mean())
        if node.kind == "UnitNormalization":
            variance = max(variance * together.size, _SMALLEST)
        hidden = float(np.abs(together).mean())
    gamma, beta = _of_index(weights, ("gamma", "scale"), at, 1.0), _of_index(weights, ("beta",), at, 0.0)
    scale = gamma / math.sqrt(variance + epsilon)
    found = single(index, scale, values, beta - mean * scale)
    names = {"RMSNormalization": "root of mean square", "UnitNormalization": "length"}
    deviation = (names.get(node.kind, "standard deviation"), math.sqrt(variance + epsilon))
    figures = (deviation,) if node.kind in _OF_SQUARES else (("mean", mean), deviation)
    return replace(found, figures=figures, hidden=hidden * abs(scale) * math.sqrt(values.size))


def _of_index(
    weights: Mapping[str, NDArray[Any]], names: tuple[str, ...], at: tuple[int, ...], default: float
) -> float:
    """Return the number of a variable for an index along its axes."""
    found = next((weights[name] for name in names if name in weights), None)
    if found is None:
        return default
    if found.ndim != len(at):
        raise UnknownSumError(_UNKNOWN)
    return float(found[at])


def _axes(node: LayerNode, rank: int) -> tuple[int, ...]:
    """Return the axes that a layer names, without the sample axis; empty if they are not known."""
    value = node.details.get("axis", -1)
    named = [value] if isinstance(value, int) else value if isinstance(value, list) else []
    if not all(isinstance(axis, int) for axis in named):
        return ()
    found = tuple(sorted(axis % (rank + 1) - 1 for axis in named))
    return () if -1 in found else found


def _together(
    node: LayerNode, index: tuple[int, ...], values: NDArray[np.float32], axes: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the numbers whose mean and variance normalize an index."""
    if node.kind != "GroupNormalization":
        return np.asarray(values[tuple(slice(None) if axis in axes else i for axis, i in enumerate(index))])
    (channel,) = axes if len(axes) == 1 else (0,)
    count = values.shape[channel]
    groups = node.details.get("groups")
    groups = count if groups == -1 else groups
    if not isinstance(groups, int) or groups < 1 or count % groups:
        raise UnknownSumError(_UNKNOWN)
    first = index[channel] // (count // groups) * (count // groups)
    return np.asarray(np.take(values, range(first, first + count // groups), axis=channel))
