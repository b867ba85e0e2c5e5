"""Direct reading of arrays that are stored as captures store them: descriptions, chunks, and shards of samples.

Zarr reads any store by coroutines of another thread, which takes a millisecond for each array and each chunk; a network
of thousands of layers has many thousands of both. What is described in any other way is left to Zarr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage.file_listing import Listing
from nnviz3d.data.storage.shard_reader import ShardReader, layout_in
from nnviz3d.data.storage.shards import decoded

if TYPE_CHECKING:
    import zarr

_TYPES = (
    "bool",
    *(f"{kind}{8 * size}" for kind in ("int", "uint") for size in (1, 2, 4, 8)),
    "float16",
    "float32",
    "float64",
)
_SEPARATORS = ("/", ".")
_BYTES = ({"name": "bytes", "configuration": {"endian": "little"}}, {"name": "bytes"})


@dataclass(frozen=True, eq=False)
class StoredArray:
    """The description of an array.

    Attributes
    ----------
    path
        Its path in the capture.
    codec
        "zstd": each chunk is compressed; "crc32c": it is the memory of its numbers and their checksum; "": its memory.
    separator
        Sign between the numbers of a chunk's key.
    shards
        Reader of the samples, if each file holds several chunks and an index.
    by_zarr
        The same array in Zarr, if it is stored in another way.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    codec: str = ""
    separator: str = "/"
    shards: ShardReader | None = None
    by_zarr: zarr.Array[Any] | None = None

    @property
    def has_other_shards(self) -> bool:
        """Whether several chunks are stored together in another way than captures store them."""
        return self.by_zarr is not None and self.by_zarr.shards is not None

    @property
    def unit(self) -> tuple[int, ...]:
        """The shape of the smallest part that is read."""
        return self.chunks if self.shards is None else self.shards.chunk

    def key(self, chunk: Sequence[int]) -> str:
        """Return the path of a chunk, given its position in the grid of chunks."""
        if self.by_zarr is not None:
            return f"{self.path}/{self.by_zarr.metadata.encode_chunk_key(tuple(chunk))}"
        return f"{self.path}/{self.separator.join(('c', *map(str, chunk)))}"

    def read(self, selection: Any, listing: Listing) -> NDArray[Any]:
        """Read part of the array.

        Parameters
        ----------
        selection
            An index of a row, a slice of rows, ``...``, or anything that Zarr takes if Zarr reads the array.
        listing
            The files of the capture.

        Raises
        ------
        ValueError
            If a chunk has another size than described.
        RuntimeError
            If a chunk cannot be decompressed, or its checksum is wrong.
        """
        if self.by_zarr is not None:
            return np.asarray(self.by_zarr[selection])
        if selection is ...:
            return self._rows(0, self.shape[0] if self.shape else 1, listing)
        if isinstance(selection, slice):
            start, stop, step = selection.indices(self.shape[0])
            return self._rows(start, max(start, stop), listing)[::step]
        return np.asarray(self._rows(selection, selection + 1, listing)[0])

    def reads(self, selection: Any) -> bool:
        """Whether `read` takes a selection."""
        forward = isinstance(selection, slice) and selection.step in (None, 1)
        return self.by_zarr is not None or selection is ... or type(selection) is int or forward

    def _rows(self, start: int, stop: int, listing: Listing) -> NDArray[Any]:
        if not self.shape:
            return self._chunk((), listing).copy()
        if self.shards is not None:
            return self.shards.rows(start, stop, listing)
        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if not found.size:
            return found
        first = range(start // self.chunks[0], -(-stop // self.chunks[0]))
        others = (range(-(-n // c)) for n, c in zip(self.shape[1:], self.chunks[1:], strict=True))
        begin, end = (start, *(0 for _ in self.shape[1:])), (stop, *self.shape[1:])
        for position in product(first, *others):
            into, part = [], []
            for i, size, low, high in zip(position, self.chunks, begin, end, strict=True):
                a, b = max(i * size, low), min((i + 1) * size, high)
                into.append(slice(a - low, b - low))
                part.append(slice(a - i * size, b - i * size))
            found[tuple(into)] = self._chunk(position, listing)[tuple(part)]
        return found

    def _chunk(self, position: Sequence[int], listing: Listing) -> NDArray[Any]:
        return decoded(listing.content(self.key(position)), self.codec, self.chunks, self.dtype)


def described(text: bytes, *kinds: str) -> Mapping[str, Any]:
    """Return the description of a group or an array.

    Parameters
    ----------
    kinds
        The allowed values of ``node_type``; by default "group" and "array".

    Raises
    ------
    ValueError
        If it describes something else.
    """
    found = json.loads(text)
    right = (
        isinstance(found, dict)
        and found.get("zarr_format") == 3
        and found.get("node_type") in (kinds or ("group", "array"))
    )
    if not right or not isinstance(found.get("attributes", {}), dict):
        raise ValueError("its description is invalid")
    return dict(found)


def array_of(path: str, description: Mapping[str, Any]) -> StoredArray | None:
    """Return an array that is stored as captures store it; `None` for any other description."""
    grid, codecs, kind = (description.get(key) for key in ("chunk_grid", "codecs", "data_type"))
    if not (isinstance(grid, dict) and grid.get("name") == "regular" and isinstance(grid.get("configuration"), dict)):
        return None
    shape, chunks = _counts(description.get("shape"), 0), _counts(grid["configuration"].get("chunk_shape"), 1)
    if shape is None or chunks is None or len(shape) != len(chunks) or kind not in _TYPES:
        return None
    layout = layout_in(description, shape, np.dtype(kind), chunks)
    if layout is not None:
        return StoredArray(path, shape, np.dtype(kind), chunks, separator=".", shards=ShardReader(layout, path))
    keys = description.get("chunk_key_encoding")
    if not isinstance(keys, dict) or keys.get("name") != "default" or description.get("storage_transformers"):
        return None
    settings = keys.get("configuration", {})
    separator = settings.get("separator", "/") if isinstance(settings, dict) else None
    if separator not in _SEPARATORS or not (isinstance(codecs, list) and codecs[:1] and codecs[0] in _BYTES):
        return None
    codec = "" if len(codecs) == 1 else codecs[1].get("name") if isinstance(codecs[1], dict) else None
    if len(codecs) > 2 or codec not in ("", "zstd", "crc32c"):
        return None
    return StoredArray(path, shape, np.dtype(kind), chunks, codec, separator)


def array_by_zarr(path: str, found: zarr.Array[Any] | zarr.Group) -> StoredArray:
    """Return an array that Zarr reads.

    Raises
    ------
    ValueError
        If it is a group.
    """
    import zarr

    if not isinstance(found, zarr.Array):
        raise ValueError(f"{path} is no array")  # noqa: TRY004 - its content is wrong, not the caller
    return StoredArray(path, found.shape, found.dtype, found.chunks, by_zarr=found)


def _counts(value: Any, least: int) -> tuple[int, ...] | None:
    """Return a list of counts as a tuple; `None` for anything else."""
    right = isinstance(value, list) and all(type(n) is int and least <= n < 2**63 for n in value)
    return tuple(value) if right else None
