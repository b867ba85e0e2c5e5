"""Descriptions of picked channels, and of picked weights between two units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnviz3d.data.note_words import ROUNDED
from nnviz3d.data.rounding import is_rounded
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.contributions import contributions
from nnviz3d.scene.derived.neurons import Neurons, unit_values
from nnviz3d.scene.derived.unit_weights import links_of, slice_of
from nnviz3d.scene.derived.weight_updates import update_parts
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.selection import Pick


@dataclass(frozen=True)
class ChannelPick(Pick):
    """A channel of a layer, as one unit."""

    layer: str
    channel: int


@dataclass(frozen=True)
class LinkPick(Pick):
    """The weights between two units, neurons or channels, of two layers.

    Attributes
    ----------
    taken
        The node whose tensor the target takes: the source, or a node that only passes its units on.
    """

    source: str
    target: str
    taken: str
    source_unit: int
    target_unit: int

    @property
    def of_layer(self) -> str:
        """The layer at the end of the link."""
        return self.target


def describe_channel(context: SceneContext, neurons: Neurons, pick: ChannelPick, sample: int) -> Facts:
    """Return mean, least and greatest activation of a channel."""
    held = context.values(pick.layer, sample)
    values = held.values
    channel = held.grid.last(values)[..., pick.channel]
    mean = unit_values(neurons, pick.layer, values)[pick.channel]
    rounded = (ROUNDED,) if is_rounded(context.capture, pick.layer, sample) else ()
    locations = " × ".join(f"{n:,}" for n in channel.shape)
    parts = (("mean activation", exact(mean)), ("lowest", exact(channel.min())), ("highest", exact(channel.max())))
    return Facts(f"{pick.layer}, channel {pick.channel}", parts=parts, more=(f"of {locations} locations", *rounded))


def describe_link(context: SceneContext, neurons: Neurons, pick: LinkPick, sample: int) -> Facts | None:
    """Return the weights between two units, and their contribution for a sample; `None` if they are not captured."""
    feed = neurons.feed(pick.taken, pick.target)
    title = f"{pick.source}[{pick.source_unit}] → {pick.target}[{pick.target_unit}]"
    found = slice_of(context.capture, neurons, feed, (pick.source_unit, pick.target_unit))
    if found is None:
        return None
    pairs, weights = found
    taken = context.values(pick.taken, sample).values
    parts = [("weight", exact(weights[0, 0]))]
    if weights.size != 1:
        with np.errstate(invalid="ignore", over="ignore"):  # of NaN and infinite numbers
            norm = np.float32(np.linalg.norm(weights.astype(np.float64)))
            total = weights.sum(dtype=np.float32)
        parts = [(f"norm of {weights.size} weights", exact(norm)), ("their sum", exact(total))]
    if taken.ndim < 2:
        values = taken.reshape(-1)[pairs[:, 0]]
        parts += [("activation", exact(values[0]))] if len(values) == 1 else []
        with np.errstate(invalid="ignore", over="ignore"):  # of NaN and infinite numbers
            # Adding 0 turns -0.0 into 0.0.
            product = np.float32((weights[:, 0] * values).sum(dtype=np.float32) + 0)
        parts.append(("contribution", exact(product)))
        if len(values) == 1:
            parts += update_parts(context, pick.target, "kernel", (int(pairs[0, 0]), pick.target_unit))
    elif (links := links_of(context.capture, neurons, feed)) is not None:
        given = contributions(context.capture, neurons, links, taken)
        if given is not None:
            here = (given.index == (pick.source_unit, pick.target_unit)).all(axis=1)
            parts.append(("mean contribution", exact(np.float32(given.signed[here][0]))))
    return Facts(title, parts=tuple(parts), more=(f"by way of {', '.join(feed.via)}",) if feed.via else ())
