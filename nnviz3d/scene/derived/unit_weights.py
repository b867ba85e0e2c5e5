"""The weights between the units of two layers: for each pair of units a slice of the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.derived.neurons import Feed, Neurons, passes

_LARGEST = 8_000_000
"""Size of the largest kernel that is read whole; for larger kernels the captured connections are shown."""
_UNIT_BY_UNIT = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")

_MIX_LAST = ("Dense", "EinsumDense")
"""Layers whose weights apply to the last axis of their input, whatever that axis is."""


@dataclass(frozen=True, eq=False)
class Links:
    """The links between the units of two layers.

    Attributes
    ----------
    feed
        The two layers and the nodes between them.
    index
        ``(n, 2)`` int64: the unit of the source and the unit of the target.
    norm
        ``(n,)`` float64: root of the sum of squares of the slice; for one weight its absolute value. Infinite or NaN
        if a weight is.
    signed
        ``(n,)`` float64: the norm with the sign of the slice's sum; for one weight the weight itself.
    numbers
        Number of weights in a slice; 0 if a layer has no weights and only passes units on.
    total
        Number of all pairs, including pairs that were not captured.
    """

    feed: Feed
    index: NDArray[np.int64]
    norm: NDArray[np.float64]
    signed: NDArray[np.float64]
    numbers: int
    total: int


Joined = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Pairs of an index along the last axis of a layer's input and one of its output, ``(n, 2)``, and the weights that
join each, ``(n, taps)``."""


def links_of(capture: CaptureReader, neurons: Neurons, feed: Feed) -> Links | None:
    """Return the links of a feed; `None` if no captured weight joins the two layers."""
    node = neurons.graph.node(feed.target)
    axes = capture.graph.node(feed.taken).axes
    if node.kind in _MIX_LAST and len(axes) > 1 and channel_axis(axes) != len(axes) - 1:
        return None  # its weights join columns, not channels
    joined = joined_by(capture, node, len(feed.units))
    if joined is not None:
        return _sliced(neurons, feed, *joined)
    return _captured(capture, neurons, feed) if node.kind == "Dense" else _passed(neurons, feed)


def joined_by(capture: CaptureReader, node: LayerNode, taken: int) -> Joined | None:
    """Return the weights between a layer's inputs and its outputs; `None` if there are none, or if they are unknown.

    Parameters
    ----------
    taken
        How many channels, or numbers of a vector, the layer takes.
    """
    if not node.kind.startswith(("Dense", "EinsumDense", "Conv", "DepthwiseConv")):
        return None
    kernel = capture.weights(node.path).get("kernel")
    if kernel is None or kernel.ndim < 2 or kernel.size > _LARGEST:
        return None
    kernel = np.asarray(kernel, dtype=np.float32).reshape(-1, *kernel.shape[-2:])
    if node.kind.endswith("Transpose"):
        kernel = kernel.transpose(0, 2, 1)
    taps, each, given = kernel.shape
    if node.kind.startswith("DepthwiseConv"):
        # Each input channel has output channels of its own, as many as the depth multiplier.
        inputs, outputs = np.repeat(np.arange(each), given), np.arange(each * given)
    else:
        inputs, outputs = (part.ravel() for part in np.indices((each, given)))
    if taken % each or (taken != each and "Conv" not in node.kind):
        return None
    if outputs.max(initial=-1) + 1 != node.channels:
        return None  # such as the four gates of a recurrent layer: no weight belongs to a single output unit
    if taken != each:
        # Groups: each has input channels and output channels of its own.
        inputs = inputs + outputs // (given * each // taken) * each
    return np.stack([inputs, outputs], axis=1), kernel.reshape(taps, -1).T


def slice_of(capture: CaptureReader, neurons: Neurons, feed: Feed, units: tuple[int, int]) -> Joined | None:
    """Return the weights that join one unit of the source with one of the target, as `joined_by` gives them."""
    joined = joined_by(capture, neurons.graph.node(feed.target), len(feed.units))
    if joined is not None:
        pairs, weights = joined
        chosen = (feed.units[pairs[:, 0]] == units[0]) & (pairs[:, 1] == units[1])
        return (pairs[chosen], weights[chosen]) if chosen.any() else None
    links = _captured(capture, neurons, feed)
    found: NDArray[np.int64] | tuple[()] = () if links is None else np.flatnonzero((links.index == units).all(axis=1))
    if links is None or not len(found):
        return None
    position = np.flatnonzero(feed.units == units[0])[0]
    return np.array([[position, units[1]]]), links.signed[found[:1], np.newaxis].astype(np.float32)


def _sliced(neurons: Neurons, feed: Feed, pairs: NDArray[np.int64], weights: NDArray[np.float32]) -> Links:
    targets = neurons.counts[feed.target]
    keys, where, numbers = np.unique(
        feed.units[pairs[:, 0]] * targets + pairs[:, 1], return_inverse=True, return_counts=True
    )
    weights = weights.astype(np.float64)
    norm = np.sqrt(np.bincount(where, (weights**2).sum(axis=1)))
    sums = np.asarray(np.bincount(where, weights.sum(axis=1)), dtype=np.float64)
    index = np.stack(np.divmod(keys, targets), axis=1)
    each = int(numbers.max()) * weights.shape[1]
    signed = sums if each == 1 else np.copysign(norm, sums)
    return Links(feed, index, norm, signed, each, len(index))


def _captured(capture: CaptureReader, neurons: Neurons, feed: Feed) -> Links | None:
    """Return the strongest weights of a layer whose kernel is too large to be stored; each joins two units."""
    pair = capture.connections(feed.taken, feed.target, "weight")
    if pair is None or pair.rule != "dense" or len(feed.units) != neurons.counts[feed.source]:
        return None
    index = np.stack([feed.units[pair.index[:, 0]], pair.index[:, 1]], axis=1)
    weight = pair.weight.astype(np.float64)
    return Links(feed, index, np.abs(weight), weight, 1, pair.total)


def _passed(neurons: Neurons, feed: Feed) -> Links | None:
    """Return the links of a layer that merges its inputs, unit by unit or by concatenation."""
    node = neurons.graph.node(feed.target)
    count = neurons.counts[feed.target]
    if node.kind == "Concatenate":
        before = neurons.feeds[: neurons.feeds.index(feed)]
        first = sum(len(other.units) for other in before if other.target == feed.target)
    elif (node.kind in _UNIT_BY_UNIT or passes(node)) and len(feed.units) == count:
        first = 0
    else:
        return None
    if first + len(feed.units) > count:
        return None
    index = np.stack([feed.units, first + np.arange(len(feed.units))], axis=1)
    ones = np.ones(len(index))
    return Links(feed, index, ones, ones, 0, len(index))
