"""Contributions between units for a sample: weight times activation, summed over the weights between two units.

The contribution to a channel is the contribution to its mean over all locations: each weight times the mean of the
input numbers that it is multiplied with, with zeros beyond the border if the layer pads.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import channels_last
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.derived.neurons import Neurons
from nnviz3d.scene.derived.unit_weights import Links, joined_by


@np.errstate(invalid="ignore", over="ignore")  # NaN and infinite numbers have such contributions
def contributions(capture: CaptureReader, neurons: Neurons, links: Links, taken: NDArray[np.float32]) -> Links | None:
    """Return the links with their contributions as strengths.

    Parameters
    ----------
    taken
        The tensor that the target takes.

    Returns
    -------
    `None` if they cannot be computed, as for transposed convolutions.
    """
    feed, node = links.feed, neurons.graph.node(links.feed.target)
    if not links.numbers:
        return links
    joined = joined_by(capture, node, len(feed.units))
    inputs = _mean_inputs(node, channels_last(taken, capture.graph.node(feed.taken).axes) if taken.ndim > 1 else taken)
    if inputs is None:
        return None
    if joined is None:
        # Only the strongest weights were captured, each between two neurons.
        values = inputs[0][np.argsort(feed.units)[links.index[:, 0]]]
        return _with_strengths(links, links.signed * values)
    pairs, weights = joined
    if weights.shape[1] != len(inputs):
        return None
    each = np.einsum("nt,tn->n", weights.astype(np.float64), inputs[:, pairs[:, 0]])
    targets = neurons.counts[feed.target]
    keys = feed.units[pairs[:, 0]] * targets + pairs[:, 1]
    # The links are sorted by these keys.
    where = np.searchsorted(links.index[:, 0] * targets + links.index[:, 1], keys)
    sums = np.bincount(where, each, minlength=len(links.index))
    return _with_strengths(links, np.asarray(sums, dtype=np.float64))


def _with_strengths(links: Links, signed: NDArray[np.float64]) -> Links:
    return replace(links, norm=np.abs(signed), signed=signed)


def _mean_inputs(node: LayerNode, taken: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the mean input of each tap of a kernel, ``(taps, channels)``, from an input with channels last."""
    values = taken.astype(np.float64)
    if "Conv" not in node.kind:
        return np.asarray(values.reshape(-1, values.shape[-1] if values.ndim else 1).mean(axis=0, keepdims=True))
    sizes = node.details.get("kernel_size")
    outputs = node.location_shape
    if "Transpose" in node.kind or not isinstance(sizes, list | tuple) or len(sizes) != values.ndim - 1:
        return None
    if len(outputs) != len(sizes) or any(n is None for n in outputs):
        return None
    strides, dilation = (node.details.get(name) or [1] * len(sizes) for name in ("strides", "dilation_rate"))
    for axis, (size, stride, step, out) in enumerate(zip(sizes, strides, dilation, outputs, strict=True)):
        table = _tap_shares(
            values.shape[axis], int(size), int(stride), int(step), int(out or 0), node.details.get("padding")
        )
        values = np.moveaxis(np.tensordot(table, values, axes=(1, axis)), 0, axis)
    return np.asarray(values.reshape(-1, values.shape[-1]))


def _tap_shares(length: int, size: int, stride: int, step: int, outputs: int, padding: object) -> NDArray[np.float64]:
    """Return how often each tap meets each position of one axis, divided by the outputs, ``(size, length)``."""
    reach = (size - 1) * step
    before = {"same": max((outputs - 1) * stride + reach + 1 - length, 0) // 2, "causal": reach}.get(str(padding), 0)
    table = np.zeros((size, length))
    for tap in range(size):
        positions = np.arange(outputs) * stride + tap * step - before
        np.add.at(table[tap], positions[(positions >= 0) & (positions < length)], 1 / outputs)
    return table
