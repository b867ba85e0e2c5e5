"""The receptive field of a number: all numbers of earlier layers that it depends on by the model's structure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nnviz3d.analysis.reach import Positions, Shape, everything, reached
from nnviz3d.data.graph import ModelGraph

Range = tuple[int, int]
"""The first position of an axis and the one after the last."""


@dataclass(frozen=True, eq=False)
class LayerField:
    """The numbers of one layer that belong to a receptive field.

    Attributes
    ----------
    positions
        For each axis of the layer's tensor a mask of the positions that are read.
    unclear
        The node that does not say which numbers it reads, so that all of them are taken; `None` if the field is exact.
    """

    positions: Positions
    unclear: str | None = None

    @property
    def box(self) -> tuple[Range, ...]:
        """The smallest box with all of its numbers, by axis; the box of a scalar has no axes."""
        ends = (np.flatnonzero(mask) for mask in self.positions)
        return tuple((int(found[0]), int(found[-1]) + 1) for found in ends)

    @property
    def whole(self) -> bool:
        """Whether it is the whole layer."""
        return all(mask.all() for mask in self.positions)

    @property
    def share(self) -> float:
        """The share of the layer's numbers that belong to it, by its masks; 1 for a scalar."""
        return math.prod(float(mask.mean()) for mask in self.positions)


def receptive_field(
    graph: ModelGraph, shape_of: Callable[[str], Shape], node_id: str, index: tuple[int | None, ...]
) -> Mapping[str, LayerField]:
    """Find the numbers of all earlier layers that a number depends on.

    Padding is no number, so a field at a border is smaller. What a mask hides in attention is not known, so attention
    reads everything, and says that it is unclear.

    Parameters
    ----------
    shape_of
        Returns the shape of a node's first output for the sample, by node id.
    index
        The number's index in the tensor; `None` stands for all positions of an axis, such as all channels of a location.

    Returns
    -------
    Nodes in the order of the graph, the last one that of the number. A node that the number does not depend on is left
    out.
    """
    shape = shape_of(node_id)
    chosen = tuple(
        np.ones(n, dtype=bool) if i is None else np.arange(n) == i for i, n in zip(index, shape, strict=True)
    )
    found: dict[str, LayerField] = {node_id: LayerField(chosen)}
    for node in reversed(graph.nodes):
        here = found.get(node.id)
        if here is None:
            continue
        edges = graph.edges_to(node.id)
        sources = [shape_of(edge.source) for edge in edges]
        steps = reached(node, here.positions, shape_of(node.id), sources)
        for edge, source, step in zip(edges, sources, steps, strict=True):
            known = step is not None and edge.output == 0
            positions = step if step is not None and known else everything(source)
            unclear = here.unclear if known else node.id
            if all(mask.any() for mask in positions):
                found[edge.source] = _joined(found.get(edge.source), LayerField(positions, unclear))
    return {node.id: found[node.id] for node in graph if node.id in found}


def _joined(one: LayerField | None, other: LayerField) -> LayerField:
    """Return the field of two paths."""
    if one is None:
        return other
    positions = tuple(a | b for a, b in zip(one.positions, other.positions, strict=True))
    return LayerField(positions, one.unclear or other.unclear)
