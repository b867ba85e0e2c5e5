"""Routes of the edges from block to block: straight, in an arc over other blocks, or to another row."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import Edge, ModelGraph
from nnviz3d.scene.easing import eased
from nnviz3d.scene.layout.flow import GAP
from nnviz3d.scene.layout.plan import Placement, Plan

_CORNER = 0.45
"""World radius of a bend."""
_ABOVE = 0.22
"""World distance of a skip from the blocks that it passes over."""
ABOVE_SKIPS = 0.3
"""World height above blocks that is free of a single skip."""
_STEP = 0.17
"""World distance between neighbouring parallel routes."""
_POINTS = 24
"""Number of points of a line from a block to something above the network."""
Kind = Literal["flow", "around", "fold"]


@dataclass(frozen=True, eq=False)
class Route:
    """The route of one edge.

    Attributes
    ----------
    kind
        ``flow`` to the next block, ``around`` over others (a skip or a branch), ``fold`` to another row.
    points
        ``(p, 3)`` float32 world coordinates, from the source to the target.
    skips
        Whether the edge skips blocks of the main path: a residual or a long skip, within its row or between rows.
    """

    edge: Edge
    kind: Kind
    points: NDArray[np.float32]
    skips: bool = False


def route_edges(graph: ModelGraph, plan: Plan) -> tuple[Route, ...]:
    """Return the route of every edge of a graph."""
    placements = plan.placements
    lines = _Lines(placements.values())
    kinds = {edge: _kind(edge, plan, lines) for edge in graph.edges}
    levels = _levels((e for e, kind in kinds.items() if kind == "around"), placements)
    folds = _fold_levels((e for e, kind in kinds.items() if kind == "fold"), placements)
    columns = _columns(placements.values())
    routes = []
    for edge, kind in kinds.items():
        source, target = placements[edge.source], placements[edge.target]
        if kind == "flow" and source.row != target.row:
            points = _step(source, target)
        elif kind == "flow":
            points = _onward(source, target, columns)
        elif kind == "around":
            points = _around(source, target, lines, levels[edge])
        else:
            points = _fold(source, target, plan, folds[edge])
        skips = kind == "around" or (plan.leveled and kind == "flow" and target.rank > source.rank + 1)
        skips = skips or (kind == "fold" and _leaves_out(source, target, lines))
        routes.append(Route(edge, kind, points.astype(np.float32), skips))
    return tuple(routes)


class _Lines:
    """The blocks of each row and lane by rank."""

    def __init__(self, placements: Iterable[Placement]) -> None:
        found: dict[tuple[int, int], list[Placement]] = {}
        for placement in placements:
            found.setdefault((placement.row, placement.lane), []).append(placement)
        self._blocks = {key: sorted(blocks, key=lambda p: p.rank) for key, blocks in found.items()}
        self._ranks = {key: [p.rank for p in blocks] for key, blocks in self._blocks.items()}
        self._rows = sorted({row for row, _ in found})

    def within(self, row: int, lane: int, first: int, last: int) -> Sequence[Placement]:
        """Return the blocks of a row and lane from a rank to another one, both included."""
        ranks = self._ranks.get((row, lane), [])
        return self._blocks[row, lane][bisect_left(ranks, first) : bisect_right(ranks, last)] if ranks else ()

    def between(self, source: Placement, target: Placement, lane: int, rows: Iterable[int] | None = None) -> bool:
        """Whether a lane has blocks between two ranks, in some rows, by default in all."""
        first, last = source.rank + 1, target.rank - 1
        return any(self.within(row, lane, first, last) for row in (self._rows if rows is None else rows))


def _leaves_out(source: Placement, target: Placement, lines: _Lines) -> bool:
    """Whether both are in one lane, with blocks between them."""
    return source.lane == target.lane and lines.between(source, target, source.lane)


def _kind(edge: Edge, plan: Plan, lines: _Lines) -> Kind:
    source, target = plan.placements[edge.source], plan.placements[edge.target]
    if source.row != target.row:
        return "flow" if plan.leveled and target.rank == source.rank + 1 else "fold"
    lane = max((source.lane, target.lane), key=abs) if 0 in (source.lane, target.lane) else source.lane
    return "around" if lines.between(source, target, lane, [source.row]) else "flow"


def _levels(edges: Iterable[Edge], placements: Mapping[str, Placement]) -> dict[Edge, int]:
    """Return the level of each arc within its row; a longer arc is above the shorter arcs that it overlaps."""
    level: dict[Edge, int] = {}
    spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge in sorted(edges, key=lambda e: placements[e.target].rank - placements[e.source].rank):
        source, target = placements[edge.source], placements[edge.target]
        first, last = source.rank, target.rank
        k = 0
        while any(a < last and first < b for a, b in spans.get((source.row, k), ())):
            k += 1
        spans.setdefault((source.row, k), []).append((first, last))
        level[edge] = k
    return level


def _fold_levels(edges: Iterable[Edge], placements: Mapping[str, Placement]) -> dict[Edge, int]:
    level: dict[Edge, int] = {}
    used: dict[int, int] = {}
    for edge in sorted(
        edges, key=lambda e: (placements[e.target].row - placements[e.source].row, -placements[e.source].rank)
    ):
        row = placements[edge.target].row
        level[edge] = used.get(row, 0)
        used[row] = level[edge] + 1
    return level


def _left(p: Placement) -> NDArray[np.float64]:
    return np.array([p.origin[0] - p.lead, p.center[1], 0.0])


def _right(p: Placement) -> NDArray[np.float64]:
    return np.array([p.origin[0] + p.size[0], p.center[1], 0.0])


def _top(p: Placement) -> NDArray[np.float64]:
    return np.array([p.center[0], p.origin[1] + p.size[1], 0.0])


def _columns(placements: Iterable[Placement]) -> dict[int, tuple[float, float]]:
    """Return the extent along x of the blocks of each rank."""
    columns: dict[int, tuple[float, float]] = {}
    for p in placements:
        left, right = columns.get(p.rank, (np.inf, -np.inf))
        columns[p.rank] = min(left, p.origin[0] - p.lead), max(right, p.origin[0] + p.size[0])
    return columns


def _onward(source: Placement, target: Placement, columns: Mapping[int, tuple[float, float]]) -> NDArray[np.float64]:
    a, b = _right(source), _left(target)
    if abs(a[1] - b[1]) < 1e-9:
        return np.array([a, b])
    # The edge changes lanes in the gap beside the block nearer to the main path; elsewhere other blocks are in the way.
    gap = source.rank if abs(target.lane) >= abs(source.lane) else target.rank - 1
    start, end = np.array([columns[gap][1], a[1], 0.0]), np.array([columns[gap + 1][0], b[1], 0.0])
    reach = np.array([(end[0] - start[0]) / 2, 0.0, 0.0])
    return np.concatenate([[a], bezier(start, start + reach, end - reach, end, 16), [b]])


def _step(source: Placement, target: Placement) -> NDArray[np.float64]:
    """Return the route to the next block on another level of a U-Net: down into its top, or up into its left side."""
    if target.row > source.row:
        a, b = _right(source), _top(target)
        return rounded(np.array([a, [b[0], a[1], 0.0], b]), _CORNER)
    a, b = _top(source), _left(target)
    return rounded(np.array([a, [a[0], b[1], 0.0], b]), _CORNER)


def _around(source: Placement, target: Placement, lines: _Lines, level: int) -> NDArray[np.float64]:
    lanes = {source.lane, target.lane}
    over = [p for lane in lanes for p in lines.within(source.row, lane, source.rank, target.rank)]
    height = max(p.origin[1] + p.size[1] for p in over) + _ABOVE + _STEP * level
    a, b = _top(source), _top(target)
    return rounded(np.array([a, [a[0], height, 0], [b[0], height, 0], b]), _CORNER)


def _fold(source: Placement, target: Placement, plan: Plan, level: int) -> NDArray[np.float64]:
    a, b = _right(source), _left(target)
    row = plan.rows[target.row]
    gutter = row.top + 0.22 + _STEP * (level % 3)
    right = a[0] + GAP * 0.45 + _STEP * level
    left = b[0] - GAP * 0.45 - _STEP * level
    corners = [a, [right, a[1], 0], [right, gutter, 0], [left, gutter, 0], [left, b[1], 0], b]
    return rounded(np.array(corners), _CORNER)


def bezier(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64], points: int
) -> NDArray[np.float64]:
    """Sample a cubic Bézier curve; control points of shape ``(..., 3)`` give ``(..., points, 3)``."""
    t = np.linspace(0, 1, points)[:, np.newaxis]
    a, b, c, d = (np.expand_dims(p, -2) for p in (a, b, c, d))
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def rounded(corners: NDArray[np.float64], radius: float, points: int = 8) -> NDArray[np.float64]:
    """Turn a polyline's corners, ``(n, 3)``, into bends."""
    path = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        into, out = corner - before, after - corner
        li, lo = float(np.linalg.norm(into)), float(np.linalg.norm(out))
        r = min(radius, li / 2, lo / 2)
        if r < 1e-6:
            path.append(corner)
            continue
        start, end = corner - into / li * r, corner + out / lo * r
        path.extend(bezier(start, corner, corner, end, points))
    path.append(corners[-1])
    return np.array(path)


def lead_up(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a line from a block to something above the network, vertical at both ends, ``(p, 3)``."""
    share = np.linspace(0, 1, _POINTS)[:, np.newaxis]
    points = start + (end - start) * share
    points[:, 0:1] = start[0] + (end[0] - start[0]) * eased(share)
    return points.astype(np.float32)
