"""Layout of the blocks: along the flow, branches in separate lanes, long networks folded into rows like text.

Layers that only process the output of one other layer (normalization, activation, dropout) are close behind it and form
a group with it. The number of rows is the one with the nearest camera, so that 3, 9 and 150 layers all fill the frame.

The layout depends only on the graph and on shapes, never on numbers. So samples and training steps can be compared in
place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.scene.camera import MARGINS, fit
from nnviz3d.scene.layout.block_sizes import MAP_EXTENT, block_sizes, known_shape
from nnviz3d.scene.layout.cells import CellGrid, grid_for
from nnviz3d.scene.layout.layering import RankAndLane, assign_ranks_and_lanes
from nnviz3d.scene.layout.levels import Levels, levels_of
from nnviz3d.scene.layout.plan import Placement, Plan, Row
from nnviz3d.scene.layout.sequences import Sequences
from nnviz3d.scene.primitives import Vector

_SHEET_WIDTHS = (0.45, 0.3, 0.36, 0.53, 0.65, 0.8, 1.1, 1.5)
"""Widths of a sheet of tokens over its height that are tried; for a long network only the first one."""
_SHEETS_TRIED = 120
"""Greatest number of nodes for which several widths are tried."""
GAP = 1.05
"""World distance between blocks along the flow."""
_TIGHT = 0.28
"""World distance between blocks within a group."""
_WITH_WEIGHTS = ("Conv", "Dense", "Attention", "LSTM", "GRU", "RNN")
"""Kinds of layers that are never in a group with the layer before them."""
_BEHIND = 0.6
"""Gap between a volume, or a block of more axes, and a vector after it, as a share of the block's depth."""
_ROOM_FOR_NUMBERS = 1.2
"""Additional distance after an output whose numbers are written beside it."""
_ROOM_FOR_LINES = 1.3
"""Additional distance before a layer to which lines of weights lead."""
_ROOM_FOR_WORDS = 3.0
"""Additional distance before a vector of tokens that is made from text: its words are beside it."""
_ROW_GAP, _ROOM_FOR_BLOCK_NAMES = 0.75, 0.65
_LABEL_SHARE = 0.062
"""Height of a label as a share of the picture's."""
_FREE_SHARE = 0.65
"""Height of a picture's free part over that of the picture, as wide as the rows."""
_MOST_ROWS = 14
_SHORTEST_ROW = 14.0
"""World width of a row of sheets of tokens from which on there may be a further row."""
_CLOSE = 1.04
"""Factor by which the camera may be farther away for wider gaps."""
_FARTHER_FOR_LEVELS = 2.4
"""Factor by which the camera may be farther away to see a U-Net as a U."""
_DEPTHS = (6.0, 4.5, 3.5, 2.8, 2.2, 1.7, 1.3)
"""Factors of the distance between the levels of a U-Net that are tried."""
_ALONG = (5.0, 4.0, 3.2, 2.5, 1.9, 1.4, 1.0, 0.75)
"""Factors of the gaps along a level of a U-Net that are tried."""
_EASES = (2.4, 2.1, 1.8, 1.5, 1.3, 1.15, 1.0)


