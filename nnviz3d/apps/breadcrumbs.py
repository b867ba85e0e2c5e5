"""The path to what is chosen in a session: model, groups, layer, channel, cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnviz3d.apps.session import Session
from nnviz3d.data.axes import CHANNEL, channel_axis
from nnviz3d.scene.selection import CellPick, Pick
from nnviz3d.scene.views.node_link.picks import ChannelPick


@dataclass(frozen=True)
class Crumb:
    """One entry of the path.

    Attributes
    ----------
    name
        The id of the group or layer, that of the layer for a channel or a pick; empty for the model.
    words
        Its name for users.
    """

    kind: Literal["model", "group", "layer", "channel", "pick"]
    name: str
    words: str


def breadcrumbs(session: Session, group: str | None = None) -> tuple[Crumb, ...]:
    """Return the path to the pick, or else to the highlighted layer, or else to a group; empty if nothing is chosen.

    Parameters
    ----------
    group
        The open group that the camera was sent to.
    """
    scene, selection = session.scene, session.selection
    pick = selection.pick
    layer = (None if pick is None else pick.of_layer) or selection.layer
    graph = scene.context.graph
    if layer is None or layer not in graph:
        layer = group if group in session.groups.all else None
    if layer is None:
        return ()
    path = [Crumb("model", "", scene.capture.graph.name)]
    path += [Crumb("group", name, name) for name in reversed(session.groups.headings(layer))]
    if layer not in graph:
        return (*path, Crumb("group", layer, layer))
    path.append(Crumb("layer", layer, layer))
    return tuple(path) if pick is None or pick.of_layer != layer else (*path, *_inside(session, layer, pick))


def _inside(session: Session, layer: str, pick: Pick) -> tuple[Crumb, ...]:
    """Return the path from a layer to a pick."""
    scene, selection = session.scene, session.selection
    if isinstance(pick, ChannelPick):
        return (Crumb("channel", layer, f"channel {pick.channel}"),)
    if isinstance(pick, CellPick):
        grid = scene.context.placement(layer).grid
        if not grid.holds(pick.index):
            return ()
        names, at = grid.named(pick.index), channel_axis(grid.axes)
        if grid.axes == (CHANNEL,):
            return (Crumb("pick", layer, f"neuron {pick.index[0]}"),)
        words = ", ".join(f"{name} {i}" for name, i in zip(names, pick.index, strict=True) if name != CHANNEL)
        cell = (Crumb("pick", layer, words),) if words else ()
        whole = at is not None and len(pick.index) == len(grid.shape)
        return (Crumb("channel", layer, f"channel {pick.index[at]}"), *cell) if whole and at is not None else cell
    facts = scene.as_of(session.clock.t, selection).describe(pick, selection)
    return () if facts is None or facts.title == layer else (Crumb("pick", layer, facts.title),)
