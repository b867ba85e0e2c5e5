"""Files that hold several samples of an array, each with a checksum: the sharding of Zarr v3, written and read directly.

A shard is a file of chunks, one after the other, and an index at its end: for each chunk its offset and its length, uint64,
then a checksum. So one sample is read without the others. Zarr itself reads these files too, but it takes milliseconds for
each array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from nnviz3d.data.storage import schema

MISSING = np.uint64(2**64 - 1)
"""Offset and length of a chunk that is not in its shard."""
CHECKSUM = 4
"""Bytes of a checksum."""
_LEVEL = 1
"""Level of zstd: higher ones take several times as long, and save a few percent more."""
_TRIED = 2**18
"""Bytes of the first sample from which `pays` tells whether compression saves room."""
_PAYS = 0.75
"""Largest share of the bytes that is left by a compression that pays; noise of float32 shrinks to 0.91."""


@dataclass(frozen=True)
class RowsLayout:
    """Division of an array of samples into chunks, and of the chunks into shards.

    Parameters
    ----------
    shape
        ``(N, *sample_shape)``.
    dtype
        Type of the numbers.
    chunk
        Shape of a chunk: several small samples, one sample, or a part of a large one.
    per_shard
        Number of samples in a shard, a multiple of those in a chunk.
    compressed
        Whether chunks are compressed by zstd, with its own checksum; otherwise they are the memory of the numbers, then a
        CRC-32C.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    per_shard: int
    compressed: bool

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis of a shard."""
        if not self.shape:
            return ()
        parts = (-(-max(n, 1) // chunk) for n, chunk in zip(self.shape[1:], self.chunk[1:], strict=True))
        return self.per_shard // self.chunk[0], *parts

    @cached_property
    def parts(self) -> int:
        """Number of chunks into which a sample is divided: 1 except for large samples."""
        return math.prod(self.grid[1:])

    @property
    def index_bytes(self) -> int:
        """Length of a shard's index."""
        return 16 * math.prod(self.grid) + CHECKSUM

    @property
    def codecs(self) -> list[dict[str, Any]]:
        """Zarr's description of the encoding of a chunk."""
        little = {"configuration": {"endian": "little"}} if self.dtype.itemsize > 1 else {}
        packed = {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": True}}
        return [{"name": "bytes", **little}, packed if self.compressed else {"name": "crc32c"}]

    def description(self, names: Sequence[str | None] | None) -> dict[str, Any]:
        """Return Zarr's description of the array.

        Parameters
        ----------
        names
            Names of the axes.
        """
        sharding = {
            "chunk_shape": list(self.chunk),
            "codecs": self.codecs,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        }
        shard = [parts * n for parts, n in zip(self.grid, self.chunk, strict=True)]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": 0.0 if self.dtype.kind == "f" else 0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
            "dimension_names": list(names) if names is not None else None,
            "storage_transformers": [],
        }

    def file(self, shard: int) -> str:
        """Return the name of a shard in the array's folder."""
        return chunk_file((shard, *(0 for _ in self.shape[1:])))

    def expected(self, shard: int) -> int:
        """Return the number of chunks that a shard holds when all its samples are written."""
        samples = min(self.per_shard, self.shape[0] - shard * self.per_shard)
        return -(-samples // self.chunk[0]) * self.parts if math.prod(self.shape[1:]) else 0

    def encoded(self, values: NDArray[Any]) -> list[Any]:
        """Return one chunk, given as an array of its shape, as buffers to be written one after the other."""
        numbers = flat_bytes(values)
        if self.compressed:
            return [Zstd(level=_LEVEL, checksum=True).encode(numbers)]
        return [numbers, checksum(numbers)]

    def decoded(self, data: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the numbers of one chunk; any error if they are damaged."""
        return decoded(data, "zstd" if self.compressed else "crc32c", self.chunk, self.dtype)


def layout_of(shape: tuple[int, ...], dtype: np.dtype[Any], per_shard: int, *, compressed: bool) -> RowsLayout:
    """Choose the chunks of an array of samples ``(N, *sample_shape)``.

    Parameters
    ----------
    per_shard
        Number of samples in a shard, a power of 2.
    """
    chunk = schema.chunks_for((per_shard, *shape[1:]), dtype.itemsize)
    return RowsLayout(shape, dtype, (2 ** (chunk[0].bit_length() - 1), *chunk[1:]), per_shard, compressed)


def chunk_file(index: Sequence[int]) -> str:
    """Return the name of the file of a chunk or a shard in its array's folder."""
    return ".".join(["c", *map(str, index)])


def decoded(data: bytes | NDArray[np.uint8], codec: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of a stored chunk.

    Parameters
    ----------
    codec
        ``zstd``, ``crc32c``, or an empty string for the memory alone.

    Raises
    ------
    ValueError, RuntimeError
        If the chunk has another size, cannot be decompressed, or its checksum is wrong.
    """
    expected = math.prod(shape) * dtype.itemsize
    numbers: NDArray[np.uint8]
    if codec == "zstd":
        numbers = Zstd().decode(data, out=np.empty(expected, np.uint8))
    else:
        stored = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
        numbers = stored[: len(stored) - CHECKSUM * (codec == "crc32c")]
    if len(numbers) != expected:
        raise ValueError(f"a part has {len(numbers):,} bytes instead of its size")
    if codec == "crc32c" and checksum(numbers) != bytes(data[expected:]):
        raise ValueError("a checksum is wrong")
    return numbers.view(dtype.newbyteorder("<")).reshape(shape)


def pays(sample: NDArray[Any]) -> bool:
    """Whether compression saves much room for numbers such as those of this sample."""
    return stored_share(sample) < 1


def stored_share(sample: NDArray[Any]) -> float:
    """Return the share of the bytes that numbers such as those of this sample take on disk; 1 if they stay as they are."""
    numbers = flat_bytes(sample)
    start = max(0, (len(numbers) - _TRIED) // 2)
    tried = numbers[start : start + _TRIED]
    if len(tried) < schema.LEAST_COMPRESSED:
        return 1.0
    share = len(Zstd(level=_LEVEL).encode(tried)) / len(tried)
    return share if share <= _PAYS else 1.0


def index_data(entries: NDArray[np.uint64]) -> bytes:
    """Return a shard's index, ``(chunks, 2)``, as it is written."""
    numbers = flat_bytes(entries)
    return bytes(numbers) + checksum(numbers)


def index_entries(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Read a shard's index, ``(chunks, 2)``; a `ValueError` if it is damaged."""
    return decoded(data, "crc32c", ((len(data) - CHECKSUM) // 16, 2), np.dtype(np.uint64))


def checksum(numbers: NDArray[np.uint8]) -> bytes:
    """Return the CRC-32C of bytes, as it is stored."""
    fixed = numbers.view()
    fixed.flags.writeable = False  # the library takes no other memory
    return int(google_crc32c.value(fixed)).to_bytes(CHECKSUM, "little")


def flat_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the memory of an array in the byte order of captures."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
