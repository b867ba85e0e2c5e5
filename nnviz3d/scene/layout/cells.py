"""The arrangement of a tensor's numbers as cells of a block.

Maps face the viewer: columns run along x, rows down y, channels into the depth with the first one in front. A vector is
a column of neurons; a long vector is wrapped into several columns, and a vector of time steps is one row. A sequence is a
sheet with its time steps along x; a sequence of tokens has them down y, one row for each token, and its units along x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import TIME, Axes, axes_of, channel_axis, channels_in, channels_last, location_shape
from nnviz3d.data.files.picture_arrays import PictureShape

Index = tuple[int, ...]
_LONGEST_COLUMN = 16


@dataclass(frozen=True)
class CellGrid:
    """A tensor's cells in world order.

    Attributes
    ----------
    shape
        Shape of the tensor for one sample.
    size
        Number of cells along x, y and z.
    count
        Number of cells with a number; less than X * Y * Z only for a wrapped vector, and for a tensor without numbers,
        which has one spare cell.
    axes
        Names of the axes of `shape`.
    tokens
        Whether the first axis is the tokens of a sequence, which run down y.
    backwards
        Whether the tokens are in reverse order, so that they run up y: the first token is on top all the same.
    """

    shape: tuple[int, ...]
    size: tuple[int, int, int]
    count: int
    axes: Axes
    tokens: bool = False
    backwards: bool = False

    @property
    def location_shape(self) -> tuple[int, ...]:
        """The lengths of all axes except the channel axis."""
        return location_shape(self.shape, self.axes)

    @property
    def channels(self) -> int:
        """The number of channels; 1 if each number is its own location."""
        return int(channels_in(self.shape, self.axes))

    @property
    def token_rows(self) -> NDArray[np.int64]:
        """The position along y of each token's row in a sheet of tokens, ``(T,)``, counted from below."""
        rows = np.arange(self.size[1])
        return rows if self.backwards else rows[::-1]

    @property
    def picture(self) -> PictureShape | None:
        """The tensor's shape as a picture's shape; `None` if it is not a picture."""
        return PictureShape.of(self.shape, self.axes) if self.axes else None

    def last(self, values: NDArray[Any]) -> NDArray[Any]:
        """View a tensor, ``shape``, with channels last: ``(*locations, channels)``; vectors and scalars unchanged."""
        return values if len(self.shape) < 2 else channels_last(values, self.axes)

    def full(self, location: Index, channel: int) -> Index:
        """Return the index of one channel of a location, in the order of the tensor's axes."""
        at = channel_axis(self.axes)
        return location if at is None else (*location[:at], channel, *location[at:])

    def location(self, index: Index) -> Index:
        """Return the location of an index, without the channel; in a vector each number is its own location.

        Parameters
        ----------
        index
            Index of a number of the tensor; the index of a location is returned unchanged.
        """
        at = channel_axis(self.axes)
        if at is None or len(self.shape) < 2 or len(index) != len(self.shape):
            return index
        return (*index[:at], *index[at + 1 :])

    def holds(self, index: Index) -> bool:
        """Whether an index belongs to a number of the tensor, or to a location with all its channels."""
        lengths = self.shape if len(index) == len(self.shape) or len(self.shape) < 2 else self.location_shape
        inside = len(index) == len(lengths) and all(0 <= i < n for i, n in zip(index, lengths, strict=True))
        return inside and self.count > 0

    def numbers(self, values: NDArray[Any], index: Index) -> NDArray[Any]:
        """Return the number of a tensor, ``shape``, at an index; for a location, the numbers of all its channels."""
        return np.asarray(values[index] if len(index) == len(self.shape) else self.last(values)[index])

    def named(self, index: Index) -> tuple[str, ...]:
        """Return the names of an index's axes: those of the tensor, or only the spatial ones."""
        return self.axes if len(index) == len(self.shape) else location_shape(self.axes, self.axes)

    def arrange(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a tensor, ``shape``, into cells, ``(X, Y, Z)``; a view of the same memory, except for wrapped vectors."""
        x, y, z = self.size
        if len(self.shape) <= 1 or not self.count:
            flat = values.reshape(-1)
            if self.count < x * y:
                flat = np.concatenate([flat, np.zeros(x * y - self.count, dtype=flat.dtype)])
            return flat.reshape(y, x)[::-1].T[:, :, np.newaxis]
        values = self.last(values)
        if values.ndim == 2:
            values = values.T if self.tokens else values
            return values[:, :, np.newaxis] if self.backwards else values[:, ::-1, np.newaxis]
        # (planes, rows, columns, channels): planes of one channel are adjacent in the depth.
        planes = values.reshape(-1, *values.shape[-3:])
        world = planes[:, ::-1].transpose(2, 1, 3, 0)
        return world.reshape(x, y, z)[:, :, ::-1]

    def cells(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the cells of the numbers with these flat indices (C order).

        Parameters
        ----------
        index
            ``(n,)``.

        Returns
        -------
        ``(n, 3)``: positions along x, y and z.
        """
        x, y, z = self.size
        if len(self.shape) <= 1 or not self.count:
            return np.stack([index % x, y - 1 - index // x, np.zeros_like(index)], axis=1)
        at, each = channel_axis(self.axes), np.unravel_index(index, self.shape)
        spatial = [part for i, part in enumerate(each) if i != at]
        channel = np.zeros_like(index) if at is None else each[at]
        if len(spatial) == 1:
            across, down = (channel, spatial[0]) if self.tokens else (spatial[0], channel)
            return np.stack([across, down if self.backwards else y - 1 - down, np.zeros_like(index)], axis=1)
        *outer, row, column = spatial
        plane = np.ravel_multi_index(outer, self.location_shape[:-2]) if outer else np.zeros_like(index)
        planes = z // self.channels
        return np.stack([column, y - 1 - row, z - 1 - (channel * planes + plane)], axis=1)

    def index(self, cell: tuple[int, int, int]) -> Index | None:
        """Return the index of the number in a cell: the inverse of `cells`; `None` for a spare cell."""
        i, j, k = cell
        x, y, z = self.size
        if not (0 <= i < x and 0 <= j < y and 0 <= k < z):
            return None
        if len(self.shape) <= 1 or not self.count:
            flat = (y - 1 - j) * x + i
            if flat >= self.count:
                return None
            return (flat,) if self.shape else ()
        if len(self.location_shape) == 1:
            down = j if self.backwards else y - 1 - j
            return self.full((down,), i) if self.tokens else self.full((i,), down)
        channel, plane = divmod(z - 1 - k, z // self.channels)
        outer = np.unravel_index(plane, self.location_shape[:-2]) if len(self.location_shape) > 2 else ()
        return self.full((*(int(n) for n in outer), y - 1 - j, i), channel)


def grid_for(shape: tuple[int, ...], axes: Axes = (), *, tokens: bool = False, backwards: bool = False) -> CellGrid:
    """Choose the arrangement of a tensor's cells.

    Parameters
    ----------
    shape
        One sample's shape, of any rank, without unknown lengths.
    axes
        Names of its axes; by default channels last.
    tokens
        Whether the first axis is the tokens of a sequence; only for a vector or a tensor with time steps and channels.
    backwards
        Whether these tokens are in reverse order; only for a tensor with time steps and channels.
    """
    axes = axes if len(axes) == len(shape) else axes_of(shape)
    count, spatial = math.prod(shape), location_shape(shape, axes)
    if not count:
        return CellGrid(shape, (1, 1, 1), 0, axes)
    if tokens:
        return CellGrid(shape, (math.prod(shape[1:]), shape[0], 1), count, axes, tokens=True, backwards=backwards)
    if axes == (TIME,):
        return CellGrid(shape, (count, 1, 1), count, axes)
    if len(shape) < 2:
        columns = _columns_for(count)
        return CellGrid(shape, (columns, max(1, -(-count // columns)), 1), count, axes)
    channels = int(channels_in(shape, axes))
    if len(spatial) == 1:
        return CellGrid(shape, (spatial[0], channels, 1), count, axes)
    *planes, rows, columns = spatial
    return CellGrid(shape, (columns, rows, channels * math.prod(planes)), count, axes)


def _columns_for(count: int) -> int:
    """Wrap a vector: one column up to 16, then four times as high as wide, and square when it is very long."""
    if count <= _LONGEST_COLUMN:
        return 1
    slenderness = 4.0 if count <= 1024 else max(1.0, 4.0 - math.log2(count / 1024) * 0.6)
    columns = max(1, round(math.sqrt(count / slenderness)))
    # A width that divides the length leaves no incomplete last row; use such a width if one is near.
    near = [c for c in range(max(1, int(columns * 0.75)), int(columns * 1.34) + 1) if count % c == 0]
    return min(near, key=lambda c: abs(c - columns)) if near else columns
