"""Reach of each edge of a graph as tables, from which receptive fields are found without the rules of `reach`.

Most rules of layers treat each axis by itself: a position of an axis of the output reads certain positions of one axis of
the input, and several positions read all that each of them reads. Such a rule is fully described by a table with one row
for each position of the output. `reached` gives the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.reach import Positions, Shape, everything, reached
from nnviz3d.data.graph import LayerNode, ModelGraph

MOST = 5_000
"""Maximum length of an axis whose positions are tried one by one."""
_FLAT = ("Flatten", "Reshape", "ExpandDims", "Squeeze", "Unsqueeze")
"""Kinds that keep the order of the numbers, if the channels are last."""


@dataclass(frozen=True, eq=False)
class AxisReach:
    """The positions of an axis of the source that each position of an axis of the target reads.

    They are ``low``, ``low + step``, ... before ``high``.

    Attributes
    ----------
    axis
        The axis of the edge's target.
    low, high
        ``(n,)`` int64 for its n positions; equal where the position reads nothing.
    """

    axis: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    step: int


@dataclass(frozen=True, eq=False)
class EdgeReach:
    """The numbers of an edge's source that its target reads.

    Attributes
    ----------
    axes
        For each axis of the source its table; `None` if all its positions are read.
    flat
        Whether target and source have the same numbers in the same order; then `axes` is empty.
    unclear
        Whether it is unknown what is read, so that everything counts; then `axes` is empty.
    idle
        For each axis of the target a mask of the positions that read nothing of the source by themselves.
    """

    source: str = ""
    target: str = ""
    axes: tuple[AxisReach | None, ...] = ()
    flat: bool = False
    unclear: bool = False
    idle: tuple[NDArray[np.bool_], ...] = ()


def reach_tables(graph: ModelGraph, shape_of: Callable[[str], Shape]) -> tuple[EdgeReach, ...] | None:
    """Describe the reach of all edges.

    Parameters
    ----------
    shape_of
        Returns the shape of a node's first output for the sample, by node id.

    Returns
    -------
    The edges by their targets in the order of the graph. `None` if a rule does not follow each axis by itself, or an axis
    is too long.
    """
    found: list[EdgeReach] = []
    for node in graph.nodes:
        edges = graph.edges_to(node.id)
        tables = _of_node(node, shape_of(node.id), [shape_of(edge.source) for edge in edges]) if edges else []
        if tables is None:
            return None
        for edge, table in zip(edges, tables, strict=True):
            known = table if edge.output == 0 else EdgeReach(unclear=True)
            found.append(replace(known, source=edge.source, target=node.id))
    return tuple(found)


def _of_node(node: LayerNode, shape: Shape, sources: Sequence[Shape]) -> list[EdgeReach] | None:
    """Describe the numbers that a node reads of each input, without the names of the ends."""
    whole = everything(shape)
    at_most = reached(node, whole, shape, sources)
    if all(step is None for step in at_most):
        return [EdgeReach(unclear=True) for _ in sources]
    if node.kind in _FLAT and node.details.get("data_format") != "channels_first" and len(sources) == 1:
        return [EdgeReach(flat=True)]
    if max(shape, default=0) > MOST:
        return None
    tried = [
        [reached(node, (*whole[:axis], np.arange(n) == i, *whole[axis + 1 :]), shape, sources) for i in range(n)]
        for axis, n in enumerate(shape)
    ]
    found = []
    for k, most in enumerate(at_most):
        steps = [[one[k] for one in of_axis] for of_axis in tried]
        table = EdgeReach(unclear=True) if most is None else _table(most, steps)
        if table is None:
            return None
        found.append(table)
    return found


def _table(most: Positions, steps: list[list[Positions | None]]) -> EdgeReach | None:
    """Describe one edge, from what all positions read together and what each position of each axis reads."""
    if any(step is None for of_axis in steps for step in of_axis):
        return None
    known = [[step for step in of_axis if step is not None] for of_axis in steps]
    idle = tuple(np.array([not all(mask.any() for mask in step) for step in of_axis]) for of_axis in known)
    axes: list[AxisReach | None] = []
    for axis, together in enumerate(most):
        reads = [[step[axis] for step in of_axis] for of_axis in known]
        by = [
            b
            for b, masks in enumerate(reads)
            if any(not off and (mask != together).any() for mask, off in zip(masks, idle[b], strict=True))
        ]
        if len(by) > 1:
            return None
        if not by and together.all():
            axes.append(None)
            continue
        at = by[0] if by else 0  # all positions read the same part, so any axis tells it
        table = _ranges(at, reads[at], idle[at]) if reads else None
        if table is None:
            return None
        axes.append(table)
    return EdgeReach(axes=tuple(axes), idle=idle)


def _ranges(axis: int, masks: list[NDArray[np.bool_]], idle: NDArray[np.bool_]) -> AxisReach | None:
    """Write masks as ranges with one step; `None` if they are no such ranges."""
    places = [np.flatnonzero(mask) if not off else np.zeros(0, np.int64) for mask, off in zip(masks, idle, strict=True)]
    gaps = {int(gap) for found in places for gap in np.unique(np.diff(found))}
    if len(gaps) > 1:
        return None
    low = np.array([found[0] if len(found) else 0 for found in places], dtype=np.int64)
    high = np.array([found[-1] + 1 if len(found) else 0 for found in places], dtype=np.int64)
    return AxisReach(axis, low, high, gaps.pop() if gaps else 1)
