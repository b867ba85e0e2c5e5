"""Levels of a U-Net: its nodes by resolution, the encoder on the way down and the decoder on the way up.

A network is drawn as a U (O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015) if the resolution along its main path falls in at least two steps, rises again to at least half
of the first one, and data also flow directly from the falling to the rising side at most of these resolutions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnviz3d.data.graph import ModelGraph
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.layout.layering import RankAndLane

_LEAST_FALLS = 2
"""Minimum number of steps in which the resolution falls."""
_STEP_SHARE = 0.6
"""Least share of a block's width behind which the block of the next level begins."""
_BESIDE = 0.4
"""World distance from a block to the route that leads down from it."""
_SPREAD = 1.05
"""World distance by which it begins further to the right for each unit of the factor of the gaps above 1."""
_MOST_RANKS = 64
"""A longer network would be too small to see as a U."""


def levels_of(
    graph: ModelGraph, grids: Mapping[str, CellGrid], positions: Mapping[str, RankAndLane]
) -> dict[str, int] | None:
    """Return the level of each node, 0 for the highest resolution; `None` if the network is no U-Net."""
    if not grids or max(position.rank for position in positions.values()) >= _MOST_RANKS:
        return None
    sizes = {name: size for name, grid in grids.items() if (size := _resolution(grid)) > 1}
    path = sorted((name for name in sizes if positions[name].lane == 0), key=lambda name: positions[name].rank)
    if len(path) < 2 * _LEAST_FALLS + 1:
        return None
    largest = max(sizes.values())
    # Without padding each convolution takes a few pixels away; that is no step.
    found = {name: round(math.log2(largest / size)) for name, size in sizes.items()}
    along = [found[name] for name in path]
    deepest = max(along)
    bottom = along.index(deepest)
    falling, rising = along[: bottom + 1], along[bottom:]
    if falling != sorted(falling) or rising != sorted(rising, reverse=True) or rising[-1] > falling[0] + 1:
        return None
    if len(set(falling)) <= _LEAST_FALLS or len(set(rising)) <= _LEAST_FALLS:
        return None
    before = {name for name in sizes if positions[name].rank <= positions[path[bottom]].rank}
    across = {
        found[edge.source]
        for edge in graph.edges
        if edge.source in before and edge.target in sizes and edge.target not in before
        if found[edge.source] == found[edge.target] < deepest
    }
    if len(across) < len(set(falling)) / 2:
        return None
    numbers = {level: number for number, level in enumerate(sorted(set(found.values())))}
    return _completed(graph, {name: numbers[level] for name, level in found.items()})


@dataclass(frozen=True)
class Levels:
    """The level of each node of a U-Net, and the factor of the gaps along a level.

    Attributes
    ----------
    of
        Level by node id, as `levels_of` returns it.
    """

    of: Mapping[str, int]
    along: float = 0.6

    def stepped(
        self, lefts: Sequence[float], widths: Sequence[float], positions: Mapping[str, RankAndLane], graph: ModelGraph
    ) -> tuple[list[float], list[float]]:
        """Return the left and the right x of each rank: a block of the next level is partly below or above the last one.

        Parameters
        ----------
        lefts, widths
            The left x and the width of each rank in one row.
        """
        steps = self._steps(positions, graph)
        moved, found = 0.0, []
        for rank, left in enumerate(lefts):
            if rank in steps:
                # The route leads down beside the block before, into the middle of this one.
                beside = widths[rank - 1] + _BESIDE - widths[rank] / 2
                aside = max(_STEP_SHARE * widths[rank - 1], beside) + _SPREAD * max(self.along - 1, 0.0)
                moved += left - lefts[rank - 1] - aside
            elif rank:
                moved += (left - lefts[rank - 1] - widths[rank - 1]) * (1 - self.along)
            found.append(left - moved)
        return found, [left + width for left, width in zip(found, widths, strict=True)]

    def _steps(self, positions: Mapping[str, RankAndLane], graph: ModelGraph) -> frozenset[int]:
        """Return the ranks whose blocks are on other levels than all blocks of the rank before.

        There are none if an edge leads to another level farther on, because its route would cross such blocks.
        """
        for edge in graph.edges:
            near = positions[edge.target].rank == positions[edge.source].rank + 1
            if self.of[edge.source] != self.of[edge.target] and not near:
                return frozenset()
        there: dict[int, set[int]] = {}
        for name, position in positions.items():
            there.setdefault(position.rank, set()).add(self.of[name])
        return frozenset(rank for rank, found in there.items() if rank and not found & there[rank - 1])


def _resolution(grid: CellGrid) -> int:
    """Return the greatest number of locations along one axis; 0 for a vector or a number."""
    return 0 if len(grid.shape) < 2 or grid.tokens else max(grid.location_shape, default=0)


def _completed(graph: ModelGraph, levels: dict[str, int]) -> dict[str, int]:
    """Give each node without a resolution the level of what it takes, or else of what takes it."""
    for node in graph:
        if node.id not in levels:
            around = [levels[source] for source in graph.sources(node.id) if source in levels]
            if around:
                levels[node.id] = max(around)
    for node in reversed(graph.nodes):
        if node.id not in levels:
            around = [levels[edge.target] for edge in graph.edges_from(node.id) if edge.target in levels]
            levels[node.id] = min(around, default=0)
    return levels
