"""Division of a network into the stages of a story: runs of layers along the flow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from nnviz3d.data.graph import LayerNode, ModelGraph, connecting_nodes

MOST = 7
"""Maximum number of stages."""
_MOST_RUNS = 64
"""Maximum number of runs of layers that are compared when stages are made of them."""
_DIP = 3
"""Maximum number of runs in a side branch of small tensors, such as that of a squeeze-and-excitation block."""
_OTHER_RANK, _OTHER_SIZE, _OTHER_GROUP = 100.0, 10.0, 7.5
"""Costs of a stage that goes on where the tensors change from maps to vectors, where their height and width change, and of
each group that ends or begins there; a stage that is longer by one run costs 1."""


@dataclass(frozen=True)
class Stage:
    """Layers that a story tells of at once.

    Attributes
    ----------
    nodes
        Along the flow; at least one.
    """

    nodes: tuple[LayerNode, ...]

    @property
    def name(self) -> str:
        """Its layer, or its first and last layer."""
        first, last = self.nodes[0].id, self.nodes[-1].id
        return first if first == last else f"{first} … {last}"


@dataclass(frozen=True)
class _Run:
    """Neighbouring layers: usually one with weights, and those without that follow it."""

    nodes: tuple[LayerNode, ...]
    count: int = 1

    def plus(self, other: _Run) -> _Run:
        return _Run((*self.nodes, *other.nodes), self.count + other.count)

    @property
    def locations(self) -> tuple[int | None, ...]:
        return self.nodes[0].location_shape

    @property
    def size(self) -> int:
        return math.prod(n or 1 for n in self.locations)


def stages_of(
    graph: ModelGraph, rank: Callable[[str], int], groups: Callable[[str], tuple[str, ...]]
) -> tuple[Stage, ...]:
    """Divide the layers of a network, without its inputs, into at most `MOST` stages.

    A stage begins at a layer with weights, or with a group. Of a deep network several such layers are one stage, if
    possible layers of one group, or layers whose tensors have the same height and width. The last of these parts is a
    stage of its own.

    Parameters
    ----------
    rank
        Returns the position of a node along the flow.
    groups
        Returns the groups around a node.
    """
    inner = sorted((node for node in graph if node.id not in graph.inputs), key=lambda node: rank(node.id))
    runs = _runs(inner, set(connecting_nodes(graph)), groups)
    if not runs:
        return ()
    *first, last = runs
    merged = _merged(first, MOST - 1, groups)
    return tuple(Stage(run.nodes) for run in (*merged, last))


_Groups = Callable[[str], tuple[str, ...]]


def _runs(nodes: Iterable[LayerNode], weighted: set[str], groups: _Groups) -> list[_Run]:
    """Return runs that begin at a layer with weights, or at another group, and have weights if there are any."""
    found: list[list[LayerNode]] = []
    for node in nodes:
        has_weights = not found or any(one.id in weighted for one in found[-1])
        begins = not found or node.id in weighted or groups(node.id) != groups(found[-1][-1].id)
        if (begins and has_weights) or not weighted:
            found.append([])
        found[-1].append(node)
    return [_Run(tuple(run)) for run in found]


def _merged(runs: Sequence[_Run], most: int, groups: _Groups) -> list[_Run]:
    """Join neighbouring runs until there are few, those first that belong together."""
    found = list(runs)
    if len(found) > _MOST_RUNS:
        keyed = zip(found, _sizes(found), strict=True)
        alike = groupby(keyed, key=lambda one: (len(one[0].locations), one[1], groups(one[0].nodes[0].id)))
        found = [_joined([run for run, _ in same]) for _, same in alike]
    while len(found) > _MOST_RUNS:
        found = [_joined(found[i : i + 2]) for i in range(0, len(found), 2)]
    while len(found) > most:
        sizes = _sizes(found)
        ends = [(set(groups(one.nodes[-1].id)), set(groups(other.nodes[0].id))) for one, other in pairwise(found)]
        apart = [len(before ^ after) for before, after in ends]
        costs = [
            _cost(one, other, sizes[i], sizes[i + 1]) + _OTHER_GROUP * apart[i]
            for i, (one, other) in enumerate(pairwise(found))
        ]
        at = costs.index(min(costs))
        found[at : at + 2] = [found[at].plus(found[at + 1])]
    return found


def _joined(runs: Sequence[_Run]) -> _Run:
    return _Run(tuple(node for run in runs for node in run.nodes), sum(run.count for run in runs))


def _sizes(runs: Sequence[_Run]) -> list[int]:
    """Return the number of locations of each run; a short side branch of smaller tensors counts as what it leaves."""
    sizes = [run.size for run in runs]
    for i in range(1, len(sizes)):
        before = sizes[i - 1]
        if sizes[i] < before and before in sizes[i + 1 : i + 1 + _DIP]:
            sizes[i] = before
    return sizes


def _cost(one: _Run, other: _Run, size: int, other_size: int) -> float:
    cost = float(one.count + other.count)
    if size != other_size:
        cost += _OTHER_SIZE
        cost += _OTHER_RANK * (len(one.locations) != len(other.locations))
    return cost
