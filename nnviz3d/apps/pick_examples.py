"""The samples of a data set that activate the channel of a picked cell most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.session import Session
from nnviz3d.data.axes import channel_axis
from nnviz3d.scene.derived.dead_channels import examples_of_layer, silence_words
from nnviz3d.scene.selection import CellPick


@dataclass(frozen=True, eq=False)
class StrongSample:
    """A sample that activates a channel.

    Attributes
    ----------
    mean
        Mean activation of the channel.
    picture
        ``(h, w, 3)``; `None` if the samples are no pictures.
    position
        Its position in the session's list of samples; `None` if it is not there, or its name is not its alone.
    """

    name: str
    mean: float
    picture: NDArray[np.uint8] | None
    position: int | None


def strongest_samples(session: Session, pick: CellPick) -> tuple[tuple[StrongSample, ...], str]:
    """Return the samples that activate a cell's channel most, and a heading; empty if no examples of it are known.

    Samples that do not activate it at all are left out. If no sample does, the heading says so.
    """
    context = session.context
    grid = context.placement(pick.layer).grid
    axis = channel_axis(grid.axes)
    found = examples_of_layer(context, pick.layer)
    if found is None or axis is None or len(pick.index) != len(grid.shape) or pick.index[axis] >= len(found.samples):
        return (), ""
    channel = pick.index[axis]
    positions: dict[str, list[int]] = {}
    for position, sample in enumerate(session.samples):
        positions.setdefault(sample.name, []).append(position)
    listed = []
    active, means = found.active[channel], found.means[channel]
    for sample, mean in zip(found.samples[channel][active], means[active], strict=True):
        place = int(np.searchsorted(found.shown, sample))
        name = found.names[place]
        at = positions.get(name, [])
        known = len(at) == 1 and found.names.count(name) == 1
        picture = found.thumbnails[place] if len(found.thumbnails) else None
        listed.append(StrongSample(name, float(mean), picture, at[0] if known else None))
    unit = "channel" if len(grid.shape) > 1 else "neuron"
    if not listed:
        short, words = silence_words(context.graph.node(pick.layer), found)
        return (), f"{short.capitalize()}: {unit} {channel} is {words}"
    if not active.all() and (means[active] > 0).all():
        verb = "activate" if len(listed) > 1 else "activates"
        return tuple(listed), f"Only {len(listed)} of {found.count:,} samples {verb} {unit} {channel}"
    return tuple(listed), f"Activate {unit} {channel} most, of {found.count:,} samples"
