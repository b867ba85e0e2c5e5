"""The arithmetic of a number of a layer: products of weights and inputs, their sum, bias and activation function."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.activation_functions import OVER_UNITS, activation_function
from nnviz3d.analysis.windows import channel_position, windows_of
from nnviz3d.data.graph import LayerNode

_EPSILON = 2.0**-23
"""Relative step between float32 numbers."""
_LARGEST = 40_000_000
"""Maximum number of weights of a layer whose arithmetic is computed."""
_NEAR = 1e-5
"""Step of the difference quotient of an activation function, as a share of the size of all terms."""
_SUMS = {"Add": 1.0, "Subtract": 1.0, "Average": 1.0}
_FUNCTION_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "Softmax": "softmax", "ELU": "elu"}


@dataclass(frozen=True, eq=False)
class CellSum:
    """The terms, bias and activation function of one number of a layer.

    Attributes
    ----------
    sources
        ``(n,)``: for each term the position of the layer's input that it takes a number of.
    index
        ``(n, rank)`` int64: the index of that number.
    weights, inputs
        ``(n,)`` float64: the weight and the number.
    bias
        The number that is added to the sum of the products.
    function
        The name of the activation function; `None` if there is none.
    largest
        Whether the greatest product is taken, as in max pooling, in place of their sum.
    result
        The number that this arithmetic gives.
    slope
        How much the result changes with the sum, at most.
    """

    sources: NDArray[np.int64]
    index: NDArray[np.int64]
    weights: NDArray[np.float64]
    inputs: NDArray[np.float64]
    bias: float = 0.0
    function: str | None = None
    largest: bool = False
    result: float = math.nan
    slope: float = 1.0

    @cached_property
    def products(self) -> NDArray[np.float64]:
        """Weight times input of each term, ``(n,)``."""
        return np.asarray(self.weights * self.inputs)

    @property
    def size(self) -> float:
        """The sum of the sizes of all terms."""
        return float(np.abs(self.products).sum() + abs(self.bias))

    @property
    def total(self) -> float:
        """The sum of the products and the bias, before the activation function; for max pooling the greatest product."""
        return float(self.products.max()) if self.largest else float(self.products.sum() + self.bias)

    def equals(self, stored: float, step: float = _EPSILON) -> bool:
        """Whether the result is a stored number but for the rounding of its terms.

        Parameters
        ----------
        step
            Relative step between numbers of the type in which they are stored.
        """
        most = step * ((4 + math.sqrt(len(self.products))) * self.size * self.slope + 4 * abs(self.result))
        return bool(abs(self.result - stored) <= most)

    def strongest(self, count: int) -> NDArray[np.int64]:
        """Return the positions of the terms with the largest products by size, the largest first."""
        order = np.argsort(-np.abs(self.products), kind="stable")
        return np.asarray(order[:count])


class UnknownSumError(ValueError):
    """The arithmetic of a layer is not known; the message says why, as the end of a sentence."""


def cell_sum(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
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

    Raises
    ------
    UnknownSumError
        If the kind of layer is not known, or its weights were not stored.
    """
    function = _FUNCTION_LAYERS.get(node.kind, node.activation)
    apply = activation_function(function, node.details)
    if apply is None:
        raise UnknownSumError(f"its activation function {function} is not known here")
    found = _terms(node, index, shape, inputs, weights)
    if function in OVER_UNITS:
        units = [
            found if unit == index[-1] else _terms(node, (*index[:-1], unit), shape, inputs, weights)
            for unit in range(shape[-1])
        ]
        result = float(apply(np.array([unit.total for unit in units]))[index[-1]])
        # A share changes by at most its own size times the change of each sum.
        slope = 2 * result * max(unit.size for unit in units) / (found.size or 1.0)
    else:
        near = _NEAR * max(found.size, 1e-30)
        ends = apply(found.total + np.array([0.0, -near, near]))
        result, slope = float(ends[0]), float(np.abs(ends[1:] - ends[0]).max() / near)
    return replace(found, function=None if function == "linear" else function, result=result, slope=slope)


def _terms(
    node: LayerNode,
    index: tuple[int, ...],
    shape: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
) -> CellSum:
    kind = node.kind
    if not inputs:
        raise UnknownSumError("it is an input")
    if kind in _SUMS:
        return _merged(node, index, inputs)
    if len(inputs) > 1:
        raise UnknownSumError(f"it joins several layers in a way that no sum describes ({kind})")
    (values,) = inputs
    if kind in ("Activation", "Dropout", *_FUNCTION_LAYERS):
        return _single(index, 1.0, values, 0.0)
    if kind == "BatchNormalization":
        return _normalized(node, index, values, weights)
    if kind in ("Dense", "Gemm", "FullyConnected", "MatMul"):
        kernel = _weight(weights, "kernel")
        if kernel.ndim != 2 or len(values.shape) != len(index) or values.shape[-1] != kernel.shape[0]:
            raise UnknownSumError("its weights do not fit its input")
        line = np.arange(kernel.shape[0])
        places = np.column_stack([*(np.full(len(line), i) for i in index[:-1]), line])
        return _summed(places, kernel[:, index[-1]], values, _bias(weights, index[-1]))
    if "Pool" in kind:
        return _pooled(node, index, shape, values)
    if "Conv" in kind and "LSTM" not in kind:
        return _convolved(node, index, shape, values, weights)
    raise UnknownSumError(f"the arithmetic of {kind} is no sum of products")


