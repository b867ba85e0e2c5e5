"""The arithmetic of a number of a layer: products of weights and inputs, their sum, bias and activation function."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.activation_functions import OVER_UNITS, activation_function, function_named
from nnviz3d.analysis.attention_sums import ATTENTION, attended
from nnviz3d.analysis.normalized_sums import NORMALIZATIONS, normalized
from nnviz3d.analysis.passed_numbers import passed
from nnviz3d.analysis.recurrent_sums import RECURRENT, recurrent
from nnviz3d.analysis.sum_terms import CellSum, UnknownSumError, bias_of, finished, single, summed, weight_of
from nnviz3d.analysis.windows import channel_position, windows_of
from nnviz3d.data.graph import LayerNode

_SUMS = ("Add", "Subtract", "Average")
_EXTREMES = ("Maximum",)
_FUNCTION_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "Softmax": "softmax", "ELU": "elu"}
_SAME = (
    "Activation",
    "Dropout",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "Masking",
    *_FUNCTION_LAYERS,
)
"""Kinds of layers that take the number at the same index, and apply a function at most."""


@dataclass(frozen=True, eq=False)
class StoredNumbers:
    """Further numbers that were stored of a layer's call.

    Attributes
    ----------
    scores
        The scores of an attention layer, ``(heads, T, S)``.
    gates
        The gates and states of a recurrent layer, ``(T, units)`` each, by name.
    mask
        Which positions of a sequence count, ``(T,)``; `None` without a mask.
    """

    scores: NDArray[np.float32] | None = None
    gates: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None


_NOTHING_STORED = StoredNumbers()


def cell_sum(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
    stored: StoredNumbers = _NOTHING_STORED,
) -> CellSum:
    """Compute the arithmetic of one number of a layer.

    Parameters
    ----------
    index, shape
        The number's index, and the shape of the layer's output for one sample.
    inputs
        The tensors that the layer takes, in the order of its arguments.
    weights
        The layer's variables by name.
    stored
        Further numbers of the layer's call.

    Raises
    ------
    UnknownSumError
        If the kind of layer is not known, or its weights were not stored.
    """
    if node.kind in RECURRENT and inputs:
        return recurrent(node, index, inputs, weights, stored.gates)
    function = function_of(node)
    apply = activation_function(function, node.details)
    if function in OVER_UNITS and node.details.get("axis", -1) not in (-1, [-1], len(shape), [len(shape)]):
        raise UnknownSumError(f"its {function} is over other axes than the last one")
    if apply is None:
        raise UnknownSumError(f"its activation function {function} is not known here")
    found = _terms(node, index, shape, inputs, weights, stored)
    if function not in OVER_UNITS:
        return finished(found, function, node.details)
    units = [
        found if unit == index[-1] else _terms(node, (*index[:-1], unit), shape, inputs, weights, stored)
        for unit in range(shape[-1])
    ]
    result = float(apply(np.array([unit.total for unit in units]))[index[-1]])
    # A share changes by at most its own size times the change of each sum.
    slope = 2 * result * max(unit.size for unit in units) / (found.size or 1.0)
    return replace(found, function=function, result=result, slope=slope)


def function_of(node: LayerNode) -> str | None:
    """Return the name of a layer's activation function, or of the function that the layer is; `None` without one."""
    return _FUNCTION_LAYERS.get(node.kind) or node.activation or function_named(node.kind)


def _terms(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
    stored: StoredNumbers,
) -> CellSum:
    kind = node.kind
    if not inputs:
        raise UnknownSumError("it is an input")
    if kind in (*_SUMS, *_EXTREMES):
        return _merged(node, index, inputs)
    if kind == "Multiply" and len(inputs) == 2:
        return _multiplied(index, inputs)
    if kind in ("Matmul", "MatMul") and len(inputs) == 2:
        return _matrix_product(index, inputs)
    if kind in ATTENTION:
        return attended(node, index, inputs, weights, stored.scores)
    handed = passed(node, index, shape, inputs)
    if handed is not None:
        return handed
    if len(inputs) > 1:
        raise UnknownSumError(f"it joins several layers in a way that no sum describes ({kind})")
    (values,) = inputs
    if kind in _SAME or function_named(kind) is not None:
        return single(index, 1.0, values)
    if kind in NORMALIZATIONS:
        return normalized(node, index, values, weights)
    if kind in ("Dense", "Gemm", "FullyConnected", "MatMul"):
        kernel = weight_of(weights, "kernel")
        if kernel.ndim != 2 or len(values.shape) != len(index) or values.shape[-1] != kernel.shape[0]:
            raise UnknownSumError("its weights do not fit its input")
        line = np.arange(kernel.shape[0])
        places = np.column_stack([*(np.full(len(line), i) for i in index[:-1]), line])
        return summed(places, kernel[:, index[-1]], values, bias_of(weights, index[-1]))
    if kind == "Rescaling":
        scale, offset = (_setting(node, name, index[-1:]) for name in ("scale", "offset"))
        return single(index, scale, values, offset)
    if kind == "Embedding":
        return _looked_up(index, values, weights)
    if kind == "EinsumDense":
        return _contracted(index, shape, values, weights)
    if "Pool" in kind:
        return _pooled(node, index, shape, values, stored.mask)
    if "Conv" in kind and "LSTM" not in kind:
        return _convolved(node, index, shape, values, weights)
    raise UnknownSumError(f"the arithmetic of {kind} is no sum of products")


