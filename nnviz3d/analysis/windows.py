"""Sliding windows of convolutions and pooling layers: the positions of the input that each output reads along one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.graph import LayerNode

Taps = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions along an axis of the input, and the tap of the window that reads each."""


@dataclass(frozen=True)
class SlidingWindow:
    """The windows of a layer along one axis.

    Attributes
    ----------
    length, outputs
        Lengths of the axis in the input and in the output.
    size, stride, dilation
        Number of taps, and the steps between windows and between taps.
    before
        Number of padded positions before the input; of a transposed convolution, of positions cut off before the output.
    transposed
        Whether inputs spread over outputs, as in a transposed convolution.
    """

    length: int
    outputs: int
    size: int
    stride: int
    dilation: int = 1
    before: int = 0
    transposed: bool = False

    def taps(self, output: int) -> Taps:
        """Return what an output position reads, without padding; both arrays have shape ``(n,)``."""
        taps = np.arange(self.size)
        if self.transposed:
            place = output + self.before - taps * self.dilation
            positions, fits = place // self.stride, place % self.stride == 0
        else:
            positions = output * self.stride - self.before + taps * self.dilation
            fits = np.ones(self.size, dtype=bool)
        inside = fits & (positions >= 0) & (positions < self.length)
        return positions[inside], taps[inside]

    def read(self, outputs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which positions some of the outputs read.

        Parameters
        ----------
        outputs
            Mask of the output positions, ``(outputs,)``.

        Returns
        -------
        Mask of the input positions, ``(length,)``.
        """
        found = np.zeros(self.length, dtype=bool)
        for output in np.flatnonzero(outputs):
            found[self.taps(int(output))[0]] = True
        return found


@dataclass(frozen=True)
class SlidingWindows:
    """The windows of a layer along all its spatial axes.

    Attributes
    ----------
    channel
        Position of the channel axis in input and output.
    axes
        Positions of the spatial axes, in the order of the kernel's axes.
    along
        The windows along each of them.
    """

    channel: int
    axes: tuple[int, ...]
    along: tuple[SlidingWindow, ...]


def windows_of(node: LayerNode, source: Sequence[int], shape: Sequence[int]) -> SlidingWindows | None:
    """Return the windows of a convolution or pooling layer; `None` if its settings do not say them.

    Parameters
    ----------
    source, shape
        Shapes of its input and of its output for one sample.
    """
    details = node.details
    pools = "Pool" in node.kind
    rank = len(shape) - 1
    if rank < 1 or len(source) != len(shape):
        return None
    sizes = _each(details, "pool_size" if pools else "kernel_size", rank)
    strides = _each(details, "strides", rank, sizes if pools and "strides" not in details else (1,) * rank)
    dilations = _each(details, "dilation_rate", rank, (1,) * rank)
    if sizes is None or strides is None or dilations is None:
        return None
    channel = channel_position(node, len(shape))
    axes = tuple(axis for axis in range(len(shape)) if axis != channel)
    transposed = "Transpose" in node.kind
    if transposed and any(step != 1 for step in dilations):
        return None
    along = []
    for place, axis in enumerate(axes):
        window = SlidingWindow(
            source[axis], shape[axis], sizes[place], strides[place], dilations[place], transposed=transposed
        )
        before = _before(node, window, place)
        if before is None:
            return None
        along.append(replace(window, before=before))
    return SlidingWindows(channel, axes, tuple(along))


def channel_position(node: LayerNode, rank: int) -> int:
    """Return the position of a layer's channel axis in its tensors, by its settings or else by the names of its axes."""
    setting = node.details.get("data_format")
    if setting in ("channels_first", "channels_last"):
        return 0 if setting == "channels_first" else rank - 1
    found = channel_axis(node.axes)
    return rank - 1 if found is None else found


def _before(node: LayerNode, window: SlidingWindow, place: int) -> int | None:
    """Return the number of padded positions before an axis; `None` if the layer's padding is unknown."""
    padding, reach = node.details.get("padding", "valid"), (window.size - 1) * window.dilation + 1
    if window.transposed:
        if padding not in ("valid", "same") or node.kind in _FOREIGN:
            return None
        # A transposed convolution is the gradient of the convolution with the same padding.
        return max((window.length - 1) * window.stride + reach - window.outputs, 0) // 2 if padding == "same" else 0
    if padding == "same":
        missing = max((window.outputs - 1) * window.stride + reach - window.length, 0)
        # ONNX has two kinds, which differ in where an odd position is put; a node does not say which.
        return None if node.kind in _FOREIGN and missing % 2 else missing // 2
    if padding == "causal":
        return reach - 1
    if padding == "valid":
        return 0
    whole = isinstance(padding, list | tuple) and len(padding) > place and isinstance(padding[place], int)
    return int(padding[place]) if whole else None


_FOREIGN = ("Conv", "ConvTranspose", "TransposeConv", "MaxPool", "AveragePool")


def _each(
    details: Mapping[str, Any], name: str, rank: int, default: tuple[int, ...] | None = None
) -> tuple[int, ...] | None:
    """Return a setting as one number for each spatial axis; `None` if it is something else."""
    value = details.get(name)
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * rank
    if isinstance(value, list | tuple) and len(value) == rank and all(isinstance(n, int) for n in value):
        return tuple(int(n) for n in value)
    return None
