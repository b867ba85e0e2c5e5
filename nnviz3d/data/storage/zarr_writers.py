"""Writers of a capture's groups and arrays, as a Zarr folder or as one zip file.

They write Zarr's descriptions and chunks themselves, because Zarr takes milliseconds for each array.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage import schema
from nnviz3d.data.storage.shards import MISSING, RowsLayout, chunk_file, index_data, layout_of, pays
from nnviz3d.errors import CaptureError

Names = tuple[str | None, ...]
"""Names of an array's axes; `None` is an axis without a name."""
_JOINED = 2**20
"""Most bytes of buffers that are copied into one write; larger ones are written without a copy."""


class Sink(Protocol):
    """A Zarr store under construction. Parents come before children; the root has the empty path."""

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the root."""
        ...

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group."""
        ...

    def write(self, path: str, samples: int, start: int, values: NDArray[Any], names: Names) -> None:
        """Write samples from ``start`` on into an array ``(samples, *shape)``; the first call creates the array.

        Parameters
        ----------
        names
            Names of its axes.
        """
        ...

    def put(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        ...

    def close(self) -> None:
        """Finish the store; everything is then on disk."""
        ...


class FolderSink:
    """A folder in the format of Zarr v3, with checksums.

    Parameters
    ----------
    folder
        The folder; it is made if it does not exist.
    per_shard
        Number of samples in one file.
    """

    def __init__(self, folder: Path, per_shard: int) -> None:
        self._folder = folder
        self._per_shard = per_shard
        self._attributes: dict[str, Any] = {}
        self._arrays: dict[str, _FolderRows] = {}
        folder.mkdir()

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the root."""
        self._attributes.update(attributes)
        self._describe("", _group(self._attributes))

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group."""
        self._describe(path, _group(attributes))

    def write(self, path: str, samples: int, start: int, values: NDArray[Any], names: Names) -> None:
        """Write some samples of an array."""
        if path not in self._arrays:
            layout = _of_samples(samples, values, self._per_shard)
            self._describe(path, layout.description(names))
            self._arrays[path] = _FolderRows(self._folder / path, layout)
        self._arrays[path].rows.check(path, values)
        self._arrays[path].write(start, values)

    def put(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        layout = _whole(values)
        self._describe(path, _unsharded(layout, None))
        for index, block in _blocks(values, layout.chunk):
            _append(self._folder / path / chunk_file(index), layout.encoded(block))

    def close(self) -> None:
        """Write the chunks that are not full, and the indices of their files."""
        for array in self._arrays.values():
            array.close()

    def _describe(self, path: str, description: Mapping[str, Any]) -> None:
        folder = self._folder / path
        folder.mkdir(exist_ok=True)
        (folder / schema.DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


class ZipSink:
    """One zip file: an entry for each chunk, so that samples can be written one after the other.

    Parameters
    ----------
    fast
        Whether nothing is compressed.
    """

    def __init__(self, path: Path, per_shard: int, *, fast: bool = False) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._per_shard = per_shard
        self._fast = fast
        self._attributes: dict[str, Any] = {}
        self._arrays: dict[str, _Chunks] = {}

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the root, which is written last because a zip file cannot be changed."""
        self._attributes.update(attributes)

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group."""
        self._describe(path, _group(attributes))

    def write(self, path: str, samples: int, start: int, values: NDArray[Any], names: Names) -> None:
        """Write some samples of an array."""
        if path not in self._arrays:
            layout = _of_samples(samples, values, self._per_shard, compressible=not self._fast)
            self._describe(path, _unsharded(layout, names))
            self._arrays[path] = _Chunks(layout)
        rows = self._arrays[path]
        rows.check(path, values)
        self._chunks(path, rows, rows.add(start, values))

    def put(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        layout = _whole(values, compressible=not self._fast)
        self._describe(path, _unsharded(layout, None))
        for index, block in _blocks(values, layout.chunk):
            self._entry(f"{path}/{chunk_file(index)}", layout.encoded(block))

    def close(self) -> None:
        """Write the chunks that are not full, the root, and the file's table of contents."""
        for path, rows in self._arrays.items():
            self._chunks(path, rows, rows.rest())
        self._describe("", _group(self._attributes))
        self._zip.close()

    def _chunks(self, path: str, rows: _Chunks, found: Iterable[tuple[int, tuple[int, ...], list[Any]]]) -> None:
        for number, part, buffers in found:
            self._entry(f"{path}/{chunk_file((number, *part))}", buffers)

    def _describe(self, path: str, description: Mapping[str, Any]) -> None:
        text = json.dumps(description).encode()
        self._entry(f"{path}/{schema.DESCRIPTION}".lstrip("/"), [text], zipfile.ZIP_DEFLATED)

    def _entry(self, name: str, buffers: Sequence[Any], kind: int = zipfile.ZIP_STORED) -> None:
        # The date is fixed, so that equal captures are equal files.
        entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_STORED if self._fast else kind
        entry.external_attr = 0o644 << 16
        entry.file_size = sum(map(len, buffers))
        with self._zip.open(entry, "w") as out:
            for buffer in buffers:
                out.write(buffer)


class _Chunks:
    """Cuts samples of an array into chunks; samples that share a chunk wait until it is full."""

    def __init__(self, layout: RowsLayout) -> None:
        self.layout = layout
        self._waiting: dict[int, tuple[NDArray[Any], int]] = {}
        self._full: set[int] = set()

    def check(self, path: str, values: NDArray[Any]) -> None:
        """Check that samples have the shape of those before."""
        if self.layout.shape[1:] != values.shape[1:]:
            raise CaptureError(f"{path} holds {self.layout.shape[1:]} for each sample, got {values.shape[1:]}.")

    def add(self, start: int, values: NDArray[Any]) -> Iterator[tuple[int, tuple[int, ...], list[Any]]]:
        """Yield the chunks that samples from ``start`` on complete: their number, their part of a sample, and buffers."""
        length = self.layout.chunk[0]
        if length == 1:
            for i in range(len(values)):
                yield from self._encoded(start + i, values[i : i + 1])
            return
        done = 0
        while done < len(values):
            number, at = divmod(start + done, length)
            if number in self._full:
                raise CaptureError("Samples that share a chunk can be written only once.")
            rows = values[done : done + length - at]
            place, count = self._waiting.pop(number, None) or (np.zeros((length, *values.shape[1:]), values.dtype), 0)
            place[at : at + len(rows)] = rows
            count, done = count + len(rows), done + len(rows)
            if count >= min(length, self.layout.shape[0] - number * length):
                self._full.add(number)
                yield from self._encoded(number, place)
            else:
                self._waiting[number] = place, count

    def rest(self) -> Iterator[tuple[int, tuple[int, ...], list[Any]]]:
        """Yield the chunks that are not full."""
        for number, (place, _) in self._waiting.items():
            yield from self._encoded(number, place)
        self._waiting.clear()

    def _encoded(self, number: int, values: NDArray[Any]) -> Iterator[tuple[int, tuple[int, ...], list[Any]]]:
        if self.layout.parts == 1 and values.size:
            yield number, (0,) * (values.ndim - 1), self.layout.encoded(values)
            return
        for index, block in _blocks(values, self.layout.chunk):
            yield number, index[1:], self.layout.encoded(block)


class _FolderRows:
    """The shards of one array, written chunk by chunk."""

    def __init__(self, folder: Path, layout: RowsLayout) -> None:
        self.rows = _Chunks(layout)
        self._folder = folder
        self._shards: dict[int, _Shard] = {}

    def write(self, start: int, values: NDArray[Any]) -> None:
        """Write samples from ``start`` on."""
        self._append(self.rows.add(start, values))

    def close(self) -> None:
        """Finish all files."""
        self._append(self.rows.rest())
        for number in list(self._shards):
            self._finish(number, [])

    def _append(self, chunks: Iterable[tuple[int, tuple[int, ...], list[Any]]]) -> None:
        """Append chunks to their shards: those of one file in one go."""
        layout = self.rows.layout
        per = layout.per_shard // layout.chunk[0]
        collected: dict[int, list[Any]] = {}
        for number, part, buffers in chunks:
            file, at = divmod(number, per)
            shard = self._shards.get(file)
            if shard is None:
                shard = self._shards[file] = _Shard(layout, file)
            shard.add(int(np.ravel_multi_index((at, *part), layout.grid)), sum(map(len, buffers)))
            collected.setdefault(file, []).extend(buffers)
        for file, buffers in collected.items():
            if self._shards[file].left == 0:
                self._finish(file, buffers)
            else:
                _append(self._file(file), buffers)

    def _finish(self, number: int, buffers: list[Any]) -> None:
        """Append the last chunks of a shard and its index."""
        _append(self._file(number), [*buffers, index_data(self._shards.pop(number).entries)])

    def _file(self, number: int) -> Path:
        return self._folder / self.rows.layout.file(number)


class _Shard:
    """The index of one file under construction."""

    def __init__(self, layout: RowsLayout, number: int) -> None:
        self.entries = np.full((math.prod(layout.grid), 2), MISSING, np.uint64)
        self.left = layout.expected(number)
        self._end = 0

    def add(self, place: int, length: int) -> None:
        """Note that a chunk is the next one in the file."""
        self.left -= int(self.entries[place, 0] == MISSING)
        self.entries[place] = self._end, length
        self._end += length


def _append(file: Path, buffers: Sequence[Any]) -> None:
    """Append buffers to a file; it is made if it does not exist."""
    with file.open("ab", buffering=0) as out:
        if sum(map(len, buffers)) <= _JOINED:
            buffers = [b"".join(buffers)]
        for buffer in buffers:
            rest = memoryview(buffer)
            while len(rest):
                rest = rest[out.write(rest) :]


def _group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def _of_samples(samples: int, values: NDArray[Any], per_shard: int, *, compressible: bool = True) -> RowsLayout:
    """Return the layout of an array ``(samples, *shape)``; whether it is compressed depends on the first values."""
    compressed = compressible and len(values) > 0 and pays(values[0])
    return layout_of((samples, *values.shape[1:]), values.dtype, per_shard, compressed=compressed)


def _whole(values: NDArray[Any], *, compressible: bool = True) -> RowsLayout:
    """Return the layout of an array that is written whole: one chunk, or several of a large one."""
    compressed = compressible and values.size > 0 and pays(values)
    whole = values.nbytes <= schema.CHUNK_BYTES
    chunk = tuple(max(1, n) for n in values.shape) if whole else schema.chunks_for(values.shape, values.dtype.itemsize)
    return RowsLayout(values.shape, values.dtype, chunk, chunk[0] if chunk else 1, compressed)


def _unsharded(layout: RowsLayout, names: Sequence[str | None] | None) -> dict[str, Any]:
    """Return Zarr's description of an array whose chunks are files of their own."""
    return layout.description(names) | {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(layout.chunk)}},
        "codecs": layout.codecs,
    }


def _blocks(values: NDArray[Any], chunk: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Yield the index and the numbers of each chunk of an array; one at its end is filled up with zeros."""
    if not values.size:
        return
    counts = [-(-n // part) for n, part in zip(values.shape, chunk, strict=True)]
    for index in product(*map(range, counts)):
        found = values[tuple(slice(i * part, (i + 1) * part) for i, part in zip(index, chunk, strict=True))]
        if found.shape != chunk:
            whole = np.zeros(chunk, values.dtype)
            whole[tuple(map(slice, found.shape))] = found
            found = whole
        yield index, found
