"""A graph with some of its groups closed: each closed group is one node."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from nnviz3d.data.graph import MEMBERS, Edge, LayerNode, ModelGraph
from nnviz3d.data.grouping.find import MOST, Group, find_groups

_NUMBER = re.compile(r"\d+(@\d+)?$")
"""The number at the end of a group's name."""


@dataclass(frozen=True)
class Grouping:
    """The groups of a graph.

    Attributes
    ----------
    groups
        Each before its inner groups.
    """

    graph: ModelGraph
    groups: tuple[Group, ...]

    @staticmethod
    def of(graph: ModelGraph, apart: Iterable[str] = ()) -> Grouping:
        """Find the groups of a graph; nodes `apart` belong to none."""
        return Grouping(graph, find_groups(graph, apart))

    @cached_property
    def by_id(self) -> Mapping[str, Group]:
        """The groups by id."""
        return {group.id: group for group in self.groups}

    @cached_property
    def everything(self) -> frozenset[str]:
        """The ids of all groups: with these open, the graph is as it is without groups."""
        return frozenset(self.by_id)

    def around(self, name: str) -> tuple[str, ...]:
        """Return the ids of the groups around a node or a group, the innermost first; a group itself is not listed."""
        parent = self.by_id[name].parent if name in self.by_id else self._innermost.get(name)
        found = []
        while parent is not None:
            found.append(parent)
            parent = self.by_id[parent].parent
        return tuple(found)

    @cached_property
    def _innermost(self) -> Mapping[str, str]:
        return {name: group.id for group in self.groups for name in group.members}

    def automatic(self, most: int = MOST) -> frozenset[str]:
        """Return the groups to open, level by level, as long as at most `most` nodes and groups are side by side.

        In a graph of at most `most` nodes all groups are open. Numbered blocks stay closed if there is no room for all of
        their nodes and their parts have no names: a row of alike blocks says more than parts of each.
        """
        if len(self.graph) <= most:
            return self.everything
        opened: frozenset[str] = frozenset()
        level = [group.id for group in self.groups if group.parent is None]
        while level:
            wider = opened | set(level)
            if self._count(wider) > most:
                break
            alike = self._alike(level)
            if (
                alike
                and self._count(wider | {one.id for one in self.groups if alike & set(self.around(one.id))}) > most
            ):
                wider -= alike
            opened = wider
            level = [group.id for group in self.groups if group.parent in level and group.parent in opened]
        return opened

    def _alike(self, level: Iterable[str]) -> set[str]:
        """Return the groups of a level that differ from another one in their number, and whose parts have no names."""
        unnamed = {group.parent for group in self.groups if not group.named}
        numbered = {name: _NUMBER.sub("", name) for name in level if self.by_id[name].named and _NUMBER.search(name)}
        counts = Counter(numbered.values())
        alike = {name for name, stem in numbered.items() if counts[stem] > 1}
        stems = {numbered[name] for name in alike & unnamed}
        return {name for name in alike if numbered[name] in stems}

    def _count(self, opened: Collection[str]) -> int:
        """Return the number of nodes and groups that are side by side."""
        return len(set(self.shown(opened).values()))

    def shown(self, opened: Collection[str]) -> dict[str, str]:
        """Return for each node what is shown of it: itself, or the outermost closed group around it."""
        found = {node.id: node.id for node in self.graph}
        for group in reversed(self.groups):
            if group.id not in opened:
                found.update(dict.fromkeys(group.members, group.id))
        return found


@dataclass(frozen=True)
class Contracted:
    """A graph in which closed groups are single nodes; make one with `contract`.

    Attributes
    ----------
    graph
        A group's outputs are those of its nodes that lead out of it, that of the last node first. Edges that would be
        equal are one.
    shown
        For each node of the original graph, the node that stands for it.
    outputs
        For each closed group the original node and the index of its output, for each output of the group.
    origins
        For each edge the positions of its original edges; edges inside a closed group have none.
    """

    graph: ModelGraph
    shown: Mapping[str, str]
    outputs: Mapping[str, tuple[tuple[str, int], ...]]
    origins: Mapping[Edge, tuple[int, ...]]


def contract(grouping: Grouping, opened: Collection[str]) -> Contracted:
    """Contract all groups that are not open."""
    graph = grouping.graph
    shown = grouping.shown(opened)
    closed = {name for name in shown.values() if name in grouping.by_id}
    outputs = {name: _leaving(graph, grouping.by_id[name], shown) for name in closed}
    number = {(name, *one): k for name, found in outputs.items() for k, one in enumerate(found)}
    origins: dict[Edge, list[int]] = {}
    for i, edge in enumerate(graph.edges):
        source, target = shown[edge.source], shown[edge.target]
        if source != target:
            output = number.get((source, edge.source, edge.output), edge.output)
            origins.setdefault(Edge(source, target, output), []).append(i)
    nodes = {
        name: _node_of(graph, grouping.by_id[name], outputs[name]) if name in closed else graph.node(name)
        for name in dict.fromkeys(shown[node.id] for node in graph)
    }
    ordered = tuple(nodes[name] for name in _sorted(nodes, origins))
    contracted = ModelGraph(graph.name, ordered, tuple(origins), graph.inputs, graph.outputs)
    return Contracted(contracted, shown, outputs, {edge: tuple(found) for edge, found in origins.items()})


def _leaving(graph: ModelGraph, group: Group, shown: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Return the outputs that lead out of a group, that of the last node first."""
    inside = set(group.members)
    found = {
        (edge.source, edge.output)
        for name in group.members
        for edge in graph.edges_from(name)
        if edge.target not in inside
    }
    order = {name: i for i, name in enumerate(group.members)}
    return tuple(sorted(found or {(group.members[-1], 0)}, key=lambda one: (-order[one[0]], one[1])))


def _node_of(graph: ModelGraph, group: Group, outputs: tuple[tuple[str, int], ...]) -> LayerNode:
    members = [graph.node(name) for name in group.members]
    kinds = Counter(node.kind for node in members)
    shapes = []
    for name, k in outputs:
        known = graph.node(name).shapes
        shapes.append(known[k] if k < len(known) else ())
    last, output = outputs[0]
    return LayerNode(
        path=group.id,
        call=0,
        kind=f"{len(members):,} layers",
        shapes=tuple(shapes),
        parameters=sum(node.parameters for node in members),
        details={
            MEMBERS: len(members),
            "shows": last,
            "consists of": ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
        },
        named_axes=graph.node(last).named_axes_of(output),
    )


def _sorted(nodes: Mapping[str, LayerNode], edges: Iterable[Edge]) -> list[str]:
    """Return nodes in topological order, otherwise in their own."""
    place = {name: i for i, name in enumerate(nodes)}
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    waits = dict.fromkeys(nodes, 0)
    for edge in edges:
        targets[edge.source].append(edge.target)
        waits[edge.target] += 1
    ready = [(place[name], name) for name, count in waits.items() if not count]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, name = heapq.heappop(ready)
        ordered.append(name)
        for target in targets[name]:
            waits[target] -= 1
            if not waits[target]:
                heapq.heappush(ready, (place[target], target))
    return ordered
