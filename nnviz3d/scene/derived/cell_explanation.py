"""The arithmetic of the number in a picked cell, from the stored weights and numbers of a capture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.attention_sums import ATTENTION
from nnviz3d.analysis.cell_sums import StoredNumbers, cell_sum
from nnviz3d.analysis.recurrent_sums import gate_sum
from nnviz3d.analysis.sum_terms import SINGLE, CellSum, UnknownSumError
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.attention import read_attention
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.data.minus_sign import with_minus
from nnviz3d.data.rounding import is_rounded
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import CellPick

_HALF = 2.0**-10
"""Relative step between float16 numbers."""
_COMPARISONS = frozenset(
    {"NotEqual", "Equal", "Any", "All", "LogicalAnd", "LogicalOr", "LogicalNot", "Greater", "Less"}
)
"""Kinds of operations whose results are true or false: masks."""
BINS = 24
"""Number of bars in the histogram of a channel."""


@dataclass(frozen=True, eq=False)
class CellExplanation:
    """The arithmetic of a cell.

    Attributes
    ----------
    sources
        The layers whose numbers it takes, in the order of `CellSum.sources`.
    sum
        The arithmetic; `None` if it is not known.
    reason
        Why it is not known, as a sentence; otherwise empty.
    """

    sources: tuple[str, ...]
    sum: CellSum | None
    reason: str = ""

    def source(self, term: int) -> str | None:
        """Return the layer whose number a term takes; `None` for a number of the layer itself, such as its state."""
        position = -1 if self.sum is None else int(self.sum.sources[term])
        return None if position < 0 else self.sources[position]


@dataclass(frozen=True, eq=False)
class _Taken:
    """A call of a layer in the network with all groups open, and the numbers that it takes for a sample."""

    node: LayerNode
    sources: tuple[str, ...]
    inputs: tuple[NDArray[np.float32], ...]
    weights: Mapping[str, NDArray[Any]]
    stored: StoredNumbers
    step: float

    @staticmethod
    def of(context: SceneContext, layer: str, sample: int) -> _Taken:
        """Read a shown layer's inputs; an `UnknownSumError` if they were not kept."""
        capture, shown = without_groups(context.capture), originals(context.capture)
        node = capture.graph.node(shown.get(layer, layer))
        edges, masks = _edges(capture.graph, node.id)
        if not all(capture.has_activations(edge.source, edge.output) for edge in (*edges, *masks)):
            raise UnknownSumError("the numbers that it takes were not kept; capture the model without --keep")
        inputs = (np.asarray(capture.activation(e.source, sample, e.output), dtype=np.float32) for e in edges)
        sources = tuple(edge.source for edge in edges)
        stored, index = capture.stored_sample(sample)
        mask = capture.activation(masks[0].source, sample, masks[0].output) != 0 if len(masks) == 1 else None
        numbers = StoredNumbers(read_attention(stored, node.id, index), capture.gates(node.id, sample), mask)
        rounded = any(is_rounded(capture, name, sample) for name in (node.id, *sources))
        step = _HALF if rounded else SINGLE
        return _Taken(node, sources, tuple(inputs), capture.weights(node.path), numbers, step)


def explained_cell(context: SceneContext, pick: CellPick, sample: int) -> CellExplanation:
    """Compute the arithmetic of a cell's number, and compare its result with the stored number.

    The arithmetic is given only if it leads to the stored number, so weights of another training step, another precision
    or an unknown setting are never shown as if they explained it.
    """
    return _explained(context, pick.layer, pick.index, np.asarray(context.values(pick.layer, sample).values), sample)


def explained_number(context: SceneContext, node: str, index: tuple[int, ...], sample: int) -> CellExplanation:
    """Compute the arithmetic of a number of a captured node, as `explained_cell`, even if a closed group hides the node.

    Parameters
    ----------
    node
        Node id in the network with all groups open.
    """
    stored = np.asarray(without_groups(context.capture).activation(node, sample), dtype=np.float32)
    return _explained(context, node, index, stored, sample)


def _explained(
    context: SceneContext, layer: str, index: tuple[int, ...], stored: NDArray[np.float32], sample: int
) -> CellExplanation:
    if len(index) < stored.ndim:
        sources = _sources(context, layer)
        many = "Its channels are computed one by one: click a cell of one channel."
        return CellExplanation(sources, None, many if sources else "")

    def found(taken: _Taken) -> CellSum:
        return cell_sum(taken.node, index, stored.shape, taken.inputs, taken.weights, taken.stored)

    return _checked(context, layer, sample, found, lambda: float(stored[index]))


