"""Writers of a capture's groups and arrays: a Zarr folder that readers can open early, or one zip file written fast."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from nnviz3d.data.storage import schema
from nnviz3d.errors import CaptureError

Names = tuple[str | None, ...]
"""Names of an array's axes; `None` is an axis without a name."""


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
    """A folder in the usual format of Zarr: compressed, with checksums, readable while it grows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = zarr.open_group(folder, mode="w", zarr_format=3)
        self._arrays: dict[str, zarr.Array[Any]] = {}

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the root."""
        self._root.update_attributes(dict(attributes))

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group, without Zarr's checks of every parent group, which would take half of the writing time."""
        folder = self._folder / path
        folder.mkdir(exist_ok=True)
        (folder / "zarr.json").write_text(_described(None, attributes=dict(attributes)), encoding="utf-8")

    def write(self, path: str, samples: int, start: int, values: NDArray[Any], names: Names) -> None:
        """Write some samples of an array."""
        if path not in self._arrays:
            self._arrays[path] = self._create(path, (samples, *values.shape[1:]), values.dtype, names)
        array = self._arrays[path]
        if array.shape[1:] != values.shape[1:]:
            raise CaptureError(f"{path} holds {array.shape[1:]} for each sample, got {values.shape[1:]}.")
        array[start : start + len(values)] = values

    def put(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        self._create(path, values.shape, values.dtype)[...] = values

    def close(self) -> None:
        """Do nothing: everything is on disk."""

    def _create(
        self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any], names: Names | None = None
    ) -> zarr.Array[Any]:
        # Empty chunks are written too; otherwise a lost file would read as zeros without an error.
        return zarr.create_array(
            self._folder / path,
            shape=shape,
            chunks=schema.chunks_for(shape, dtype.itemsize) or "auto",
            dtype=dtype,
            # The checksum detects a flipped bit, which would otherwise be drawn as if the model had computed it.
            compressors=ZstdCodec(level=0, checksum=True),
            config={"write_empty_chunks": True},
            dimension_names=names,
        )


class ZipSink:
    """One zip file that is written fast, for the hundreds of small arrays of a deep network.

    Zarr takes milliseconds for each array, and some disks take as long for each file. Here, Zarr's description of one
    array is the template for all others, a chunk is the uncompressed memory of one sample, and the checksums are those of
    the zip file.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._attributes: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the root, which is written last because a zip file cannot be changed."""
        self._attributes.update(attributes)

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group."""
        self._zip.writestr(f"{path}/zarr.json", _described(None, attributes=dict(attributes)))

    def write(self, path: str, samples: int, start: int, values: NDArray[Any], names: Names) -> None:
        """Write some samples of an array."""
        shape = tuple(values.shape[1:])
        if path not in self._shapes:
            self._shapes[path] = shape
            self._describe(path, values.dtype, (samples, *shape), (1, *shape), dimension_names=list(names))
        if self._shapes[path] != shape:
            raise CaptureError(f"{path} holds {self._shapes[path]} for each sample, got {shape}.")
        for i, sample in enumerate(values, start):
            self._chunk(path, (i, *(0 for _ in shape)), sample)

    def put(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        self._describe(path, values.dtype, values.shape, values.shape)
        self._chunk(path, (0,) * values.ndim, values)

    def close(self) -> None:
        """Write the root and the file's table of contents."""
        self._zip.writestr("zarr.json", _described(None, attributes=self._attributes))
        self._zip.close()

    def _describe(
        self, path: str, dtype: np.dtype[Any], shape: tuple[int, ...], chunk: tuple[int, ...], **more: Any
    ) -> None:
        grid = {"name": "regular", "configuration": {"chunk_shape": [max(1, n) for n in chunk]}}
        self._zip.writestr(f"{path}/zarr.json", _described(dtype.name, shape=list(shape), chunk_grid=grid, **more))

    def _chunk(self, path: str, index: tuple[int, ...], values: NDArray[Any]) -> None:
        if values.size:
            key = "/".join([path, "c", *(str(i) for i in index)])
            self._zip.writestr(key, np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)


def _described(dtype: str | None, **changes: Any) -> str:
    """Return Zarr's description of an array of a type, or of a group, as JSON."""
    return json.dumps(json.loads(_pattern(dtype)) | changes)


@cache
def _pattern(dtype: str | None) -> str:
    memory: dict[str, Any] = {}
    if dtype is None:
        zarr.create_group(memory, zarr_format=3)
    else:
        zarr.create_array(memory, shape=(1,), chunks=(1,), dtype=dtype, compressors=None, zarr_format=3)
    text: bytes = memory["zarr.json"].to_bytes()
    return text.decode()
