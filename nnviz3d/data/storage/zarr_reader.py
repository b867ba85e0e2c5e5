"""Reader of a capture's arrays and groups, opened on demand; any damage is an error of one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import reason
from nnviz3d.data.storage.address import address_of, store_at
from nnviz3d.data.storage.direct_reads import StoredArray, array_by_zarr, array_of, described
from nnviz3d.data.storage.file_listing import LARGEST, Listing
from nnviz3d.data.storage.kept_files import is_kept
from nnviz3d.errors import CaptureError, DamagedCapture

if TYPE_CHECKING:
    import zarr

_MOST_KEPT = 2**28
"""Bytes that are kept by `StoredArrays.remembering`."""
_FEW = 16
"""Number of chunks that are looked for one by one; of more chunks, the folder is listed."""


class StoredArrays:
    """The arrays and groups of one capture.

    Parameters
    ----------
    path
        The folder or zip file, for messages.
    listing
        Its files.
    graph
        The architecture, which determines the shapes of the arrays.
    complete
        Whether the writer finished.
    committed
        Number of complete samples.
    """

    def __init__(self, path: Path, listing: Listing, *, graph: ModelGraph, complete: bool, committed: int) -> None:
        self.path = path
        self.graph = graph
        self.committed = committed
        self._listing = listing
        self._complete = complete
        self._opened: dict[str, StoredArray | None] = {}
        self._whole: dict[str, int] = {}
        self._kept: dict[tuple[str, str], NDArray[Any]] | None = None
        self._lists: dict[str, tuple[str, ...]] = {}

    def reopened(self) -> StoredArrays:
        """Return a new reader without opened arrays, to see rows that a writer has added."""
        return StoredArrays(
            self.path, self._listing, graph=self.graph, complete=self._complete, committed=self.committed
        )

    def written(self, path: str) -> float:
        """Return when a group's attributes were last written, in seconds since 1970; only for a folder."""
        with self._reading(path):
            return (self.path / path / "zarr.json").stat().st_mtime

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Read the same part of an array only once within this context, for many descriptions in a row.

        Only arrays of captures that are complete are kept, up to `_MOST_KEPT` bytes.
        """
        before, self._kept = self._kept, {} if self._complete else None
        try:
            yield
        finally:
            self._kept = before

    def has_group(self, path: str) -> bool:
        """Whether there is a group."""
        found = self._member(path)
        return found is not None and found["node_type"] == "group"

    def find(self, path: str, shape: Sequence[int | None] | None = None, kinds: str = "biuf") -> StoredArray | None:
        """Open an array; `None` if there is none.

        Parameters
        ----------
        shape
            The expected shape; an axis that is `None` can have any length.
        kinds
            NumPy's letters for the allowed kinds of numbers.

        Raises
        ------
        CaptureError
            If it is damaged.
        """
        if path not in self._opened:
            found = self._member(path)
            array = None
            if found is not None and found["node_type"] == "array":
                with self._reading(path):
                    array = array_of(path, found) or array_by_zarr(path, self._by_zarr[path])
                self._check(path, array)
            self._opened[path] = array
        array = self._opened[path]
        if array is not None and not (array.dtype.kind in kinds and (shape is None or fits(array.shape, shape))):
            raise self.damaged(f"{path} has the shape {array.shape} and the type {array.dtype}, which are wrong for it")
        return array

    def require(self, path: str, shape: Sequence[int | None] | None = None, kinds: str = "biuf") -> StoredArray:
        """Open an array; an error if there is none."""
        array = self.find(path, shape, kinds)
        if array is None:
            raise CaptureError(f"{self.path} holds no {path}; it was not captured.")
        return array

    def sample(self, array: StoredArray, sample: int) -> NDArray[Any]:
        """Read one row of an array whose first axis is samples."""
        return self.read(array, self.checked(sample))

    def numbers(self, array: StoredArray, sample: int | None = None) -> NDArray[Any]:
        """Read one row, or all complete rows, of an array of numbers of a node; float16 becomes float32 exactly."""
        found = self.read(array, slice(self.committed) if sample is None else self.checked(sample))
        return found.astype(np.float32) if found.dtype == np.float16 else found

    def checked(self, sample: int) -> int:
        """Return the number of a sample, or raise a `CaptureError` if there is no such sample."""
        if not 0 <= sample < self.committed:
            raise CaptureError(
                f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}."
            )
        return sample

    def read(self, array: StoredArray, selection: Any) -> NDArray[Any]:
        """Read part of an array; a missing chunk is an error."""
        kept, key = self._kept, (array.path, repr(selection))
        if kept is not None and key in kept:
            return kept[key]
        with self._reading(array.path):
            self._require_chunks(array, _rows_up_to(selection, array.shape))
            taken = array if array.reads(selection) else array_by_zarr(array.path, self._by_zarr[array.path])
            found = taken.read(selection, self._listing)
        if kept is not None and sum(part.nbytes for part in kept.values()) + found.nbytes <= _MOST_KEPT:
            kept[key] = found
        return found

    def group(self, path: str) -> Mapping[str, NDArray[Any]]:
        """Read all arrays of a group, by name; empty if there is no such group."""
        names = self._names(path)
        return {name: self.read(self.require(f"{path}/{name}"), ...) for name in names}

    def _names(self, path: str) -> tuple[str, ...]:
        """List the arrays in a group, by name; empty if there is no such group."""
        if path not in self._lists or self._kept is None:
            self._lists[path] = self._children(path, "array")
        return self._lists[path]

    def members(self, path: str) -> tuple[str, ...]:
        """List the groups in a group, by name; empty if there is no such group."""
        return tuple(sorted(self._children(path, "group")))

    def _children(self, path: str, kind: str) -> tuple[str, ...]:
        """List the arrays or groups directly in a group; empty if there is no such group."""
        if not self.has_group(path):
            return ()
        with self._reading(path):
            names = self._listing.folders(path)
        members = ((name, self._member(f"{path}/{name}")) for name in names)
        return tuple(name for name, member in members if member is not None and member["node_type"] == kind)

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group; empty if there is no such group."""
        found = self._member(path)
        return {} if found is None else dict(found.get("attributes", {}))

    def damaged(self, what: str) -> DamagedCapture:
        """Return the error that says which part of the capture is damaged."""
        return damaged(self.path, what)

    @cached_property
    def _by_zarr(self) -> zarr.Group:
        """The capture in Zarr, which is opened for what is not read directly."""
        import zarr
        from zarr.storage import ZipStore

        is_folder = address_of(self.path) is not None or self.path.is_dir()
        where = store_at(self.path, read_only=True) if is_folder else ZipStore(self.path, mode="r")
        return zarr.open_group(where, mode="r", zarr_format=3, use_consolidated=False)

    def _member(self, path: str) -> Mapping[str, Any] | None:
        """Return the description of an array or a group; `None` if there is none."""
        with self._reading(path):
            if self._listing.describes(path):
                return described(self._listing.content(f"{path}/zarr.json".lstrip("/")))
            if self._listing.under(path):
                raise self.damaged(f"{path} has no description")
            return None

    def _check(self, path: str, array: StoredArray) -> None:
        """Check that an array is stored as captures store it, before any of its numbers is read."""
        with self._reading(path):
            if array.has_other_shards:
                raise self.damaged(f"{path} stores its numbers in another format than captures")
            claimed = math.prod(array.unit) * array.dtype.itemsize
            if claimed > LARGEST and claimed > max(self._listing.under(path).values(), default=0):
                raise self.damaged(f"{path} claims chunks of {array.chunks} numbers")
            if self._complete:
                self._require_chunks(array, array.shape[0] if array.shape else 1)

    def _require_chunks(self, array: StoredArray, rows: int) -> None:
        """Check that no chunk of the first `rows` rows is missing.

        Zarr reads a missing chunk as zeros, and zeros that the model never computed must not be drawn.
        """
        if rows <= self._whole.get(array.path, 0):
            return
        if array.shape and rows > array.shape[0]:
            raise self.damaged(f"{array.path} should have {rows:,} rows, but it has {array.shape[0]:,}")
        lengths = (min(rows, *array.shape[:1]), *array.shape[1:]) if array.shape else ()
        grid = [-(-length // chunk) for length, chunk in zip(lengths, array.chunks, strict=True)]
        if math.prod(grid) <= _FEW:
            whole = all(self._listing.has(array.key(chunk)) for chunk in product(*map(range, grid)))
        else:
            files = self._listing.under(array.path)
            # Counted first, because a damaged shape may ask for more chunks than can be checked.
            whole = math.prod(grid) <= len(files) and all(
                array.key(chunk) in files for chunk in product(*map(range, grid))
            )
        if not whole:
            raise self.damaged(f"{array.path} lacks part of its numbers")
        self._whole[array.path] = rows

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        with reading(self.path, path):
            yield


@contextmanager
def reading(capture: Path, what: str) -> Iterator[None]:
    """Convert any error of Zarr and its codecs, which may be of any type, to an error about a damaged capture."""
    try:
        yield
    except CaptureError:
        raise
    except Exception as error:
        why = "it needs more memory than is available" if isinstance(error, MemoryError) else reason(error, 120)
        raise damaged(capture, f"{what} cannot be read ({why.rstrip('.')})") from error


def damaged(capture: Path, what: str) -> DamagedCapture:
    """Return the error that says which part of a capture is damaged."""
    way = "Delete it; a session kept it, and the capture around it is whole" if is_kept(capture) else "Capture again"
    return DamagedCapture(f"{capture} is damaged: {what}. {way}.")


def fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a shape is the expected one, in which `None` means any length."""
    return len(shape) == len(expected) and all(n in (None, m) for n, m in zip(expected, shape, strict=True))


def _rows_up_to(selection: Any, shape: Sequence[int]) -> int:
    """Return the number of rows, counted from the first, that a selection needs."""
    first = selection[0] if isinstance(selection, tuple) else selection
    if first is ... or not shape:
        return shape[0] if shape else 1
    return int(shape[0] if first.stop is None else first.stop) if isinstance(first, slice) else int(first) + 1
