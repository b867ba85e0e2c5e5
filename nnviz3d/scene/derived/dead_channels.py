"""Channels of a layer that do nothing: for all samples of a data set, or for the sample that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.statistics import is_never_negative
from nnviz3d.data.capabilities.examples import ChannelExamples, read_examples
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import originals
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import SceneContext

_LISTED = 8
"""Maximum number of channels that a sentence lists."""


@dataclass(frozen=True)
class DeadChannels:
    """The channels of a layer that no sample of a data set activates.

    Attributes
    ----------
    layer
        Node id.
    channels
        Their numbers, rising.
    total
        Number of channels of the layer.
    count
        Number of samples that were looked at.
    short, words
        What they are: ``dead``, and ``0 for all 1,000 samples``.
    """

    layer: str
    channels: tuple[int, ...]
    total: int
    count: int
    short: str
    words: str


def examples_of_layer(context: SceneContext, layer: str) -> ChannelExamples | None:
    """Return the examples of a layer's channels, of a closed group those of its last layer; `None` if there are none."""
    capture = context.capture
    name = originals(capture).get(layer, layer)
    return context.memo.get(capture, ("examples", name), lambda: read_examples(capture.stored, name))


def layers_with_examples(context: SceneContext) -> tuple[str, ...]:
    """Return the shown layers for whose channels examples were captured, in the graph's order."""
    return tuple(node.id for node in context.graph if examples_of_layer(context, node.id) is not None)


def dead_of(context: SceneContext, layer: str) -> DeadChannels | None:
    """Return the channels that no sample activates; `None` if no examples of the layer were captured."""
    found = examples_of_layer(context, layer)
    return None if found is None else _dead(context.graph.node(layer), found)


def dead_by_examples(capture: CaptureReader) -> tuple[DeadChannels, ...]:
    """Return the channels that no sample activates, of each layer of a capture whose examples were captured."""
    found = ((node, read_examples(capture.stored, node.id)) for node in capture.graph)
    return tuple(_dead(node, examples) for node, examples in found if examples is not None)


def _dead(node: LayerNode, found: ChannelExamples) -> DeadChannels:
    channels = tuple(np.flatnonzero(found.dead).tolist())
    return DeadChannels(node.id, channels, len(found.dead), found.count, *silence_words(node, found))


def silence_words(node: LayerNode, found: ChannelExamples) -> tuple[str, str]:
    """Say in short, and in words, what channels are that no sample activates.

    The examples hold the largest means. If these are 0 the channel is 0 everywhere, but only of a layer whose numbers
    cannot be negative; the numbers of another one may be negative for the other samples.
    """
    if is_never_negative(node):
        return "dead", f"0 for all {found.count:,} samples"
    return "never active", f"0 or less in the mean for all {found.count:,} samples"


def silent_of(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the channels of maps, ``(rows, columns, channels)`` or ``(..., channels)``, that are 0 everywhere."""
    return np.flatnonzero(~values.reshape(-1, values.shape[-1]).any(axis=0)).astype(np.int64)


def silent_channels(context: SceneContext, layer: str, sample: int) -> list[tuple[str, str]]:
    """Return which channels of a layer are 0 everywhere for a sample, and for all samples, as names and texts."""
    held = context.values(layer, sample)
    pairs = []
    if len(held.grid.shape) > 1 and held.grid.channels > 1:
        silent = silent_of(held.grid.last(held.values))
        those = f": {listed(silent.tolist())}" if len(silent) else ""
        pairs.append(("channels 0 everywhere", f"{len(silent):,} of {held.grid.channels:,} for this sample{those}"))
    dead = dead_of(context, layer)
    if dead is not None:
        those = f", {dead.words}: {listed(dead.channels)}" if dead.channels else ""
        pairs.append((f"{dead.short} channels", f"{len(dead.channels):,} of {dead.total:,}{those}"))
    return pairs


def listed(channels: Sequence[int]) -> str:
    """List the numbers of channels, the first few of many."""
    texts = [str(channel) for channel in channels[:_LISTED]]
    more = len(channels) - len(texts)
    return ", ".join(texts) + (f" and {more:,} more" if more else "")
