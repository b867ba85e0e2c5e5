"""Ranks and lanes of nodes: the main path in one lane, branches around it.

The graph is cut into chains, longest first. The longest chain is the main path in lane 0; every other chain is in the
nearest lane that is free over its range of ranks. Ranks are longest distances from the inputs, as in layered drawing
(K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE SMC 11,
1981).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from nnviz3d.data.graph import ModelGraph


@dataclass(frozen=True)
class RankAndLane:
    """The position of a node along the flow and across it: 0 is the lane of the main path."""

    rank: int
    lane: int


def assign_ranks_and_lanes(graph: ModelGraph) -> dict[str, RankAndLane]:
    """Assign every node a rank and a lane; no two nodes share both."""
    sources = {node.id: graph.sources(node.id) for node in graph}
    targets: dict[str, list[str]] = {node.id: [] for node in graph}
    for edge in graph.edges:
        targets[edge.source].append(edge.target)
    ranks: dict[str, int] = {}
    for node in graph:
        ranks[node.id] = 1 + max((ranks[s] for s in sources[node.id]), default=-1)

    order = [node.id for node in graph]
    lanes: dict[str, int] = {}
    taken: dict[int, list[tuple[int, int]]] = {}
    for chain in _chains(order, sources, targets):
        before = max((ranks[s] for s in sources[chain[0]]), default=None)
        after = min((ranks[t] for t in targets[chain[-1]]), default=None)
        _slide(chain, ranks, targets, joined=before is not None)
        first, last = ranks[chain[0]], ranks[chain[-1]]
        # The ranks from the split to the merge have to be free as well.
        stretch = (first if before is None else min(first, before + 1), last if after is None else max(last, after - 1))
        lane = _nearest_free(taken, stretch)
        taken.setdefault(lane, []).append(stretch)
        lanes.update(dict.fromkeys(chain, lane))
    return {node: RankAndLane(ranks[node], lanes[node]) for node in order}


def _chains(
    order: Sequence[str], sources: Mapping[str, Sequence[str]], targets: Mapping[str, Sequence[str]]
) -> Iterator[list[str]]:
    """Yield chains that contain each node once, always the longest one of the nodes that are left.

    Without a chain, the rest falls apart into parts without edges between them. Only the part of the last chain is searched
    again, so that many short branches take little time.
    """
    place = {node: i for i, node in enumerate(order)}
    waiting: list[tuple[int, int, list[str], list[str]]] = []

    def add(part: list[str]) -> None:
        chain = _longest_chain(part, sources, set(part))
        heapq.heappush(waiting, (-len(chain), place[chain[-1]], chain, part))

    add(list(order))
    while waiting:
        *_, chain, part = heapq.heappop(waiting)
        yield chain
        left = set(part).difference(chain)
        for piece in _pieces([node for node in part if node in left], left, sources, targets):
            add(piece)


def _pieces(
    nodes: Sequence[str], left: set[str], sources: Mapping[str, Sequence[str]], targets: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    """Divide nodes into parts without edges between them; each part is in their order."""
    number: dict[str, int] = {}
    count = 0
    for start in nodes:
        if start in number:
            continue
        number[start] = count
        pending = [start]
        while pending:
            node = pending.pop()
            for other in (*sources[node], *targets[node]):
                if other in left and other not in number:
                    number[other] = count
                    pending.append(other)
        count += 1
    parts: list[list[str]] = [[] for _ in range(count)]
    for node in nodes:
        parts[number[node]].append(node)
    return parts


def _longest_chain(order: Iterable[str], sources: Mapping[str, Sequence[str]], free: set[str]) -> list[str]:
    """Return the longest chain of free nodes; of several, the one whose end comes first."""
    length: dict[str, int] = {}
    previous: dict[str, str | None] = {}
    best: str | None = None
    for node in order:
        come_from = max((s for s in sources[node] if s in free), key=lambda s: length[s], default=None)
        previous[node] = come_from
        length[node] = 1 + (length[come_from] if come_from is not None else 0)
        if best is None or length[node] > length[best]:
            best = node
    chain: list[str] = []
    while best is not None:
        chain.append(best)
        best = previous[best]
    return chain[::-1]


def _slide(chain: list[str], ranks: dict[str, int], targets: dict[str, list[str]], *, joined: bool) -> None:
    """Move a side chain to the middle of its slack, or, if it has no source, next to its target."""
    inside = set(chain)
    slack = min((ranks[t] - 1 - ranks[n] for n in chain for t in targets[n] if t not in inside), default=0)
    shift = slack // 2 if joined else slack
    for node in chain:
        ranks[node] += shift


def _nearest_free(taken: dict[int, list[tuple[int, int]]], stretch: tuple[int, int]) -> int:
    for distance in count():
        for lane in (distance, -distance) if distance else (0,):
            if all(last < stretch[0] or first > stretch[1] for first, last in taken.get(lane, ())):
                return lane
    raise AssertionError("unreachable: there is always a free lane further out")