def explained_gate(context: SceneContext, layer: str, gate: str, at: tuple[int, int], sample: int) -> CellExplanation:
    """Compute the arithmetic of a number of a recurrent layer's gate or state, as `explained_cell`.

    Parameters
    ----------
    at
        Step, in the order of processing, and unit.
    """

    def found(taken: _Taken) -> CellSum:
        return gate_sum(taken.node, gate, *at, taken.inputs, taken.weights, taken.stored.gates)

    def stored() -> float:
        return float(context.capture.gates(layer, sample)[gate][at])

    return _checked(context, layer, sample, found, stored)


def _checked(
    context: SceneContext,
    layer: str,
    sample: int,
    compute: Callable[[_Taken], CellSum],
    stored: Callable[[], float],
) -> CellExplanation:
    """Return the arithmetic of a number if its result is the stored number, or else the reason."""
    sources, name = _sources(context, layer), originals(context.capture).get(layer, layer)
    if not sources:
        return CellExplanation((), None)
    value = stored()
    if not math.isfinite(value):
        return CellExplanation(sources, None, "The number is NaN or infinite, which no sum explains.")
    try:
        taken = _Taken.of(context, layer, sample)
        found = compute(taken)
    except UnknownSumError as unknown:
        return CellExplanation(sources, None, f"{name} is not taken apart: {unknown}.")
    if not found.equals(value, taken.step):
        return CellExplanation(
            sources,
            None,
            f"The weights and numbers that are stored give {with_minus(f'{found.result:.7g}')}, not "
            f"{with_minus(f'{value:.7g}')}: {name} computes in another precision, or its weights are those of another step"
            f"{_or_masked(taken)}.",
        )
    return CellExplanation(sources, found)


def _or_masked(taken: _Taken) -> str:
    """Return what else may explain another result of an attention layer."""
    if taken.node.kind not in ATTENTION or taken.stored.scores is not None:
        return ""
    return ", or a mask hides positions; capture the model with --attention"


def _sources(context: SceneContext, layer: str) -> tuple[str, ...]:
    """Return the layers that a shown layer takes, in the network with all groups open; without masks."""
    graph = without_groups(context.capture).graph
    return tuple(edge.source for edge in _edges(graph, originals(context.capture).get(layer, layer))[0])


def _edges(graph: ModelGraph, node_id: str) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Return the edges with the numbers that a node takes, and those with masks."""
    edges = graph.edges_to(node_id)
    masks = tuple(edge for edge in edges if graph.node(edge.source).kind in _COMPARISONS)
    if len(masks) == len(edges):
        return edges, ()
    return tuple(edge for edge in edges if edge not in masks), masks


@dataclass(frozen=True, eq=False)
class ChannelNumbers:
    """The numbers of a picked cell's channel, or of its whole layer if that has no channels.

    Attributes
    ----------
    values
        ``(n,)`` float32: all of its finite numbers.
    odd
        How many of its numbers are NaN or infinite.
    map
        ``(rows, columns)`` float32 if it is a map; `None` otherwise.
    at
        Row and column of the cell in the map.
    counts, ends
        The histogram, ``(BINS,)``, and its first and last edge.
    """

    values: NDArray[np.float32]
    odd: int
    map: NDArray[np.float32] | None
    at: tuple[int, int]
    counts: NDArray[np.int64]
    ends: tuple[float, float]


def channel_of(context: SceneContext, pick: CellPick, sample: int) -> ChannelNumbers | None:
    """Return the numbers of a cell's channel; `None` if none of them is finite."""
    layer = context.values(pick.layer, sample)
    grid, values = layer.grid, layer.values
    channel = channel_axis(grid.axes)
    by_channel = channel is not None and values.ndim > 1 and len(pick.index) == values.ndim
    chosen = np.take(values, pick.index[channel], axis=channel) if by_channel and channel is not None else values
    location = grid.location(pick.index) if by_channel else ()
    finite = chosen[np.isfinite(chosen)]
    if not finite.size:
        return None
    counts, ends = histogram(finite)
    mapped = chosen if by_channel and chosen.ndim == 2 else None
    at = (int(location[0]), int(location[1])) if mapped is not None else (0, 0)
    return ChannelNumbers(finite, chosen.size - finite.size, mapped, at, counts, ends)


def histogram(values: NDArray[np.floating]) -> tuple[NDArray[np.int64], tuple[float, float]]:
    """Return the histogram of finite numbers, ``(BINS,)``, and its ends."""
    ends = (float(values.min()), float(values.max()))
    counts = np.histogram(values, bins=BINS, range=ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[1] + 0.5))[0]
    return counts.astype(np.int64), ends
