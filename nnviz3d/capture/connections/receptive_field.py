"""The connections into one cell of a convolution: its receptive-field fan."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.acting_weights import acting_kernel
from nnviz3d.capture.connections.linear_settings import LinearSettings

_PLAIN = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


@dataclass(frozen=True)
class Fan:
    """All connections into one cell.

    Parameters
    ----------
    source
        ``(n,)`` int64: flat index of each cell of the source, C order, without the sample axis.
    weight
        ``(n,)`` float32.
    """

    source: NDArray[np.int64]
    weight: NDArray[np.float32]


class Convolution:
    """The rule by which a convolution connects cells: which cells feed a cell, and through which weights.

    Parameters
    ----------
    layer
        A convolution for which `is_convolution` holds.
    shape
        Shape of the source, arranged according to the layer's `data_format`.
    """

    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self._first = layer.data_format == "channels_first"
        self._shape = (*shape[1:], shape[0]) if self._first else shape
        self._kernel = _dense_kernel(layer)
        self._size = self._kernel.shape[:-2]
        self._strides = _each(layer.strides, len(self._size))
        self._dilation = _each(layer.dilation_rate, len(self._size))
        self._padding = layer.padding
        self._depthwise = isinstance(layer, _DEPTHWISE) or (isinstance(layer, LinearSettings) and layer.depthwise)
        self._filters = self._kernel.shape[-1] * (self._kernel.shape[-2] if self._depthwise else 1)

    @property
    def most(self) -> int:
        """The greatest number of connections into a cell."""
        return math.prod(self._size) * (1 if self._depthwise else self._kernel.shape[-2])

    def fan(self, cell: tuple[int, ...]) -> Fan:
        """Collect the connections into a cell of the output, arranged like the source; padding is left out."""
        cell = (*cell[1:], cell[0]) if self._first else cell
        taps = [self._taps(axis, cell[axis]) for axis in range(len(self._size))]
        weights, channels = self._weights(cell[-1])
        positions = np.array(list(itertools.product(*(p for p, _ in taps))), dtype=np.int64).reshape(
            -1, len(self._size)
        )
        offsets = np.array(list(itertools.product(*(o for _, o in taps))), dtype=np.int64).reshape(-1, len(self._size))
        factors = np.cumprod((1, *self._shape[-2:0:-1]))[::-1]
        location = positions @ factors
        channels = channels[None, :]
        across = math.prod(self._shape[:-1])
        source = (
            channels * across + location[:, None] if self._first else location[:, None] * self._shape[-1] + channels
        )
        return Fan(source.ravel().astype(np.int64), weights[tuple(offsets.T)].astype(np.float32).ravel())

    def _weights(self, channel: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return one filter's weights ``(*size, c)`` and which of the source's channels they read."""
        wide = self._kernel.shape[-2]
        if self._depthwise:
            read, which = divmod(channel, self._kernel.shape[-1])
            return self._kernel[..., read : read + 1, which], np.array([read])
        groups = self._shape[-1] // wide
        group = channel // (self._filters // groups)
        return self._kernel[..., channel], np.arange(group * wide, (group + 1) * wide)

    def _taps(self, axis: int, position: int) -> tuple[list[int], list[int]]:
        """Return the positions along an axis that the filter reads inside the source, and the tap of each."""
        size, stride, dilation = self._size[axis], self._strides[axis], self._dilation[axis]
        length, reach = self._shape[axis], (size - 1) * dilation + 1
        before = self._padding[axis] if isinstance(self._padding, tuple) else 0
        if self._padding == "same":
            before = max((-(-length // stride) - 1) * stride + reach - length, 0) // 2
        elif self._padding == "causal":
            before = reach - 1
        read = [(position * stride - before + tap * dilation, tap) for tap in range(size)]
        inside = [(at, tap) for at, tap in read if 0 <= at < length]
        return [at for at, _ in inside], [tap for _, tap in inside]


class Pointwise:
    """A Dense layer over a sequence or a map: it applies the same weights along the last axis at every location.

    Parameters
    ----------
    layer
        A Dense layer.
    shape
        Shape of the source, ``(*locations, n)``; n is the number of channels, unless channels come first.
    """

    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._kernel = np.asarray(keras.ops.convert_to_numpy(acting_kernel(layer))).astype(np.float32)

    @property
    def most(self) -> int:
        """The number of connections into a cell."""
        return self._shape[-1]

    def fan(self, cell: tuple[int, ...]) -> Fan:
        """Collect the connections into a cell ``(*location, unit)`` of the output."""
        channels = self._shape[-1]
        location = int(np.ravel_multi_index(cell[:-1], self._shape[:-1]))
        return Fan(location * channels + np.arange(channels, dtype=np.int64), self._kernel[:, cell[-1]])


class EachStep:
    """A layer that runs at every step of a sequence: a cell is fed by cells of its own step only.

    Parameters
    ----------
    rule
        The rule at one step.
    shape
        Shape of the source, ``(*steps, *shape at one step)``.
    steps
        Number of time axes.
    """

    def __init__(self, rule: Convolution | Pointwise, shape: tuple[int, ...], steps: int) -> None:
        self._rule = rule
        self._shape = shape
        self._steps = steps

    @property
    def most(self) -> int:
        """The greatest number of connections into a cell."""
        return self._rule.most

    def fan(self, cell: tuple[int, ...]) -> Fan:
        """Collect the connections into a cell ``(*steps, *cell at one step)`` of the output."""
        found = self._rule.fan(cell[self._steps :])
        step = int(np.ravel_multi_index(cell[: self._steps], self._shape[: self._steps]))
        return Fan(found.source + step * math.prod(self._shape[self._steps :]), found.weight)


def rule_of(layer: Any, shape: tuple[int, ...], steps: int = 0) -> Convolution | Pointwise | EachStep:
    """Return the rule by which cells of a source of this shape feed a cell of a layer.

    Parameters
    ----------
    steps
        Number of time axes of the source over which the layer runs step by step.
    """
    if steps:
        return EachStep(_rule(layer, shape[steps:]), shape, steps)
    return _rule(layer, shape)


def _rule(layer: Any, shape: tuple[int, ...]) -> Convolution | Pointwise:
    return Pointwise(layer, shape) if is_dense(layer) else Convolution(layer, shape)


def is_convolution(layer: Any) -> bool:
    """Whether a layer is a convolution, whose numbers read several locations each."""
    return isinstance(layer, (*_PLAIN, *_DEPTHWISE, *_SEPARABLE)) or (
        isinstance(layer, LinearSettings) and not layer.dense
    )


def is_dense(layer: Any) -> bool:
    """Whether a layer multiplies the last axis by a matrix."""
    return isinstance(layer, keras.layers.Dense) or (isinstance(layer, LinearSettings) and layer.dense)


def _dense_kernel(layer: Any) -> NDArray[np.float32]:
    """Return the kernel ``(*size, channels, filters)``; a separable layer's two are multiplied into one."""
    if not isinstance(layer, _SEPARABLE):
        return np.asarray(keras.ops.convert_to_numpy(layer.kernel)).astype(np.float32)
    depthwise = np.asarray(keras.ops.convert_to_numpy(layer.depthwise_kernel)).astype(np.float32)
    pointwise = np.asarray(keras.ops.convert_to_numpy(layer.pointwise_kernel)).astype(np.float32)
    channels, multiplier = depthwise.shape[-2:]
    mixed = pointwise.reshape(channels, multiplier, pointwise.shape[-1])
    return np.asarray(np.einsum("...cm,cmf->...cf", depthwise, mixed), dtype=np.float32)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return (int(value),) * rank if isinstance(value, int) else tuple(int(v) for v in value)
