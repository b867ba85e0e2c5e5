"""Pictures of a layer's channels other than their maps: inputs that maximize them, and samples that activate them most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.examples import ChannelExamples, has_example_pictures, read_examples
from nnviz3d.data.capabilities.features import has_features, read_features
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.errors import SceneError
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import ChannelPictures

CAPTURED: Mapping[ChannelPictures, tuple[str, Callable[[StoredArrays, str], bool]]] = {
    "features": ("--features", has_features),
    "examples": ("--dataset and --examples", has_example_pictures),
}
"""The options that capture each kind of pictures, and whether a layer has them."""
Pictures = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], str]
"""Pictures ``(n, rows, columns, 3)``, their channels ``(n,)``, a mask of dead channels ``(n,)``, and a remark."""
_DEAD = 0.28
"""Brightness of a dead channel's picture."""
_EXAMPLES = 4
"""Maximum number of examples that one picture shows."""
_EDGE = (48, 57, 72)
"""Colour of the lines around examples, whose own ground is often as dark as the scene's."""


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
    dead = found.dead[rows]
    light = np.where(dead, _DEAD, 1.0)[:, np.newaxis, np.newaxis, np.newaxis]
    pixels = np.asarray(np.clip(found.images[rows] * light, 0, 1) * 255 + 0.5, dtype=np.uint8)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    what = "the mean" if found.objective == "channel" else "the middle cell"
    remark = f"each picture maximizes {what} of its channel; {int(dead.sum())} dead"
    return pixels, found.channels[rows], dead, remark


def examples_of(context: SceneContext, layer: str, rank: NDArray[np.int64]) -> Pictures:
    """Return the samples that activate the channels of a layer most; parameters as for `features_of`."""
    found = read_examples(context.capture.stored, layer)
    if found is None:
        raise SceneError(f"There are no examples of {layer}; capture the model with --dataset and --examples {layer}.")
    channels = rank[rank < len(found.samples)]
    # If even the largest means are 0, no sample activates the channel, and its examples mean nothing.
    dead = np.asarray(~found.means[channels].any(axis=1))
    pixels = np.stack([_mosaic(found, int(channel)) for channel in channels])
    pixels[dead] = np.round(pixels[dead] * _DEAD).astype(np.uint8)
    shown = min(found.samples.shape[1], _EXAMPLES)
    which = f"the {shown} of {found.count:,} samples that activate it most" if shown > 1 else "the only sample"
    return pixels, channels, dead, f"each channel: {which}; {int(dead.sum())} dead"


def _mosaic(found: ChannelExamples, channel: int) -> NDArray[np.uint8]:
    """Return the first few examples of a channel in one framed picture, the strongest at its upper left."""
    places = np.searchsorted(found.shown, found.samples[channel][:_EXAMPLES])
    _, high, wide, _ = found.thumbnails.shape
    across = math.ceil(math.sqrt(len(places)))
    down = math.ceil(len(places) / across)
    picture = np.empty((down * (high + 1) + 1, across * (wide + 1) + 1, 3), dtype=np.uint8)
    picture[...] = _EDGE
    for k, place in enumerate(places):
        row, column = divmod(k, across)
        top, left = row * (high + 1) + 1, column * (wide + 1) + 1
        picture[top : top + high, left : left + wide] = found.thumbnails[place]
    return picture
