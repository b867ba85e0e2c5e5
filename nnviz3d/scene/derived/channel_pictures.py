"""Pictures of a layer's channels other than their maps: inputs that maximize them, and samples that activate them most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.examples import ChannelExamples, has_example_pictures
from nnviz3d.data.capabilities.features import has_features, read_features
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.errors import SceneError
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.dead_channels import examples_of_layer, listed, silence_words
from nnviz3d.scene.selection import ChannelPictures

CAPTURED: Mapping[ChannelPictures, tuple[str, Callable[[StoredArrays, str], bool]]] = {
    "features": ("--features", has_features),
    "examples": ("--dataset and --examples", has_example_pictures),
}
"""The options that capture each kind of pictures, and whether a layer has them."""
Pictures = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...], tuple[str, ...]]
"""Pictures ``(n, rows, columns, 3)``, their channels ``(n,)`` and names, and remarks."""
_INACTIVE = 0.28
"""Brightness of a picture that does not activate its channel."""
_EXAMPLES = 4
"""Maximum number of examples that one picture shows."""
_EDGE = (48, 57, 72)
"""Colour of the lines around examples, whose own ground is often as dark as the scene's."""
_EMPTY = (13, 16, 23)
"""Colour of a place without an example."""


def features_of(context: SceneContext, layer: str, rank: NDArray[np.int64]) -> Pictures:
    """Return the inputs that maximize the channels of a layer.

    Parameters
    ----------
    rank
        All channels in order.
    """
    found = read_features(context.capture.stored, layer)
    if found is None:
        raise SceneError(f"There are no features of {layer}; capture the model with --features {layer}.")
    position = {int(channel): k for k, channel in enumerate(found.channels)}
    rows = [position[int(channel)] for channel in rank if int(channel) in position]
    inactive = found.dead[rows]
    light = np.where(inactive, _INACTIVE, 1.0)[:, np.newaxis, np.newaxis, np.newaxis]
    pixels = np.asarray(np.clip(found.images[rows] * light, 0, 1) * 255 + 0.5, dtype=np.uint8)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    what = "the mean" if found.objective == "channel" else "the middle cell"
    remark = f"each picture maximizes {what} of its channel; {int(inactive.sum())} inactive"
    channels = found.channels[rows]
    those = _those(channels[inactive], "inactive, 0 for its picture and for random ones")
    return pixels, channels, _names(channels, inactive, "inactive"), (remark, *those)


def examples_of(context: SceneContext, layer: str, rank: NDArray[np.int64]) -> Pictures:
    """Return the samples that activate the channels of a layer most; parameters as for `features_of`.

    A sample that does not activate the channel at all is left out, so the picture of a dead channel is empty.
    """
    found = examples_of_layer(context, layer)
    if found is None:
        raise SceneError(f"There are no examples of {layer}; capture the model with --dataset and --examples {layer}.")
    channels = rank[rank < len(found.samples)]
    dead = found.dead[channels]
    pixels = np.stack([_mosaic(found, int(channel)) for channel in channels])
    short, words = silence_words(context.graph.node(layer), found)
    shown = min(found.samples.shape[1], _EXAMPLES)
    which = f"the {shown} of {found.count:,} samples that activate it most" if shown > 1 else "the only sample"
    remark = f"each channel: {which}; {int(dead.sum())} {short}"
    return pixels, channels, _names(channels, dead, short), (remark, *_those(channels[dead], f"{short}, {words}"))


def _names(channels: NDArray[np.int64], dead: NDArray[np.bool_], short: str) -> tuple[str, ...]:
    return tuple(f"{c} {short}" if is_dead else f"{c}" for c, is_dead in zip(channels, dead, strict=True))


def _those(channels: NDArray[np.int64], words: str) -> tuple[str, ...]:
    """Return the remark that lists some channels; none if there is no channel."""
    return (f"{words}: {listed(sorted(channels.tolist()))}",) if len(channels) else ()


def _mosaic(found: ChannelExamples, channel: int) -> NDArray[np.uint8]:
    """Return the first few examples of a channel in one framed picture, the strongest at its upper left."""
    places = np.searchsorted(found.shown, found.samples[channel][:_EXAMPLES])
    active = found.active[channel]
    _, high, wide, _ = found.thumbnails.shape
    across = math.ceil(math.sqrt(len(places)))
    down = math.ceil(len(places) / across)
    picture = np.empty((down * (high + 1) + 1, across * (wide + 1) + 1, 3), dtype=np.uint8)
    picture[...] = _EDGE
    for k, place in enumerate(places):
        row, column = divmod(k, across)
        top, left = row * (high + 1) + 1, column * (wide + 1) + 1
        picture[top : top + high, left : left + wide] = found.thumbnails[place] if active[k] else _EMPTY
    return picture
