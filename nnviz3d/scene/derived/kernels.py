"""The kernel of a layer as filters, with the mapping between kernel indices and the cells of the filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import TIME
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layout.cells import CellGrid, grid_for
from nnviz3d.scene.selection import Pick

KERNELS = ("kernel", "depthwise_kernel")
"""Names of the variables that hold a layer's kernel."""
_SPATIAL = {1: (TIME,), 2: ("row", "column"), 3: ("plane", "row", "column")}


@dataclass(frozen=True)
class KernelPick(Pick):
    """A weight.

    Attributes
    ----------
    index
        Its index in the layer's kernel, in Keras's order of axes.
    """

    layer: str
    index: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Kernel:
    """The weights of one layer.

    Attributes
    ----------
    layer
        Node id.
    values
        As captured, such as ``(rows, columns, input channels, filters)``.
    filters
        The same numbers, ``(filters, *shape of one)``. The kernel of a dense layer, or of a convolution with kernel size
        1, is a matrix: one filter, ``(1, inputs, outputs)``.
    axes
        Names of the axes of `values`.
    variable
        Name of the layer's variable.
    subtracted
        The same weights of the compared model, if the numbers are the difference from them.
    """

    layer: str
    kind: str
    values: NDArray[Any]
    filters: NDArray[np.float32]
    axes: tuple[str, ...]
    variable: str
    subtracted: NDArray[Any] | None = None

    @property
    def grid(self) -> CellGrid:
        """The cells of one filter."""
        return grid_for(self.filters.shape[1:])

    @property
    def matrix(self) -> bool:
        """Whether the filters are one matrix: those of a dense layer, or of a convolution with kernel size 1."""
        return self.values.ndim == 2 or (self.filters.ndim == 3 and all(n == 1 for n in self.values.shape[:-2]))

    def pick(self, number: int, cell: tuple[int, int, int]) -> KernelPick | None:
        """Return the weight in a cell of a filter; `None` for a spare cell."""
        index = self.grid.index(cell)
        if index is None or not 0 <= number < len(self.filters):
            return None
        flat = self._order[(number, *index)]
        return KernelPick(self.layer, tuple(int(i) for i in np.unravel_index(int(flat), self.values.shape)))

    def cell(self, index: tuple[int, ...]) -> tuple[int, NDArray[np.int64]]:
        """Return the filter, and the cell ``(3,)`` in it, of a weight: the inverse of `pick`."""
        flat = np.ravel_multi_index(index, self.values.shape)
        number, flat_index = divmod(int(np.flatnonzero(self._order == flat)[0]), self.filters[0].size)
        return number, self.grid.cells(np.array([flat_index], dtype=np.int64))[0]

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """The flat index in `values` of each number of `filters`."""
        return _stacked(np.arange(self.values.size, dtype=np.int64).reshape(self.values.shape), self.kind)


def kernel_of(context: SceneContext, node: LayerNode) -> Kernel | None:
    """Read a layer's kernel; `None` if it has none, or if it was not captured.

    It is read once for each capture. A capture that is still being written is read again each time, because its
    weights may change.
    """
    capture = context.capture
    if not capture.complete:
        return _read(capture, node)
    return context.memo.get(capture, ("kernel", node.id), lambda: _read(capture, node))


def kernel_difference(context: SceneContext, node: LayerNode) -> Kernel | None:
    """Return a layer's kernel minus that of the compared model; `None` if one of them was not captured."""
    own, other = kernel_of(context, node), context.counterpart
    if own is None or other is None:
        return None
    there = other.weights(without_groups(context.capture).graph.node(node.id)).get(own.variable)
    if there is None or there.shape != own.values.shape:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.asarray(own.values, dtype=np.float32) - np.asarray(there, dtype=np.float32)
    return replace(own, values=change, filters=_stacked(change, node.kind), subtracted=there)


def _read(capture: CaptureReader, node: LayerNode) -> Kernel | None:
    weights = capture.weights(node.path)
    variable = next((name for name in KERNELS if name in weights), "")
    values = weights.get(variable)
    if values is None or not _known(values.ndim, node.kind) or not values.size:
        return None
    filters = _stacked(np.asarray(values, dtype=np.float32), node.kind)
    return Kernel(node.id, node.kind, values, filters, _axes(values.ndim, node.kind), variable)


def _known(rank: int, kind: str) -> bool:
    return rank == 2 or ("Conv" in kind and 3 <= rank <= 5)


def _by_channel(kind: str) -> bool:
    """Whether each filter sees one input channel alone."""
    return "Depthwise" in kind or "Separable" in kind


def _stacked(values: NDArray[Any], kind: str) -> NDArray[Any]:
    if values.ndim == 2:
        return values[np.newaxis]
    spatial = values.shape[:-2]
    if _by_channel(kind):
        return np.moveaxis(values.reshape(*spatial, -1, 1), -2, 0)
    if "Transpose" in kind:
        values = np.swapaxes(values, -1, -2)
    if all(n == 1 for n in spatial):
        return values.reshape(1, *values.shape[-2:])
    return np.moveaxis(values, -1, 0)


def _axes(rank: int, kind: str) -> tuple[str, ...]:
    if rank == 2:
        return ("input", "output")
    ends = ("input channel", "filter")
    if _by_channel(kind):
        ends = ("input channel", "multiple")
    elif "Transpose" in kind:
        ends = ("filter", "input channel")
    return (*_SPATIAL[rank - 2], *ends)
