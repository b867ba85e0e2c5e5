"""The arithmetic of the number in a picked cell, from the stored weights and numbers of a capture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.cell_sums import cell_sum
from nnviz3d.analysis.sum_terms import CellSum, UnknownSumError
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.data.rounding import is_rounded
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import CellPick

_HALF = 2.0**-10
"""Relative step between float16 numbers."""
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


def explained_cell(context: SceneContext, pick: CellPick, sample: int) -> CellExplanation:
    """Compute the arithmetic of a cell's number, and compare its result with the stored number.

    The arithmetic is given only if it leads to the stored number, so weights of another training step, another precision
    or an unknown setting are never shown as if they explained it.
    """
    capture, shown = without_groups(context.capture), originals(context.capture)
    name = shown.get(pick.layer, pick.layer)
    node = capture.graph.node(name)
    edges = capture.graph.edges_to(name)
    sources = tuple(edge.source for edge in edges)
    stored = np.asarray(context.values(pick.layer, sample).values)
    if not sources:
        return CellExplanation((), None)
    if len(pick.index) < stored.ndim:
        return CellExplanation(sources, None, "Its channels are computed one by one: click a cell of one channel.")
    if not all(capture.has_activations(edge.source, edge.output) for edge in edges):
        return CellExplanation(
            sources, None, "The numbers that it takes were not kept; capture the model without --keep."
        )
    taken = [np.asarray(capture.activation(edge.source, sample, edge.output), dtype=np.float32) for edge in edges]
    try:
        found = cell_sum(node, pick.index, stored.shape, taken, capture.weights(node.path))
    except UnknownSumError as unknown:
        return CellExplanation(sources, None, f"{name} is not taken apart: {unknown}.")
    rounded = any(is_rounded(capture, layer, sample) for layer in (name, *sources))
    value = float(stored[pick.index])
    if not (found.equals(value, _HALF) if rounded else found.equals(value)):
        return CellExplanation(
            sources,
            None,
            f"The weights and numbers that are stored give {found.result:.7g}, not {value:.7g}: {name} computes in another "
            "precision, or its weights are those of another step.",
        )
    return CellExplanation(sources, found)


@dataclass(frozen=True, eq=False)
class ChannelNumbers:
    """The numbers of a picked cell's channel, or of its whole layer if that has no channels.

    Attributes
    ----------
    values
        ``(n,)`` float32: all of its finite numbers.
    map
        ``(rows, columns)`` float32 if it is a map; `None` otherwise.
    at
        Row and column of the cell in the map.
    counts, ends
        The histogram, ``(BINS,)``, and its first and last edge.
    """

    values: NDArray[np.float32]
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
    ends = (float(finite.min()), float(finite.max()))
    counts = np.histogram(finite, bins=BINS, range=ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[1] + 0.5))[0]
    mapped = chosen if by_channel and chosen.ndim == 2 else None
    at = (int(location[0]), int(location[1])) if mapped is not None else (0, 0)
    return ChannelNumbers(finite, mapped, at, counts.astype(np.int64), ends)
