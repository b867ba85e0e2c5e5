"""Copy the rows of a captured part into the arrays of the whole capture, where every part has chunks of its own."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore, ZipStore

from nnviz3d.cluster.orders import CaptureOrder, RowsOrder
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.address import AddressStore, address_of, store_at
from nnviz3d.data.storage.shards import layout_of, pays
from nnviz3d.errors import CaptureError, UserError

PART = 32
"""Samples of a part: the largest batch of a model, so that every batch is the same as in a capture by one process."""
_PIECE = 2**26
"""Bytes of an array that are copied at once."""
_THREADS = 8
"""Arrays that are copied at the same time, because each request to an address waits long."""
_FILES = 64
"""Files that are sent to an address together."""
_WORDS = (f"{schema.TOKENS}/", f"{schema.TEXTS}/")
"""Prefixes of the paths of groups whose words are numbered over all samples."""


def publish(part: Path, order: CaptureOrder, total: int, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Copy a captured part, and return what has to be put together with the other parts, as JSON.

    Parameters
    ----------
    part
        The capture of the part's samples alone.
    total
        Number of samples of the whole capture.
    check
        Is called before each piece is written, and raises an error if the job was stopped.

    Returns
    -------
    dict
        ``root``, the attributes of the part; ``groups``, attributes by path; ``words``, the words of each sample by path;
        ``arrays``, the paths of the arrays that were copied.

    Raises
    ------
    CaptureError
        If the samples have other shapes than those of the first part.
    UserError
        If the capture cannot be written.
    """
    made = ZipStore(part, mode="r") if part.suffix == ".zip" else LocalStore(part, read_only=True)
    source = zarr.open_group(made, mode="r", zarr_format=3, use_consolidated=False)
    members = dict(source.members(max_depth=None))
    groups = {path: one.attrs.asdict() for path, one in members.items() if isinstance(one, zarr.Group)}
    arrays = {path: one for path, one in members.items() if isinstance(one, zarr.Array)}
    worded = [path for path in groups if path.startswith(_WORDS) and f"{path}/index" in arrays]
    words = {path: _words(groups.pop(path), arrays.pop(f"{path}/index")) for path in worded}
    copied = {path: one for path, one in arrays.items() if _is_of_samples(one)}
    try:
        target = store_at(order.store)
        if order.first:
            _copy_files(part, order.store, (*copied, *words))

        def copy(path: str) -> None:
            check()
            array = copied[path]
            there = _array_of_samples(target, path, array, order, total)
            _copy_rows(array, there, order.start, check)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(copy, copied))
    except OSError as error:
        raise UserError(f"Cannot write {order.store}: {error.strerror or error}.") from None
    finally:
        made.close()
    return {"root": source.attrs.asdict(), "groups": groups, "words": words, "arrays": sorted(copied)}


def _copy_files(part: Path, store: str, left_out: Sequence[str]) -> None:
    """Copy the descriptions of groups and what belongs to the model, file by file: a network has thousands of weights.

    Parameters
    ----------
    left_out
        Paths of arrays and groups that are not copied.
    """
    beginnings = tuple(f"{path}/" for path in (*left_out, schema.DESCRIPTION))
    names = (file.relative_to(part).as_posix() for file in sorted(part.rglob("*")) if file.is_file())
    files = [name for name in names if not f"{name}/".startswith(beginnings)]
    if address_of(store) is None:
        for name in files:
            (Path(store) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part / name, Path(store) / name)
        return
    objects = AddressStore(store)
    for start in range(0, len(files), _FILES):
        objects.write({name: (part / name).read_bytes() for name in files[start : start + _FILES]})


def _is_of_samples(array: zarr.Array[Any]) -> bool:
    """Whether the first axis of an array is samples."""
    names = getattr(array.metadata, "dimension_names", None) or ("",)
    return bool(names[0] == "sample")


def _array_of_samples(
    target: Store, path: str, array: zarr.Array[Any], order: CaptureOrder, total: int
) -> zarr.Array[Any]:
    """Make the array of the whole capture in which a part has its rows, or open it if it is there."""
    shape = array.shape[1:]
    if order.first:
        return _created(target, path, array, (total, *shape), order.size)
    there = zarr.open_array(target, path=path, mode="r+", zarr_format=3)
    if there.shape[1:] != shape or there.dtype != array.dtype:
        raise CaptureError(
            f"{path} has the shape {array.shape[1:]} for sample {order.start}, and {there.shape[1:]} for the first one; "
            "samples of one capture need one shape."
        )
    return there


def _created(target: Store, path: str, like: zarr.Array[Any], shape: tuple[int, ...], part: int) -> zarr.Array[Any]:
    """Make an array in the layout of captures, in which every part of the samples fills files of its own."""
    per_shard = schema.samples_per_shard(part, math.prod(shape[1:]) * like.dtype.itemsize)
    compressed = bool(shape) and like.size > 0 and pays(_first(like))
    layout = layout_of(shape, like.dtype, per_shard, compressed=compressed)
    return zarr.create_array(
        target,
        name=path,
        shape=shape,
        chunks=layout.chunk if shape else "auto",
        shards=tuple(n * length for n, length in zip(layout.grid, layout.chunk, strict=True)) if shape else None,
        dtype=like.dtype,
        compressors=ZstdCodec(level=1, checksum=True) if layout.compressed else Crc32cCodec(),
        config={"write_empty_chunks": True},
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=getattr(like.metadata, "dimension_names", None),
        overwrite=True,  # a worker that was lost may have begun it
    )


def _first(array: zarr.Array[Any]) -> NDArray[Any]:
    return np.asarray(array[:1])


def array_at(store: str, path: str) -> zarr.Array[Any]:
    """Open an array of a store at a path or an address, for reading."""
    return zarr.open_array(store_at(store, read_only=True), path=path, mode="r", zarr_format=3)


def rows_of(order: RowsOrder) -> NDArray[np.float32]:
    """Read some vectors, ``(n, D)``."""
    return np.asarray(array_at(order.store, order.path)[order.start : order.stop], dtype=np.float32)


def _copy_rows(source: zarr.Array[Any], target: zarr.Array[Any], start: int, check: Callable[[], None]) -> None:
    row = math.prod(source.shape[1:]) * source.dtype.itemsize
    file = (target.shards or target.chunks)[0]
    step = max(1, _PIECE // max(row, 1) // file) * file
    for first in range(0, source.shape[0], step):
        values = np.asarray(source[first : first + step])
        check()
        target[start + first : start + first + len(values)] = values


def _words(attributes: Mapping[str, Any], index: zarr.Array[Any]) -> list[list[str]]:
    words = attributes["words"]
    return [[words[number] for number in row] for row in np.asarray(index[...])]
