"""Arrays of samples that are read or computed in ranges, so that memory does not grow with the number of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.errors import SampleError

_BYTES = 8 * 2**20
"""Most bytes of a range of several samples, and of samples that are held in memory together."""


class Rows(Protocol):
    """An array whose first axis is samples, of which slices can be read; an array in memory is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some samples in memory."""


class RowsOnDemand:
    """An array of samples that is read or computed when slices of it are asked for.

    Parameters
    ----------
    shape, dtype
        Of the whole array.
    read
        Returns the samples from a number to another one, ``(stop - start, *shape[1:])``, of this type.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[int, int], NDArray[Any]]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows are read one after the other, not in steps of {step}")
        return self._read(start, stop) if start < stop else np.empty((0, *self.shape[1:]), self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all samples; a `SampleError` if they take more memory than the limit."""
        check_size(f"{len(self):,} samples of {self.shape[1:]} in memory", bytes_of(self), SampleError)
        whole = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for part in ranges(self):
            whole[part] = self[part]
        return whole


def bytes_of(rows: Rows) -> int:
    """Return the bytes that all samples take in memory."""
    return math.prod(rows.shape) * rows.dtype.itemsize


def samples_at_once(sample: int) -> int:
    """Return the number of samples of a range, a power of two.

    Parameters
    ----------
    sample
        Bytes of one sample.
    """
    fitting = max(1, _BYTES // max(1, sample))
    return int(1 << (fitting.bit_length() - 1))


def ranges(rows: Rows) -> Iterator[slice]:
    """Yield the ranges in which samples are read."""
    step = samples_at_once(bytes_of(rows) // max(1, len(rows)))
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows)))


def few_in_memory(rows: Rows) -> Rows:
    """Return one sample, or samples that take little memory, as an array in memory, and others as they are."""
    return rows if len(rows) > 1 and bytes_of(rows) > _BYTES else rows[:]


def converted(rows: Rows, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
    """Convert samples when they are read; at once if the results take little memory.

    Parameters
    ----------
    convert
        Converts ``(n, *rows.shape[1:])``, each sample alone.
    """
    first = convert(rows[:1])
    if len(rows) == 1:
        return first
    shape = (len(rows), *first.shape[1:])
    return few_in_memory(RowsOnDemand(shape, first.dtype, lambda start, stop: convert(rows[start:stop])))


def joined(parts: Sequence[Rows]) -> Rows:
    """Join samples of one shape: in memory, if all parts are."""
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    starts = np.cumsum([0, *map(len, parts)])
    dtype = np.result_type(*(part.dtype for part in parts))

    def read(start: int, stop: int) -> NDArray[Any]:
        found = (
            part[max(start - first, 0) : max(stop - first, 0)]
            for part, first in zip(parts, starts.tolist(), strict=False)
        )
        return np.concatenate([rows for rows in found if len(rows)]).astype(dtype, copy=False)

    return RowsOnDemand((int(starts[-1]), *parts[0].shape[1:]), dtype, read)