def lay_out(
    graph: ModelGraph,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    aspect: float = 16 / 9,
    headroom: float = 0.0,
    leads: Mapping[str, float] | None = None,
    sequences: Sequences | None = None,
) -> Plan:
    """Place every node of a graph.

    Parameters
    ----------
    graph
        The architecture.
    shapes
        Shapes of a sample, for the captured nodes; the other nodes have the graph's shapes.
    aspect
        Width over height of the picture to fill.
    headroom
        World height to keep free above each block.
    leads
        World width to keep free before some blocks.
    sequences
        The sequences of tokens; by default those of the graph itself, which may lack nodes of closed groups.
    """
    known = {node.id: shapes.get(node.id) or known_shape(node) for node in graph}
    sequences = sequences or Sequences.of(graph)
    tokens, backwards = sequences.tokens, sequences.backwards
    grids = {n.id: grid_for(known[n.id], n.axes, tokens=n.id in tokens, backwards=n.id in backwards) for n in graph}
    leads = leads or {}
    flow = _Flow.of(graph, grids, leads)
    if tokens:
        widths = _SHEET_WIDTHS if len(graph) <= _SHEETS_TRIED else _SHEET_WIDTHS[:1]
        flows = [_Flow.of(graph, grids, leads, width) for width in widths]
        flow = max(flows, key=lambda one: _shown(one, tokens, _best_rows(graph, grids, one, aspect, headroom)[0]))
    nearest, breaks = _best_rows(graph, grids, flow, aspect, headroom)
    levels = levels_of(graph, grids, flow.positions)
    if levels is not None:
        chosen = Levels(levels)
        plan = _place(graph, grids, flow, [0], aspect, headroom, 1.0, chosen)
        distance = _distance(plan, aspect)
        if distance <= nearest * _FARTHER_FOR_LEVELS:
            # Free width is moved between the blocks of a level, then free height between the levels.
            for candidates in ([(along, 1.0) for along in _ALONG], [(None, ease) for ease in _DEPTHS]):
                distance *= _CLOSE
                for along, ease in candidates:
                    wider = Levels(levels, chosen.along if along is None else along)
                    one = _place(graph, grids, flow, [0], aspect, headroom, ease, wider)
                    if _distance(one, aspect) <= distance:
                        plan, chosen = one, wider
                        break
            return plan
    # Free width at the sides is moved between the blocks, so that lines and labels can use it.
    for ease in _EASES:
        plan = _place(graph, grids, flow, breaks, aspect, headroom, ease)
        if _distance(plan, aspect) <= nearest * _CLOSE:
            break
    return plan


