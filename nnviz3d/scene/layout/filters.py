"""Layout of a layer's filters above the network: blocks in rows and columns, as large as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import ValueStatistics, statistics_of
from nnviz3d.scene.derived.kernels import Kernel
from nnviz3d.scene.primitives import Vector

_DEEPEST = 1.4
"""Maximum depth of a filter, as a share of the greater of its width and height."""
_ASIDE, _UP = 0.55, 0.28
"""Shares of a filter's depth that are visible beside the filter and above it."""
_BETWEEN, _NUMBER = 0.34, 0.42
"""Room between two filters, and for the number below each, as a share of a filter's width or height."""
_AS_LARGE = 0.8
"""Share of the largest possible size to which filters may shrink so that all rows are full."""


@dataclass(frozen=True, eq=False)
class FilterLayout:
    """The layout of the filters of one layer.

    Attributes
    ----------
    chosen
        The shown filters, in order.
    origins
        ``(n, 3)``: the smallest corner of each filter.
    cell
        World size of one cell.
    cells
        The numbers of each filter in world order.
    """

    kernel: Kernel
    statistics: ValueStatistics
    chosen: tuple[int, ...]
    origins: NDArray[np.float64]
    cell: Vector
    cells: tuple[NDArray[np.float32], ...]

    @property
    def size(self) -> Vector:
        """World extent of a filter."""
        x, y, z = (n * s for n, s in zip(self.kernel.grid.size, self.cell, strict=True))
        return x, y, z

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest corner of all filters."""
        return self.origins.min(axis=0), self.origins.max(axis=0) + np.array(self.size)

    @property
    def foot(self) -> float:
        """Height of the room for the numbers below the filters; a matrix has none."""
        return 0.0 if self.kernel.matrix else _NUMBER * max(self.size[:2])


def place_filters(kernel: Kernel, chosen: tuple[int, ...], room: tuple[float, float, float, float]) -> FilterLayout:
    """Lay out filters in rows and columns, as large as possible.

    Parameters
    ----------
    chosen
        The filters to show, in order.
    room
        Left, right, bottom and top of the room for all filters, in world coordinates.
    """
    x, y, z = kernel.grid.size
    side = max(x, y)
    deep = min(1.0, _DEEPEST * side / z)
    size = np.array([x, y, z * deep])
    between = _BETWEEN * side
    pitch = np.array([size[0] + _ASIDE * size[2] + between, size[1] + _UP * size[2] + _NUMBER * side])
    left, right, bottom, top = room
    count = len(chosen)
    sizes = {}
    for columns in range(1, count + 1):
        across, down = columns * pitch[0] - between, -(-count // columns) * pitch[1] - _NUMBER * side
        sizes[columns] = min((right - left) / across, (top - bottom) / down)
    best = max(sizes.values())
    whole = [columns for columns in sizes if count % columns == 0 and sizes[columns] >= _AS_LARGE * best]
    columns = max(whole or sizes, key=lambda n: sizes[n])
    scale = sizes[columns]
    row, column = np.divmod(np.arange(count), columns)
    rows = int(row.max()) + 1
    x_of = (left + right) / 2 + scale * ((column - (columns - 1) / 2) * pitch[0] - size[0] / 2)
    y_of = bottom + scale * (rows - 1 - row) * pitch[1]
    origins = np.stack([x_of, y_of, np.full(count, -scale * size[2] / 2)], axis=1)
    return FilterLayout(
        kernel,
        statistics_of(kernel.filters),
        chosen,
        origins,
        (float(scale), float(scale), float(scale * deep)),
        tuple(kernel.grid.arrange(kernel.filters[k]) for k in chosen),
    )
