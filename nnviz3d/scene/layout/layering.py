"""Ranks and lanes of nodes: the main path in one lane, branches around it.

The graph is cut into chains, longest first. The longest chain is the main path in lane 0; every other chain is in the
nearest lane that is free over its range of ranks. Ranks are longest distances from the inputs, as in layered drawing
(K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE SMC 11,
1981).
"""

from __future__ import annotations

from collections.abc import Iterable
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
    free = set(order)
    lanes: dict[str, int] = {}
    taken: dict[int, list[tuple[int, int]]] = {}
    while free:
        chain = _longest_chain(order, sources, free)
        free.difference_update(chain)
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


def _longest_chain(order: Iterable[str], sources: dict[str, tuple[str, ...]], free: set[str]) -> list[str]:
    length: dict[str, int] = {}
    previous: dict[str, str | None] = {}
    best: str | None = None
    for node in order:
        if node not in free:
            continue
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
