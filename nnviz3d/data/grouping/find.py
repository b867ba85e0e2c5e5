"""Find the groups of a graph: nested models, numbered blocks, parallel branches, and stretches of a long chain.

Groups are nested. Within each one, its nodes are sorted into groups by their names (`names`), then each part between two
nodes through which all data flow, if it has branches, is a group, and if there are still too many parts, stretches of them
are groups. Contracting any groups gives a graph without cycles.

All of this depends on the graph alone, and takes a time that grows about as the number of its nodes and edges.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.grouping.names import Key, id_of, is_default, keys_of, levels

MOST = 40
"""Maximum number of nodes and groups side by side; a graph with at most so many nodes is shown as it is."""
_MOST_INSIDE = 60
"""Maximum number of nodes and groups side by side in a group."""
_NEAREST = 4
"""Number of groups before and behind a node that are looked at."""
_LEAST = 2
"""Minimum number of parts of a group."""
_LEAST_BRANCHED = 4
"""Minimum number of parts between two nodes through which all data flow."""
_FEW = 8
"""Of more parts than these, at most half are one stretch; a stretch of nearly all would divide nothing."""
_SHORTEST = 6.0
"""Least number of parts in a stretch on average."""
_PARTS = 24
"""Number of stretches into which too many parts are divided."""


@dataclass(frozen=True)
class Group:
    """A set of nodes that may be shown as one.

    Attributes
    ----------
    id
        Differs from all node ids and from other groups' ids.
    members
        Node ids in the graph's order, those of inner groups included.
    parent
        Id of the group around it; `None` at the top.
    named
        Whether the names of its nodes tell the group; otherwise the structure does.
    """

    id: str
    members: tuple[str, ...]
    parent: str | None = None
    named: bool = True


def find_groups(graph: ModelGraph, apart: Iterable[str] = ()) -> tuple[Group, ...]:
    """Find the groups of a graph, each before its inner groups.

    Parameters
    ----------
    apart
        Nodes that belong to no group, besides the inputs and outputs of the model.
    """
    return _Finder(graph, frozenset((*graph.inputs, *graph.outputs, *apart))).found


Part = tuple[str, ...]
"""Nodes that are side by side with other parts: one node, or the members of a group."""


class _Finder:
    """Finds the groups of one graph."""

    def __init__(self, graph: ModelGraph, apart: frozenset[str]) -> None:
        self._graph = graph
        self._apart = apart
        self._order = {node.id: i for i, node in enumerate(graph)}
        self._targets: dict[str, list[str]] = {node.id: [] for node in graph}
        for edge in graph.edges:
            self._targets[edge.source].append(edge.target)
        self._keys = keys_of(graph)
        self._taken = set(self._order)
        groups: list[Group] = []
        pending: list[tuple[tuple[str, ...], str | None, frozenset[Key]]] = [(tuple(self._order), None, frozenset())]
        while pending:
            members, parent, inside = pending.pop()
            most = MOST if parent is None else _MOST_INSIDE
            for part, name, key in self._divided(members, inside, most):
                group = Group(self._free(name), part, parent, named=key is not None)
                groups.append(group)
                pending.append((part, group.id, inside if key is None else inside | {key}))
        by_parent: dict[str | None, list[Group]] = {}
        for group in groups:
            by_parent.setdefault(group.parent, []).append(group)
        self.found = tuple(_in_order(by_parent))

    def _free(self, name: str) -> str:
        """Return a name that no node and no other group has."""
        number, free = 1, name
        while free in self._taken:
            number, free = number + 1, f"{name} group{number if number > 1 else ''}"
        self._taken.add(free)
        return free

    def _divided(self, members: Sequence[str], inside: frozenset[Key], most: int) -> list[tuple[Part, str, Key | None]]:
        """Return the groups directly inside some nodes, in order: members, name, and key if the name is from names."""
        named = self._named(members, inside)
        keys: dict[Part, Key] = {part: key for key, part in named.items()}
        parts = self._sorted(self._parts(members, named.values()))
        names = {part: id_of(key) for part, key in keys.items()}
        parts = self._joined(parts, self._branched(parts), names)
        if len(parts) > most:
            parts = self._joined(parts, self._stretches(parts), names)
        if len(parts) < _LEAST:
            return []
        return [(part, names[part], keys.get(part)) for part in parts if part in names]

    def _named(self, members: Sequence[str], inside: frozenset[Key]) -> dict[Key, Part]:
        """Return the groups that the names tell, completed by nodes between their members."""
        claimed = levels(self._keys, (name for name in members if name not in self._apart), inside)
        found = {key: names for key, names in claimed.items() if len(names) >= _LEAST}
        owner = {name: key for key, names in found.items() for name in names}
        owner |= self._between(members, owner)
        found = {}
        for name in members:
            if name in owner:
                found.setdefault(owner[name], []).append(name)
        return self._without_cycles(members, {key: tuple(names) for key, names in found.items()})

    def _between(self, members: Sequence[str], owner: Mapping[str, Key]) -> dict[str, Key]:
        """Return the group of each node without one that is between members of one, or only prepares what one takes."""
        within = set(members)
        free = [name for name in members if name not in owner and name not in self._apart]
        if not free or not owner:
            return {}
        # For each node the groups that its data come from and flow to through other such nodes, with the nearest member.
        before: dict[str, dict[Key | None, int]] = {}
        after: dict[str, dict[Key | None, int]] = {}
        for found, order, neighbours, sign in (
            (before, free, self._graph.sources, 1),
            (after, free[::-1], self._targets.__getitem__, -1),
        ):
            for name in order:
                around: dict[Key | None, int] = {}
                for other in neighbours(name):
                    reached = found.get(
                        other, {owner.get(other) if other in within else None: sign * self._order[other]}
                    )
                    for key, place in reached.items():
                        around[key] = max(place, around.get(key, place))
                nearest = sorted(around, key=around.__getitem__)[-_NEAREST:]
                found[name] = {key: around[key] for key in nearest}
        joined: dict[str, Key] = {}
        for name in reversed(free):
            shared = {key for key in before[name].keys() & after[name].keys() if key is not None}
            takers = {joined.get(target, owner.get(target)) for target in self._targets[name]}
            only = next(iter(takers)) if len(takers) == 1 else None
            if len(shared) == 1:
                joined[name] = next(iter(shared))
            elif only is not None and is_default(node := self._graph.node(name)) and not node.parameters:
                joined[name] = only
        return joined

    def _without_cycles(self, members: Sequence[str], named: Mapping[Key, Part]) -> dict[Key, Part]:
        """Return the groups that can be contracted together; the others fall apart."""
        kept = {key: part for key, part in named.items() if _LEAST <= len(part) < len(members)}
        while kept:
            parts = self._parts(members, kept.values())
            cyclic = set(self._cyclic(parts))
            if not cyclic:
                return kept
            bad = [key for key, part in kept.items() if part in cyclic]
            smallest = min(len(kept[key]) for key in bad)
            kept = {key: part for key, part in kept.items() if key not in bad or len(part) > smallest}
        return kept

    def _parts(self, members: Sequence[str], groups: Iterable[Part]) -> list[Part]:
        """Return groups and the single nodes beside them."""
        groups = list(groups)
        inside = {name for part in groups for name in part}
        return [*groups, *((name,) for name in members if name not in inside)]

    def _links(self, parts: Sequence[Part]) -> list[set[int]]:
        """Return the parts to which data flow from each part, by position."""
        of = {name: i for i, part in enumerate(parts) for name in part}
        links: list[set[int]] = [set() for _ in parts]
        for name, i in of.items():
            links[i].update(of[target] for target in self._targets[name] if of.get(target, i) != i)
        return links

    def _sorted(self, parts: Sequence[Part]) -> list[Part]:
        """Return parts so that data flow from earlier ones to later ones; parts in cycles are missing."""
        links = self._links(parts)
        waits = [0] * len(parts)
        for targets in links:
            for target in targets:
                waits[target] += 1
        ready = [(self._order[part[0]], i) for i, part in enumerate(parts) if not waits[i]]
        heapq.heapify(ready)
        ordered: list[Part] = []
        while ready:
            _, i = heapq.heappop(ready)
            ordered.append(parts[i])
            for target in links[i]:
                waits[target] -= 1
                if not waits[target]:
                    heapq.heappush(ready, (self._order[parts[target][0]], target))
        return ordered

    def _cyclic(self, parts: Sequence[Part]) -> list[Part]:
        """Return the parts that are in cycles or between two cycles."""
        left = set(parts) - set(self._sorted(parts))
        if not left:
            return []
        # The rest waits for cycles; without those that no cycle waits for, only the cycles and what is between are left.
        rest = [part for part in parts if part in left]
        links = self._links(rest)
        sources: list[list[int]] = [[] for _ in rest]
        for i, targets in enumerate(links):
            for target in targets:
                sources[target].append(i)
        counts = [len(targets) for targets in links]
        pending = [i for i, count in enumerate(counts) if not count]
        gone = set(pending)
        while pending:
            for i in sources[pending.pop()]:
                counts[i] -= 1
                if not counts[i] and i not in gone:
                    gone.add(i)
                    pending.append(i)
        return [part for i, part in enumerate(rest) if i not in gone]

    def _branched(self, parts: Sequence[Part]) -> list[tuple[int, int]]:
        """Return the stretches from behind one part through which all data flow to the next, where there are branches."""
        crossing = self._crossing(parts)
        cuts = [i for i in range(len(parts)) if not crossing[i]]
        found: list[tuple[int, int]] = []
        for before, after in zip([-1, *cuts], cuts, strict=False):
            if after - before >= _LEAST_BRANCHED:
                found.append((before + 1, after + 1))
            elif found and found[-1][1] == after and after - before == 1 and self._continues(parts[after]):
                found[-1] = (found[-1][0], after + 1)  # the activation behind a merge
        return self._allowed(parts, found, _LEAST_BRANCHED)

    def _continues(self, part: Part) -> bool:
        """Whether a part is a layer without weights, whose shape is that of its only source."""
        if len(part) > 1:
            return False
        node, sources = self._graph.node(part[0]), self._graph.sources(part[0])
        return not node.parameters and len(sources) == 1 and self._graph.node(sources[0]).shape == node.shape

    def _crossing(self, parts: Sequence[Part]) -> list[int]:
        """Return how many connections between other parts, inside or outside, pass each part."""
        change = [0] * (len(parts) + 1)
        spans = [(i, target) for i, targets in enumerate(self._links(parts)) for target in targets]
        of = {name: i for i, part in enumerate(parts) for name in part}
        for name, i in of.items():
            spans.extend((-1, i) for source in self._graph.sources(name) if source not in of)
            spans.extend((i, len(parts)) for target in self._targets[name] if target not in of)
        for source, target in set(spans):
            if target > source + 1:
                change[source + 1] += 1
                change[target] -= 1
        total, found = 0, []
        for step in change[:-1]:
            total += step
            found.append(total)
        return found

    def _stretches(self, parts: Sequence[Part]) -> list[tuple[int, int]]:
        """Divide parts into stretches of similar length, preferably where few connections pass and the shape changes."""
        crossing = self._crossing(parts)
        length = max(_SHORTEST, len(parts) / _PARTS)
        starts, first = [0], 0
        while first + 1.5 * length < len(parts):
            ideal = first + length
            window = range(
                max(first + 2, round(first + 0.6 * length)), min(len(parts), round(first + 1.4 * length) + 1)
            )
            first = min(window, key=lambda i: (self._cost(parts, crossing, i), abs(i - ideal)), default=round(ideal))
            starts.append(first)
        return self._allowed(parts, zip(starts, [*starts[1:], len(parts)], strict=True), _LEAST)

    def _cost(self, parts: Sequence[Part], crossing: Sequence[int], start: int) -> tuple[int, bool, bool, bool]:
        """Return how bad it is to begin a stretch at a part: best where the resolution or the shape changes."""
        before, here = (self._graph.node(part[-1]) for part in parts[start - 1 : start + 1])
        weightless = len(parts[start]) == 1 and not here.parameters
        same = here.location_shape == before.location_shape
        return crossing[start - 1], same, here.shape == before.shape, weightless

    def _allowed(
        self, parts: Sequence[Part], stretches: Iterable[tuple[int, int]], least: int
    ) -> list[tuple[int, int]]:
        """Return stretches without nodes that belong to no group; those with too few or nearly all parts are left out."""
        found = []
        for start, end in stretches:
            first = start
            for i in range(start, end + 1):
                if i == end or parts[i][0] in self._apart:
                    if i - first >= least:
                        found.append((first, i))
                    first = i + 1
        return [(start, end) for start, end in found if end - start <= max(len(parts) // 2, min(_FEW, len(parts) - 1))]

    def _joined(
        self, parts: Sequence[Part], stretches: Iterable[tuple[int, int]], names: dict[Part, str]
    ) -> list[Part]:
        """Return parts with each stretch as one part, named after its ends."""
        joined: list[Part] = []
        done = 0
        for start, end in stretches:
            joined.extend(parts[done:start])
            inside = parts[start:end]
            part = tuple(sorted((name for one in inside for name in one), key=self._order.__getitem__))
            ends = [names.get(one) or one[-1] for one in (inside[0], inside[-1])]
            names[part] = f"{_first_of(ends[0])} … {_last_of(ends[1])}"
            joined.append(part)
            done = end
        return [*joined, *parts[done:]]


def _first_of(name: str) -> str:
    return name.partition(" … ")[0]


def _last_of(name: str) -> str:
    return name.rpartition(" … ")[2].rpartition("/")[2]


def _in_order(by_parent: Mapping[str | None, Sequence[Group]]) -> Iterable[Group]:
    """Yield groups in the order of the flow, each before its inner groups."""
    pending = [*by_parent.get(None, ())][::-1]
    while pending:
        group = pending.pop()
        yield group
        pending.extend([*by_parent.get(group.id, ())][::-1])
