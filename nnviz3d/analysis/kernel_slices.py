"""The weights that join one channel of a layer's input with one channel of its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.cell_sums import filter_of
from nnviz3d.analysis.sum_terms import UnknownSumError
from nnviz3d.analysis.windows import windows_of
from nnviz3d.data.graph import LayerNode


@dataclass(frozen=True, eq=False)
class KernelSlice:
    """The weights between two channels.

    Attributes
    ----------
    values
        The taps of the kernel, ``(*kernel_size,)``.
    at
        The tap that joins two picked numbers; `None` if none does.
    source, target
        The channels.
    taken
        The filter of the target channel, ``(*kernel_size, c)``, for all channels that it takes.
    position
        Position of the source channel among these.
    """

    values: NDArray[np.float64]
    at: tuple[int, ...] | None
    source: int
    target: int
    taken: NDArray[np.float64]
    position: int


def kernel_slice(
    node: LayerNode,
    source: tuple[int, ...],
    target: tuple[int, ...],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    weights: Mapping[str, NDArray[Any]],
) -> KernelSlice | None:
    """Return the taps of a convolution between the channels of two numbers; `None` for another kind of layer.

    Parameters
    ----------
    source, target
        Indices of a number of the layer's input and of one of its output.
    shapes
        Shapes of the layer's input and output for one sample.
    """
    if "Conv" not in node.kind or "LSTM" in node.kind or len(source) != len(target):
        return None
    windows = windows_of(node, *shapes)
    if windows is None:
        return None
    channels = source[windows.channel], target[windows.channel]
    try:
        given, made = (shape[windows.channel] for shape in shapes)
        kernel, taken = filter_of(node, channels[1], given, made, weights)
    except UnknownSumError:
        return None
    place = np.flatnonzero(taken == channels[0])
    if not len(place):
        return None
    at: list[int] = []
    for axis, window in zip(windows.axes, windows.along, strict=True):
        positions, taps = window.taps(target[axis])
        at.extend(int(tap) for tap in taps[positions == source[axis]])
    values = np.asarray(kernel[..., place[0]], dtype=np.float64)
    tap = tuple(at) if len(at) == values.ndim else None
    return KernelSlice(values, tap, *channels, np.asarray(kernel, dtype=np.float64), int(place[0]))
