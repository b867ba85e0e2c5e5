"""The weights around a picked connection or weight, as a small picture or as a list of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.kernel_slices import kernel_slice
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.kernels import KernelPick, kernel_of
from nnviz3d.scene.layout.cells import CellGrid

_PASSES = ("Flatten", "Reshape")


@dataclass(frozen=True, eq=False)
class KernelPicture:
    """Weights that belong together, one of which is picked.

    Attributes
    ----------
    values
        ``(rows, columns)``: a kernel between two channels, or the weights of a unit for the locations of a channel; or
        ``(n,)``: all weights of a unit.
    at
        The index of the picked one; `None` if none of these is picked.
    words
        What they are.
    """

    values: NDArray[np.float64]
    at: tuple[int, ...] | None
    words: str


def kernel_of_connection(
    context: SceneContext,
    source: tuple[str, tuple[int, ...]],
    target: tuple[str, tuple[int, ...]],
    sample: int,
) -> KernelPicture | None:
    """Return the weights that a connection between two numbers belongs to; `None` if they were not stored.

    Parameters
    ----------
    source, target
        Name of a layer, and the index of a number in it.
    """
    (taken, place), (layer, index) = source, target
    node = without_groups(context.capture).graph.node(originals(context.capture).get(layer, layer))
    weights = context.capture.weights(node.path)
    shapes = context.values(taken, sample).values.shape, context.values(layer, sample).values.shape
    found = kernel_slice(node, place, index, shapes, weights)
    if found is not None:
        if found.values.size == 1:  # one weight for each channel
            words = f"the {found.taken.size:,} weights of channel {found.target} of {layer}"
            return KernelPicture(found.taken.reshape(-1), (found.position,), words)
        words = f"channel {found.source} of {taken} → channel {found.target} of {layer}"
        return _pictured(found.values, found.at, words)
    kernel = weights.get("kernel")
    ends = shapes[0][-1:] + shapes[1][-1:]
    if kernel is None or len(place) != len(index) or kernel.shape != ends:
        return None
    column = np.asarray(kernel[:, index[-1]], dtype=np.float64)
    return _of_map(context, taken, place, layer, index, column) or KernelPicture(
        column, (place[-1],), f"the {len(column):,} weights of unit {index[-1]} of {layer}"
    )


def kernel_of_units(
    context: SceneContext, source: tuple[str, int], taken: str, target: tuple[str, int], sample: int
) -> KernelPicture | None:
    """Return the weights between two units, channels or neurons; `None` if they were not stored.

    Parameters
    ----------
    source, target
        Name of a layer and its unit.
    taken
        The layer whose tensor the target takes: the source, or one that only passes its units on.
    """
    (first, unit), (layer, made) = source, target
    grids = context.placement(taken).grid, context.placement(layer).grid, context.placement(first).grid
    place, index = (_first_of(grid, number) for grid, number in ((grids[0], unit), (grids[1], made)))
    if len(grids[0].shape) == 1 < len(grids[2].shape):  # a map that was made a vector
        flat = np.ravel_multi_index(_first_of(grids[2], unit), grids[2].shape)
        place = (int(flat),)
    if not grids[0].holds(place):
        return None
    found = kernel_of_connection(context, (taken, place), (layer, index), sample)
    several = found is not None and (found.values.ndim == 2 or len(grids[0].shape) < len(grids[2].shape))
    return replace(found, at=None) if several and found is not None else found


def _first_of(grid: CellGrid, unit: int) -> tuple[int, ...]:
    """Return the index of a unit's first number."""
    return (unit,) if len(grid.shape) < 2 else grid.full((0,) * len(grid.location_shape), unit)


def _of_map(
    context: SceneContext,
    taken: str,
    place: tuple[int, ...],
    layer: str,
    index: tuple[int, ...],
    column: NDArray[np.float64],
) -> KernelPicture | None:
    """Return a unit's weights for all locations of a channel, if the layer takes a map that was made a vector."""
    sources = context.graph.sources(taken)
    if len(place) != 1 or context.graph.node(taken).kind not in _PASSES or len(sources) != 1:
        return None
    (before,) = sources
    grid = context.placement(before).grid
    axis = channel_axis(grid.axes)
    first = context.graph.node(taken).details.get("data_format") == "channels_first"
    if len(grid.shape) != 3 or axis is None or first or np.prod(grid.shape) != len(column):
        return None
    at = tuple(int(i) for i in np.unravel_index(place[0], grid.shape))
    values = np.take(column.reshape(grid.shape), at[axis], axis=axis)
    words = f"channel {at[axis]} of {before}, by location → unit {index[-1]} of {layer}"
    return KernelPicture(values, tuple(i for k, i in enumerate(at) if k != axis), words)


def kernel_of_weight(context: SceneContext, pick: KernelPick) -> KernelPicture | None:
    """Return the weights that a picked weight belongs to: its kernel between two channels, or those of its unit."""
    kernel = kernel_of(context, context.graph.node(pick.layer))
    if kernel is None or len(pick.index) != kernel.values.ndim:
        return None
    values = np.asarray(kernel.values, dtype=np.float64)
    if all(n == 1 for n in values.shape[:-2]):
        column = values.reshape(values.shape[-2:])[:, pick.index[-1]]
        return KernelPicture(
            column, pick.index[-2:-1], f"the {len(column):,} weights of {kernel.axes[-1]} {pick.index[-1]}"
        )
    names = [f"{axis} {i}" for axis, i in zip(kernel.axes[-2:], pick.index[-2:], strict=True)]
    return _pictured(np.moveaxis(values, (-2, -1), (0, 1))[pick.index[-2:]], pick.index[:-2], " → ".join(names))


def _pictured(values: NDArray[np.float64], at: tuple[int, ...] | None, words: str) -> KernelPicture:
    """Return a kernel as a picture; one with three spatial axes shows the plane of the picked tap."""
    if values.ndim == 3:
        plane = 0 if at is None else at[0]
        return KernelPicture(values[plane], None if at is None else at[1:], f"{words}, plane {plane} of {len(values)}")
    rows = values.reshape(1, -1) if values.ndim < 2 else values
    return KernelPicture(rows, None if at is None else (0,) * (2 - len(at)) + at, words)
