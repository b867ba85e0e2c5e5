"""How the numbers of one tensor stand as cells in a block.

Maps face the viewer: columns run along x, rows down y, channels into the depth with the first one in front. A vector is a
column of neurons, wrapped into several columns where it is long; a sequence is a sheet with its steps along x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = tuple[int, ...]
_LONGEST_COLUMN = 16


@dataclass(frozen=True)
class CellGrid:
    """A tensor's cells in world order.

    Attributes
    ----------
    shape
        The tensor's shape, one sample, channels last.
    size
        Number of cells along x, y and z.
    count
        How many cells are real; fewer than X * Y * Z only for a wrapped vector.
    """

    shape: tuple[int, ...]
    size: tuple[int, int, int]
    count: int

    def arrange(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a tensor, ``shape``, into cells, ``(X, Y, Z)``; a view of the same memory but for wrapped vectors."""
        x, y, z = self.size
        if len(self.shape) <= 1:
            flat = values.reshape(-1)
            if self.count < x * y:
                flat = np.concatenate([flat, np.zeros(x * y - self.count, dtype=flat.dtype)])
            return flat.reshape(y, x)[::-1].T[:, :, np.newaxis]
        if len(self.shape) == 2:
            return values[:, ::-1, np.newaxis]
        # (planes, rows, columns, channels): planes of one channel stand together in the depth.
        planes = values.reshape(-1, *self.shape[-3:])
        world = planes[:, ::-1].transpose(2, 1, 3, 0)
        return world.reshape(x, y, z)[:, :, ::-1]

    def cells(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Say in which cells the numbers of these flat indices (C order) stand.

        Parameters
        ----------
        index
            ``(n,)``.

        Returns
        -------
        ``(n, 3)``, along x, y and z.
        """
        x, y, z = self.size
        if len(self.shape) <= 1:
            return np.stack([index % x, y - 1 - index // x, np.zeros_like(index)], axis=1)
        if len(self.shape) == 2:
            step, channel = np.divmod(index, self.shape[1])
            return np.stack([step, y - 1 - channel, np.zeros_like(index)], axis=1)
        rows, columns, channels = self.shape[-3:]
        rest, channel = np.divmod(index, channels)
        rest, column = np.divmod(rest, columns)
        plane, row = np.divmod(rest, rows)
        planes = z // channels
        return np.stack([column, y - 1 - row, z - 1 - (channel * planes + plane)], axis=1)

    def index(self, cell: tuple[int, int, int]) -> Index | None:
        """Say which number of the tensor stands in a cell: the inverse of `cells`; `None` for a spare cell."""
        i, j, k = cell
        x, y, z = self.size
        if not (0 <= i < x and 0 <= j < y and 0 <= k < z):
            return None
        if len(self.shape) <= 1:
            flat = (y - 1 - j) * x + i
            if flat >= self.count:
                return None
        elif len(self.shape) == 2:
            flat = i * self.shape[1] + (y - 1 - j)
        else:
            rows, columns, channels = self.shape[-3:]
            channel, plane = divmod(z - 1 - k, z // channels)
            flat = ((plane * rows + (y - 1 - j)) * columns + i) * channels + channel
        return tuple(int(n) for n in np.unravel_index(flat, self.shape)) if self.shape else ()


def grid_for(shape: tuple[int, ...]) -> CellGrid:
    """Choose how a tensor stands.

    Parameters
    ----------
    shape
        One sample's shape, any rank, no unknown lengths.
    """
    count = math.prod(shape)
    match shape:
        case () | (_,):
            columns = _columns_for(count)
            return CellGrid(shape, (columns, max(1, -(-count // columns)), 1), count)
        case (steps, channels):
            return CellGrid(shape, (steps, channels, 1), count)
        case (*planes, rows, columns, channels):
            return CellGrid(shape, (columns, rows, channels * math.prod(planes)), count)
    raise AssertionError(shape)


def _columns_for(count: int) -> int:
    """Wrap a vector: one column up to 16, then four times as high as wide, and square when it is very long."""
    if count <= _LONGEST_COLUMN:
        return 1
    slenderness = 4.0 if count <= 1024 else max(1.0, 4.0 - math.log2(count / 1024) * 0.6)
    columns = max(1, round(math.sqrt(count / slenderness)))
    # A width that divides the length leaves no ragged last row; take one if it is near.
    near = [c for c in range(max(1, int(columns * 0.75)), int(columns * 1.34) + 1) if count % c == 0]
    return min(near, key=lambda c: abs(c - columns)) if near else columns
