"""Rows of the list of layers: their headings, alarms and dead channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import accumulate, groupby
from typing import Any

from nnviz3d.analysis.health import alarms
from nnviz3d.apps.groups import Groups
from nnviz3d.apps.session import Session
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import Color
from nnviz3d.scene.context import shape_text
from nnviz3d.scene.derived.dead_channels import DeadChannels, listed
from nnviz3d.scene.views.health import color_of
from nnviz3d.scene.views.structure import FAMILIES, family_of, number_of_parameters

Headings = tuple[tuple[str, str], ...]
"""The headings above a layer, the outermost first: the path of each, and the name of the open group or nothing."""


def css(color: Color) -> str:
    """Return a colour as CSS."""
    red, green, blue = (round(255 * c) for c in color)
    return f"rgb({red}, {green}, {blue})"


def grouped_layers(graph: ModelGraph, groups: Groups | None = None) -> list[dict[str, Any]]:
    """Return the layers for the page in the flow's order; an open group or a nested model is listed where it begins.

    Parameters
    ----------
    groups
        The groups of a large network.

    Returns
    -------
    Sections of the list: ``path``, the heading (empty if the section continues the list after an inner group); the open
    group ``open`` (empty if the heading is none); the number ``depth`` of headings around its ``nodes``; and ``below``,
    what the filter finds under the heading. ``inside`` has the names of all nodes in a closed group, so that the filter
    finds them.
    """
    paths = {node.group for node in graph}
    around = {node.id: _headings(node, paths, groups) for node in graph}
    first: dict[Headings, int] = {}
    below: dict[Headings, list[str]] = {}
    items = {node.id: _item(node, graph, groups) for node in graph}
    for place, node in enumerate(graph):
        for outer in _outer(around[node.id]):
            first.setdefault(outer, place)
            below.setdefault(outer, []).append(" ".join(items[node.id][key] for key in ("id", "kind", "inside")))
    places = {
        node.id: (*(first[outer] for outer in _outer(around[node.id])), place) for place, node in enumerate(graph)
    }
    found: list[dict[str, Any]] = []
    listed: set[Headings] = set()
    for headings, nodes in groupby(sorted(graph, key=lambda node: places[node.id]), key=lambda node: around[node.id]):
        begun = [outer for outer in _outer(headings) if outer not in listed]
        for outer in begun or [headings]:
            path, opened = outer[-1] if begun else ("", "")
            texts = "\n".join(below.get(outer, ()))
            found.append({"path": path, "open": opened, "depth": len(outer), "nodes": [], "below": texts})
        found[-1]["nodes"] = [items[node.id] for node in nodes]
        listed.update(begun)
    return found


def layers_inside(graph: ModelGraph, groups: Groups) -> dict[str, list[list[str]]]:
    """Return id and kind of the layers in each closed group, by its id."""
    found = {node.id: groups.hidden_in(node.id) for node in graph if node.members}
    return {name: [[one.id, one.kind] for one in inner] for name, inner in found.items()}


def _headings(node: LayerNode, paths: Collection[str], groups: Groups | None) -> Headings:
    """Return the headings above a layer: the open groups around it, or else the nested models that have own layers."""
    opened = () if groups is None else groups.headings(node.id)
    if opened:
        return tuple((name, name) for name in reversed(opened))
    outer = accumulate(node.group.split("/"), "{}/{}".format) if node.group else ()
    return tuple((path, "") for path in outer if path in paths)


def _outer(headings: Headings) -> list[Headings]:
    return [headings[:depth] for depth in range(1, len(headings) + 1)]


def _item(node: LayerNode, graph: ModelGraph, groups: Groups | None) -> dict[str, str]:
    return {
        "id": node.id,
        "name": node.name,
        "kind": f"{node.kind} · output" if node.id in graph.outputs else node.kind,
        "shape": shape_text(node),
        "parameters": number_of_parameters(node.parameters) if node.parameters else "",
        "color": css(FAMILIES[family_of(node)]),
        "inside": " ".join(groups.members(node.id)) if groups is not None and node.members else "",
    }


def alarm_items(training: Training, step: int, graph: ModelGraph) -> dict[str, dict[str, str]]:
    """Return the text and colour of the alarms at a recorded step, by layer; the most serious alarm sets the colour."""
    found: dict[str, dict[str, str]] = {}
    for alarm in alarms(training, graph, training.recorded_index(step)):  # the most serious alarm comes first
        item = found.setdefault(alarm.layer, {"color": css(color_of(alarm)), "text": ""})
        item["text"] += ("\n" if item["text"] else "") + f"{alarm.title}: {alarm.words}"
    return found


def dead_items(session: Session) -> dict[str, dict[str, str]]:
    """Return the number of channels that no sample activates, and which they are, by shown layer or closed group."""
    found: dict[str, list[DeadChannels]] = {}
    for one in session.dead.layers:
        for shown in session.groups.shown_of(one.layer) if one.channels else ():
            found.setdefault(shown, []).append(one)
    return {
        shown: {
            "text": _dead_text(dead),
            "words": "\n".join(_dead_words(one, inside=one.layer != shown) for one in dead),
        }
        for shown, dead in found.items()
    }


def _dead_text(dead: Sequence[DeadChannels]) -> str:
    """Return how many channels there are of each kind: ``2 dead, 1 never active``."""
    counts = Counter[str]()
    for one in dead:
        counts[one.short] += len(one.channels)
    return ", ".join(f"{count:,} {short}" for short, count in counts.items())


def _dead_words(dead: DeadChannels, *, inside: bool) -> str:
    where = f"{dead.layer}: " if inside else ""
    return f"{where}{len(dead.channels):,} of {dead.total:,} are {dead.words}: {listed(dead.channels)}"