def _merged(node: LayerNode, index: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]) -> CellSum:
    """Return the sum of the numbers of several layers at the same index; an axis of length 1 is repeated."""
    if len(inputs) < 2 or (node.kind == "Subtract" and len(inputs) != 2):
        raise UnknownSumError("it adds a number that is no layer, or a layer to itself")
    rank = len(index)
    places, numbers = [], []
    for values in inputs:
        own = _broadcast(index, values.shape)
        numbers.append(float(values[own]))
        places.append((-1,) * (rank - values.ndim) + own)
    factors = np.full(len(inputs), 1 / len(inputs) if node.kind == "Average" else 1.0)
    if node.kind == "Subtract":
        factors[1] = -1
    found = CellSum(np.arange(len(inputs)), np.array(places, dtype=np.int64), factors, np.array(numbers))
    return replace(found, largest=node.kind in _EXTREMES)


def _multiplied(index: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]) -> CellSum:
    """Return the product of two numbers at the same index, as in a gate of channels; an axis of length 1 is repeated."""
    places = [_broadcast(index, values.shape) for values in inputs]
    numbers = [float(values[place]) for values, place in zip(inputs, places, strict=True)]
    found = single(places[0], numbers[1], inputs[0])
    return replace(found, weight_name="number")


def _broadcast(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index in a tensor that has fewer axes, or axes of length 1 that are repeated."""
    own = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))


def _matrix_product(index: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]) -> CellSum:
    """Return the sum of products of a row of one tensor and a column of the other one."""
    left, right = inputs
    if left.ndim != len(index) or right.ndim != len(index) or len(index) < 2 or left.shape[-1] != right.shape[-2]:
        raise UnknownSumError("its inputs have other shapes")
    (*before, row, column), length = index, left.shape[-1]
    rest = [np.full(length, i) for i in before]
    places = np.column_stack([*rest, np.arange(length), np.full(length, column)])
    return replace(summed(places, left[(*before, row)], right, 0.0, source=1), weight_name="number")


def _setting(node: LayerNode, name: str, unit: tuple[int, ...]) -> float:
    """Return a setting that is one number, or one for each unit."""
    value = node.details.get(name)
    if isinstance(value, list) and unit and unit[0] < len(value):
        value = value[unit[0]]
    if not isinstance(value, int | float):
        raise UnknownSumError("its settings are not known")
    return float(value)


def _looked_up(index: tuple[int, ...], values: NDArray[np.float32], weights: Mapping[str, NDArray[Any]]) -> CellSum:
    """Return the weight that an embedding looks up for a token."""
    table = weight_of(weights, "embeddings")
    place, unit = index[:-1], index[-1]
    if table.ndim != 2 or values.ndim != len(place) or not 0 <= int(values[place]) < len(table):
        raise UnknownSumError("its weights do not fit its input")
    token = int(values[place])
    found = single(place, 1.0, values)
    return replace(found, inputs=np.array([float(table[token, unit])]), names=(f"so row {token} of its weights",))


def _contracted(
    index: tuple[int, ...], shape: tuple[int, ...], values: NDArray[np.float32], weights: Mapping[str, NDArray[Any]]
) -> CellSum:
    """Return the sum of a dense layer over the last axes of its input, whose output may have several axes."""
    kernel = weight_of(weights, "kernel")
    for taken in range(1, min(kernel.ndim, values.ndim + 1)):
        kept = values.ndim - taken
        fits = values.shape[kept:] == kernel.shape[:taken] and shape == (*values.shape[:kept], *kernel.shape[taken:])
        if fits:
            unit = int(np.ravel_multi_index(index[kept:], shape[kept:]))
            inner = np.indices(kernel.shape[:taken]).reshape(taken, -1).T
            places = np.column_stack([np.tile(np.array(index[:kept], dtype=np.int64), (len(inner), 1)), inner])
            column = kernel.reshape(len(inner), -1)[:, unit]
            bias = weights.get("bias")
            added = 0.0 if bias is None else float(bias[_broadcast(index, bias.shape)])
            return summed(places, column, values, added)
    raise UnknownSumError("its equation is not known")


def _pooled(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    values: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
) -> CellSum:
    """Return the numbers in the window of a pooling layer, of which it takes the mean or the largest."""
    largest = "Max" in node.kind
    if node.kind.startswith("Global"):
        channel = channel_position(node, values.ndim)
        unit = index[channel if len(shape) == values.ndim else 0]
        along = [[unit] if axis == channel else list(range(n)) for axis, n in enumerate(values.shape)]
        if (
            mask is not None
            and "Average" in node.kind
            and values.ndim == 2
            and channel == 1
            and len(mask) == len(values)
        ):
            along[0] = [int(i) for i in np.flatnonzero(mask)]
    else:
        windows = windows_of(node, values.shape, shape)
        if windows is None or ("Average" not in node.kind and not largest):
            raise UnknownSumError("its window is not known")
        along = [[i] for i in index]
        for axis, window in zip(windows.axes, windows.along, strict=True):
            along[axis] = [int(i) for i in window.taps(index[axis])[0]]
    places = np.array(list(itertools.product(*along)), dtype=np.int64).reshape(-1, values.ndim)
    weight = 1.0 if largest else 1 / max(len(places), 1)
    found = summed(places, np.full(len(places), weight), values, 0.0)
    return replace(found, largest=largest)


def _convolved(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    values: NDArray[np.float32],
    weights: Mapping[str, NDArray[Any]],
) -> CellSum:
    """Return the sum of a convolution over its window; padding adds nothing."""
    windows = windows_of(node, values.shape, shape)
    if windows is None:
        raise UnknownSumError("its window is not known")
    at = [window.taps(index[axis]) for axis, window in zip(windows.axes, windows.along, strict=True)]
    positions = list(itertools.product(*(places.tolist() for places, _ in at)))
    taps = np.array(list(itertools.product(*(taps.tolist() for _, taps in at))), dtype=np.int64)
    taps = taps.reshape(len(positions), len(at))
    unit, given = index[windows.channel], values.shape[windows.channel]
    kernel, channels = filter_of(node, unit, given, shape[windows.channel], weights)
    count = len(positions) * len(channels)
    places = np.empty((count, values.ndim), dtype=np.int64)
    for axis, column in zip(windows.axes, np.array(positions, dtype=np.int64).reshape(-1, len(at)).T, strict=True):
        places[:, axis] = np.repeat(column, len(channels))
    places[:, windows.channel] = np.tile(channels, len(positions))
    return summed(places, kernel[tuple(taps.T)].reshape(-1), values, bias_of(weights, unit))


def filter_of(
    node: LayerNode, unit: int, given: int, made: int, weights: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the weights of one filter, ``(*size, c)``, and the input channels that they belong to, ``(c,)``."""
    if node.kind.startswith("Separable"):
        depthwise = np.asarray(weight_of(weights, "depthwise_kernel"), dtype=np.float64)
        pointwise = np.asarray(weight_of(weights, "pointwise_kernel"), dtype=np.float64)
        mixed = pointwise.reshape(*depthwise.shape[-2:], -1)[..., unit]
        return np.asarray(np.einsum("...cm,cm->...c", depthwise, mixed)), np.arange(given)
    kernel = weight_of(weights, "kernel", "depthwise_kernel")
    if node.kind.startswith("Depthwise"):
        channel, which = divmod(unit, kernel.shape[-1])
        return kernel[..., channel : channel + 1, which], np.array([channel])
    if "Transpose" in node.kind:
        return kernel[..., unit, :], np.arange(given)
    wide = kernel.shape[-2]
    groups = given // wide if wide and not given % wide else 0
    if not groups or made % groups:
        raise UnknownSumError("its weights do not fit its input")
    first = unit // (made // groups) * wide
    return kernel[..., unit], np.arange(first, first + wide)