def _best_rows(
    graph: ModelGraph, grids: Mapping[str, CellGrid], flow: _Flow, aspect: float, headroom: float
) -> tuple[float, list[int]]:
    """Return the distance of the nearest camera, and the first rank of each row for it."""
    best: tuple[float, list[int]] = (float("inf"), [0])
    # A token is followed along a row, so a short network of sheets is not folded.
    sheets = any(grid.tokens for grid in grids.values())
    most = 1 + int((sum(flow.widths) + sum(flow.gaps)) // _SHORTEST_ROW) if sheets else _MOST_ROWS
    for rows in range(1, min(_MOST_ROWS, most, flow.ranks) + 1):
        breaks = flow.breaks(rows)
        best = min(best, (_distance(_place(graph, grids, flow, breaks, aspect, headroom), aspect), breaks))
    return best


def _shown(flow: _Flow, nodes: Iterable[str], distance: float) -> float:
    """Return how large some sheets look from a distance, above all how high a token; only for comparing layouts."""
    return float(sum(flow.sizes[name][0] ** 0.5 * flow.sizes[name][1] ** 2 for name in nodes) / distance**2.5)


def _distance(plan: Plan, aspect: float) -> float:
    pose = fit(plan.filled, *plan.angles, aspect=aspect, margins=MARGINS)
    return float(np.linalg.norm(pose.position))


@dataclass(frozen=True)
class _Flow:
    """The network before folding: for each rank its width, the gap before it, and the edges that a break cuts."""

    positions: Mapping[str, RankAndLane]
    sizes: Mapping[str, Vector]
    leads: Mapping[str, float]
    widths: Sequence[float]
    gaps: Sequence[float]
    torn: Sequence[int]

    @property
    def ranks(self) -> int:
        return len(self.widths)

    @staticmethod
    def of(
        graph: ModelGraph, grids: Mapping[str, CellGrid], leads: Mapping[str, float], sheet_width: float = 1.0
    ) -> _Flow:
        positions, sizes = assign_ranks_and_lanes(graph), block_sizes(grids, sheet_width)
        ranks = 1 + max(position.rank for position in positions.values())
        widths, gaps, torn = [0.0] * ranks, [_TIGHT] * ranks, [0] * ranks
        fan_out = Counter(edge.source for edge in graph.edges)
        for node in graph:
            rank = positions[node.id].rank
            widths[rank] = max(widths[rank], sizes[node.id][0] + leads.get(node.id, 0.0))
            gaps[rank] = max(gaps[rank], _gap_before(node, graph, fan_out, grids[node.id]))
            if any(name in graph.outputs and len(grids[name].shape) < 2 for name in graph.sources(node.id)):
                gaps[rank] = max(gaps[rank], GAP + _ROOM_FOR_NUMBERS)
            if len(grids[node.id].shape) < 2:
                # The camera looks from the side of the input: a thin vector would be hidden behind a volume.
                volumes = (name for name in graph.sources(node.id) if len(grids[name].shape) > 3)
                gaps[rank] = max(gaps[rank], *(_BEHIND * sizes[name][2] for name in volumes), 0.0)
        for edge in graph.edges:
            for rank in range(positions[edge.source].rank + 1, positions[edge.target].rank + 1):
                torn[rank] += 1
        return _Flow(positions, sizes, leads, widths, gaps, torn)

    def breaks(self, rows: int) -> list[int]:
        """Return the first rank of each row: at most `rows` rows, the longest as short as possible."""
        low, high = max(self.widths), sum(self.widths) + sum(self.gaps)
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (low, middle) if len(self._cut(middle)) <= rows else (middle, high)
        return self._cut(high)

    def _cut(self, capacity: float) -> list[int]:
        """Fill rows up to a width; near a row's end, break where the fewest edges and, if possible, no group is cut."""
        breaks, first = [0], 0
        widths, gaps, ranks = self.widths, self.gaps, self.ranks
        while True:
            filled, rank = widths[first], first + 1
            while rank < ranks and filled + gaps[rank] + widths[rank] <= capacity:
                filled += gaps[rank] + widths[rank]
                rank += 1
            if rank == ranks:
                return breaks
            window = range(max(first + 1, rank - (rank - first) // 6), rank + 1)
            first = min(window, key=lambda r: (self.torn[r], self.gaps[r] == _TIGHT, -r))
            breaks.append(first)


def _gap_before(node: LayerNode, graph: ModelGraph, fan_out: Mapping[str, int], grid: CellGrid) -> float:
    sources = graph.sources(node.id)
    if sources and grid.tokens and len(grid.shape) == 1:
        return GAP + _ROOM_FOR_WORDS
    if len(sources) != 1 or node.members:
        return GAP
    source = graph.node(sources[0])
    if len(source.shape) == 1 and len(node.shape) == 1 and node.kind == "Dense":
        return GAP + _ROOM_FOR_LINES
    alone = fan_out[source.id] == 1 and source.shape == node.shape and source.id not in graph.inputs
    return _TIGHT if alone and not any(word in node.kind for word in _WITH_WEIGHTS) else GAP


def _place(
    graph: ModelGraph,
    grids: Mapping[str, CellGrid],
    flow: _Flow,
    breaks: Sequence[int],
    aspect: float,
    headroom: float,
    ease: float = 1.0,
    levels: Levels | None = None,
) -> Plan:
    """Place the nodes in rows that begin at the ranks `breaks`, or, if `levels` are given, each level in a row.

    Parameters
    ----------
    ease
        Factor of the distances between blocks, or between levels.
    """
    row_of = [bisect_right(breaks, rank) - 1 for rank in range(flow.ranks)]
    lefts, rights = _columns(flow, breaks, row_of, ease if levels is None else 1.0)
    if levels is not None:
        lefts, rights = levels.stepped(lefts, flow.widths, flow.positions, graph)
    rows_of = {node.id: row_of[flow.positions[node.id].rank] for node in graph} if levels is None else levels.of
    lane_heights: list[dict[int, float]] = [{} for _ in range(1 + max(rows_of.values()))]
    ranks_of: list[set[int]] = [set() for _ in lane_heights]
    for node in graph:
        position = flow.positions[node.id]
        heights = lane_heights[rows_of[node.id]]
        ranks_of[rows_of[node.id]].add(position.rank)
        least = MAP_EXTENT if flow.leads.get(node.id) else 0.0
        high = max(flow.sizes[node.id][1], least) + headroom
        heights[position.lane] = max(heights.get(position.lane, 0.0), high)

    names = _ROOM_FOR_BLOCK_NAMES if any(grid.tokens for grid in grids.values()) else 0.0
    row_gap = _ROW_GAP * (1.0 if levels is None else ease) + names
    # Labels have a constant size on the screen: the more rows, or the wider a row, the larger a label is in the world.
    content = sum(sum(heights.values()) + row_gap for heights in lane_heights)
    lines = sum(len(heights) for heights in lane_heights)
    share = min(_LABEL_SHARE, 0.42 / lines)
    room = share * max(content / (1 - share * lines), _FREE_SHARE * (max(rights) - min(lefts)) / aspect)
    rows: list[Row] = []
    middles: list[dict[int, float]] = []
    top = 0.0
    for row, heights in enumerate(lane_heights):
        y, middle = top, {}
        for lane in sorted(heights, reverse=True):
            middle[lane] = y - heights[lane] / 2
            y -= heights[lane] + room + (names if lane > min(heights) else 0.0)
        rows.append(Row(bottom=y, top=top, left=lefts[min(ranks_of[row])], right=rights[max(ranks_of[row])]))
        middles.append(middle)
        top = y - row_gap
    shift_x = (min(r.left for r in rows) + max(r.right for r in rows)) / 2
    shift_y = (rows[0].top + rows[-1].bottom) / 2

    placements: dict[str, Placement] = {}
    for node in graph:
        position, size, grid = flow.positions[node.id], flow.sizes[node.id], grids[node.id]
        row = rows_of[node.id]
        lead = flow.leads.get(node.id, 0.0)
        x = (lefts[position.rank] + rights[position.rank] - size[0] + lead) / 2 - shift_x
        y = middles[row][position.lane] - (size[1] + headroom) / 2 - shift_y
        cell = (size[0] / grid.size[0], size[1] / grid.size[1], size[2] / grid.size[2])
        origin = (x, y, -size[2] / 2)
        placements[node.id] = Placement(node.id, grid, origin, cell, row, position.rank, position.lane, lead)
    shifted = tuple(Row(r.bottom - shift_y, r.top - shift_y, r.left - shift_x, r.right - shift_x) for r in rows)
    return Plan(placements, shifted, headroom, leveled=levels is not None)


def _columns(flow: _Flow, breaks: Sequence[int], row_of: Sequence[int], ease: float) -> tuple[list[float], list[float]]:
    """Return the left and the right x of each rank; rows more than half full are stretched to the same width."""
    ends = [*breaks[1:], flow.ranks]
    gaps = [gap * (ease if gap > _TIGHT else 1.0) for gap in flow.gaps]
    natural = [sum(flow.widths[a:b]) + sum(gaps[a + 1 : b]) for a, b in zip(breaks, ends, strict=True)]
    widest = max(natural)
    free = [sum(gaps[a + 1 : b]) for a, b in zip(breaks, ends, strict=True)]
    stretch = [
        1 + (widest - width) / gap if width > 0.5 * widest and gap else 1.0
        for width, gap in zip(natural, free, strict=True)
    ]
    lefts: list[float] = []
    x = 0.0
    for rank, width in enumerate(flow.widths):
        row = row_of[rank]
        x = 0.0 if rank == breaks[row] else x + gaps[rank] * stretch[row]
        lefts.append(x)
        x += width
    return lefts, [left + width for left, width in zip(lefts, flow.widths, strict=True)]
