"""Reader of samples from shards, without Zarr."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage.file_listing import LARGEST, Listing
from nnviz3d.data.storage.shards import MISSING, RowsLayout, index_entries

_MOST_INDICES = 64
"""Number of indices of files that are kept."""


class ShardReader:
    """Reads samples of one array.

    Parameters
    ----------
    layout
        Its chunks.
    path
        The array's path in the capture.
    """

    def __init__(self, layout: RowsLayout, path: str) -> None:
        self._layout = layout
        self._path = path
        self._indices: dict[int, NDArray[np.uint64]] = {}

    @property
    def chunk(self) -> tuple[int, ...]:
        """The shape of a chunk."""
        return self._layout.chunk

    def rows(self, start: int, stop: int, listing: Listing) -> NDArray[Any]:
        """Read samples from ``start`` to ``stop``.

        Parameters
        ----------
        listing
            The files of the capture.

        Raises
        ------
        ValueError, RuntimeError, OSError
            If part of them is missing or damaged.
        """
        layout, length = self._layout, self._layout.chunk[0]
        size = math.prod(layout.shape[1:])
        if stop - start == 1 and layout.parts == 1 and size:
            return self._chunk(start // length, listing)[start % length : start % length + 1]
        found = np.empty((stop - start, *layout.shape[1:]), layout.dtype)
        for chunk in range(start // length, -(-stop // length) if found.size else 0):
            low, high = max(start, chunk * length), min(stop, (chunk + 1) * length)
            found[low - start : high - start] = self._chunk(chunk, listing)[
                low - chunk * length : high - chunk * length
            ]
        return found

    def _chunk(self, number: int, listing: Listing) -> NDArray[Any]:
        """Read the samples that share a chunk, or one sample from all its chunks."""
        layout = self._layout
        shard, at = divmod(number, layout.grid[0])
        if layout.parts == 1:
            return self._read(shard, at, listing)
        whole = np.empty((layout.chunk[0], *layout.shape[1:]), layout.dtype)
        for i, part in enumerate(product(*map(range, layout.grid[1:]))):
            place = tuple(slice(k * n, (k + 1) * n) for k, n in zip(part, layout.chunk[1:], strict=True))
            target = whole[(slice(None), *place)]
            target[...] = self._read(shard, at * layout.parts + i, listing)[tuple(map(slice, target.shape))]
        return whole

    def _read(self, shard: int, place: int, listing: Listing) -> NDArray[Any]:
        layout, name = self._layout, f"{self._path}/{self._layout.file(shard)}"
        if shard not in self._indices:
            if len(self._indices) >= _MOST_INDICES:
                self._indices.clear()
            entries = index_entries(listing.part(name, -layout.index_bytes, layout.index_bytes))
            # The index of a file that is not complete may change.
            if (entries != MISSING).all() or layout.expected(shard) == int((entries[:, 0] != MISSING).sum()):
                self._indices[shard] = entries
        else:
            entries = self._indices[shard]
        start, length = (int(n) for n in entries[place])
        if start == MISSING:
            raise ValueError("part of its numbers is missing")
        if length > max(LARGEST, 2 * math.prod(layout.chunk) * layout.dtype.itemsize):
            raise ValueError(f"a part of it would take {length:,} bytes")
        return layout.decoded(listing.part(name, start, length))


def layout_in(
    description: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any], shard: tuple[int, ...]
) -> RowsLayout | None:
    """Return the layout of an array of samples; `None` if it is not stored in shards, or not as captures store them.

    Parameters
    ----------
    description
        Zarr's description of the array.
    shard
        Shape of a shard.
    """
    try:
        chunk = tuple(description["codecs"][0]["configuration"]["chunk_shape"])
    except (LookupError, TypeError):
        return None
    right = len(chunk) == len(shape) and all(type(n) is int and n > 0 for n in chunk)
    if not shape or not right or shard[0] % chunk[0]:
        return None
    for compressed in (False, True):
        layout = RowsLayout(shape, dtype, chunk, shard[0], compressed)
        expected = layout.description(None)
        same = all(_alike(description.get(key) or [], expected[key]) for key in _DESCRIBED)
        if same and layout.index_bytes <= LARGEST:
            return layout
    return None


_DESCRIBED = ("chunk_grid", "chunk_key_encoding", "codecs", "storage_transformers")


def _alike(one: Any, other: Any) -> bool:
    """Whether two parts of descriptions are equal, except for the level of a compression."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = (one.keys() | other.keys()) - {"level"}
        return all(key in one and key in other and _alike(one[key], other[key]) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