def _weight(weights: Mapping[str, NDArray[Any]], *names: str) -> NDArray[Any]:
    found = next((weights[name] for name in names if name in weights), None)
    if found is None:
        raise UnknownSumError("its weights were not stored; capture the model with --weights all")
    if found.size > _LARGEST:
        raise UnknownSumError("it has too many weights")
    return found


def _bias(weights: Mapping[str, NDArray[Any]], unit: int) -> float:
    bias = weights.get("bias")
    return 0.0 if bias is None else float(bias.reshape(-1)[unit])


def _summed(places: NDArray[np.int64], weights: NDArray[Any], values: NDArray[np.float32], bias: float) -> CellSum:
    """Return the sum over the numbers of the only input at some places, ``(n, rank)``."""
    numbers = values[tuple(places.T)].astype(np.float64)
    return CellSum(np.zeros(len(places), np.int64), places, np.asarray(weights, dtype=np.float64), numbers, bias)


def _single(index: tuple[int, ...], weight: float, values: NDArray[np.float32], bias: float) -> CellSum:
    if values.ndim != len(index):
        raise UnknownSumError("its input has another shape")
    return _summed(np.array([index], dtype=np.int64).reshape(1, -1), np.array([weight]), values, bias)


def _merged(node: LayerNode, index: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]) -> CellSum:
    """Return the sum of the numbers of several layers at the same index; an axis of length 1 is repeated."""
    if len(inputs) < 2 or (node.kind == "Subtract" and len(inputs) != 2):
        raise UnknownSumError("it adds a number that is no layer, or a layer to itself")
    rank = len(index)
    places, numbers = [], []
    for values in inputs:
        own = [0 if n == 1 else i for i, n in zip(index[rank - values.ndim :], values.shape, strict=True)]
        numbers.append(float(values[tuple(own)]))
        places.append([0] * (rank - values.ndim) + own)
    factors = np.full(len(inputs), 1 / len(inputs) if node.kind == "Average" else 1.0)
    if node.kind == "Subtract":
        factors[1] = -1
    return CellSum(np.arange(len(inputs)), np.array(places, dtype=np.int64), factors, np.array(numbers))


def _normalized(
    node: LayerNode, index: tuple[int, ...], values: NDArray[np.float32], weights: Mapping[str, NDArray[Any]]
) -> CellSum:
    """Return the one product and the shift of a batch normalization."""
    axis, epsilon = node.details.get("axis", -1), node.details.get("epsilon")
    if not isinstance(axis, int) or not isinstance(epsilon, int | float):
        raise UnknownSumError("its settings are not known")
    unit = index[axis % (len(index) + 1) - 1]
    mean, variance = (float(_weight(weights, name)[unit]) for name in ("moving_mean", "moving_variance"))
    gamma = float(weights["gamma"][unit]) if "gamma" in weights else 1.0
    beta = float(weights["beta"][unit]) if "beta" in weights else 0.0
    scale = gamma / math.sqrt(variance + epsilon)
    return _single(index, scale, values, beta - mean * scale)


def _pooled(node: LayerNode, index: tuple[int, ...], shape: tuple[int, ...], values: NDArray[np.float32]) -> CellSum:
    """Return the numbers in the window of a pooling layer, of which it takes the mean or the largest."""
    largest = "Max" in node.kind
    if node.kind.startswith("Global"):
        channel = channel_position(node, values.ndim)
        unit = index[channel if len(shape) == values.ndim else 0]
        along = [[unit] if axis == channel else list(range(n)) for axis, n in enumerate(values.shape)]
    else:
        windows = windows_of(node, values.shape, shape)
        if windows is None or ("Average" not in node.kind and not largest):
            raise UnknownSumError("its window is not known")
        along = [[i] for i in index]
        for axis, window in zip(windows.axes, windows.along, strict=True):
            along[axis] = [int(i) for i in window.taps(index[axis])[0]]
    places = np.array(list(itertools.product(*along)), dtype=np.int64).reshape(-1, values.ndim)
    weight = 1.0 if largest else 1 / max(len(places), 1)
    found = _summed(places, np.full(len(places), weight), values, 0.0)
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
    kernel, channels = _filter(node, unit, given, shape[windows.channel], weights)
    count = len(positions) * len(channels)
    places = np.empty((count, values.ndim), dtype=np.int64)
    for axis, column in zip(windows.axes, np.array(positions, dtype=np.int64).reshape(-1, len(at)).T, strict=True):
        places[:, axis] = np.repeat(column, len(channels))
    places[:, windows.channel] = np.tile(channels, len(positions))
    return _summed(places, kernel[tuple(taps.T)].reshape(-1), values, _bias(weights, unit))


def _filter(
    node: LayerNode, unit: int, given: int, made: int, weights: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the weights of one filter, ``(*size, c)``, and the input channels that they belong to, ``(c,)``."""
    if node.kind.startswith("Separable"):
        depthwise = np.asarray(_weight(weights, "depthwise_kernel"), dtype=np.float64)
        pointwise = np.asarray(_weight(weights, "pointwise_kernel"), dtype=np.float64)
        mixed = pointwise.reshape(*depthwise.shape[-2:], -1)[..., unit]
        return np.asarray(np.einsum("...cm,cm->...c", depthwise, mixed)), np.arange(given)
    kernel = _weight(weights, "kernel", "depthwise_kernel")
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
