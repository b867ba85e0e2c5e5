"""Search for layers, groups and channels of a session's network by words that a user types."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nnviz3d.apps.session import Session
from nnviz3d.data.axes import channel_axis, strongest_of_channel, unit_word
from nnviz3d.data.graph import LayerNode
from nnviz3d.scene.selection import CellPick, Pick
from nnviz3d.scene.views.node_link.picks import ChannelPick
from nnviz3d.scene.views.node_link.view import NodesView

_WITH_NUMBER = re.compile(r"(.*?\S)(?:\s+(?:channel\s+|neuron\s+)?(\d{1,9})|\s*\[(\d{1,9})\])")


@dataclass(frozen=True)
class FoundPlace:
    """A place in the network.

    Attributes
    ----------
    name
        Id of the layer or group.
    kind
        Kind of the layer, or what else the place is, in words.
    channel
        The channel or neuron of the layer; `None` for the layer itself.
    """

    name: str
    kind: str
    channel: int | None = None


def find_places(session: Session, text: str) -> tuple[FoundPlace, ...]:
    """Return what a text means: layers and groups whose name or kind contains it, or channels of such layers.

    Layers inside closed groups are found too. The best matches are first: equal names, names that begin with the text,
    names that contain it, kinds that contain it; each in the network's order.

    Parameters
    ----------
    text
        A part of a name or kind, in any case; a number behind it means a channel or neuron: ``conv2d 12``, ``conv2d[12]``.
    """
    wanted = text.strip().casefold()
    if not wanted:
        return ()
    graph, groups = session.scene.capture.graph, session.groups
    layers = [FoundPlace(node.id, node.kind) for node in graph]
    order = {node.id: position for position, node in enumerate(graph)}
    # A group stands before the first of its layers, and a larger one before a smaller one.
    members = {name: groups.members(name) for name in groups.all - order.keys()}
    starts = {name: (min(order[one] for one in held), -len(held)) for name, held in members.items()}
    of_groups = [
        FoundPlace(name, f"group of {len(members[name]):,} layers")
        for name in sorted(starts, key=lambda name: starts[name])
    ]
    in_order = sorted(
        [*of_groups, *layers], key=lambda one: order[one.name] if one.name in order else starts[one.name][0]
    )
    found = _ranked(in_order, wanted)
    numbered = _WITH_NUMBER.fullmatch(wanted)
    if found or numbered is None:
        return found
    channel = int(numbered[2] or numbered[3])
    return tuple(
        FoundPlace(one.name, f"{unit_word(graph.node(one.name).axes)} of {units_of(graph.node(one.name)):,}", channel)
        for one in _ranked(layers, numbered[1])
        if channel < units_of(graph.node(one.name))
    )


def show_place(session: Session, place: FoundPlace) -> tuple[str, ...]:
    """Select a place: the groups around it are opened; of a channel its strongest number is picked.

    Returns
    -------
    The nodes to look at.
    """
    groups = session.groups
    groups.reveal(place.name)
    layer = place.name if place.name in session.scene.context.graph else None
    pick = None if place.channel is None or layer is None else _pick(session, layer, place.channel)
    session.select(layer=layer, pick=pick)
    return groups.shown_of(place.name)


def units_of(node: LayerNode) -> int:
    """Return the number of channels of a layer, or of neurons of one without channels; 0 if it has neither."""
    axis = channel_axis(node.axes)
    return 0 if axis is None or axis >= len(node.shape) else node.shape[axis] or 0


def _ranked(places: list[FoundPlace], wanted: str) -> tuple[FoundPlace, ...]:
    ranks = [(_rank(place, wanted), place) for place in places]
    return tuple(place for rank, place in sorted((one for one in ranks if one[0] < _NONE), key=lambda one: one[0]))


_NONE = 4
"""Rank of a place that does not match."""


def _rank(place: FoundPlace, wanted: str) -> int:
    name = place.name.casefold()
    matches = (name == wanted, name.startswith(wanted), wanted in name, wanted in place.kind.casefold())
    return matches.index(True) if any(matches) else _NONE


def _pick(session: Session, layer: str, channel: int) -> Pick | None:
    """Return the pick of a channel: as a unit where units are drawn, or else its number that is farthest from 0."""
    context, sample = session.context, session.selection.sample
    node = context.graph.node(layer)
    if channel_axis(node.axes) is None or not context.capture.has_activations(layer):
        return None
    values = context.values(layer, sample).values
    if values.ndim > 1 and session.scene.find(NodesView) is not None:
        return ChannelPick(layer, channel)
    index = strongest_of_channel(values, node.axes, channel)
    return None if index is None else CellPick(layer, index)
