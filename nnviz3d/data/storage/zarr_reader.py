"""Reader of a capture's arrays and groups, opened on demand; any damage is an error of one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import reason
from nnviz3d.data.storage.file_listing import LARGEST, listing_of
from nnviz3d.errors import CaptureError, DamagedCapture

_MOST_KEPT = 2**28
"""Bytes that are kept by `StoredArrays.remembering`."""


class StoredArrays:
    """The arrays and groups of one capture.

    Parameters
    ----------
    path
        The folder or zip file, for messages.
    root
        The Zarr group.
    graph
        The architecture, which determines the shapes of the arrays.
    complete
        Whether the writer finished.
    committed
        Number of complete samples.
    """

    def __init__(self, path: Path, root: zarr.Group, *, graph: ModelGraph, complete: bool, committed: int) -> None:
        self.path = path
        self.graph = graph
        self.committed = committed
        self._root = root
        self._complete = complete
        self._listing = listing_of(path)
        self._opened: dict[str, zarr.Array[Any] | None] = {}
        self._whole: dict[str, int] = {}
        self._kept: dict[tuple[str, str], NDArray[Any]] | None = None
        self._lists: dict[str, tuple[str, ...]] = {}

    def reopened(self) -> StoredArrays:
        """Return a new reader without opened arrays, to see rows that a writer has added."""
        return StoredArrays(self.path, self._root, graph=self.graph, complete=self._complete, committed=self.committed)

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
        return isinstance(self._member(path), zarr.Group)

    def find(self, path: str, shape: Sequence[int | None] | None = None, kinds: str = "biuf") -> zarr.Array[Any] | None:
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
            array = found if isinstance(found, zarr.Array) else None
            if array is not None:
                self._check(path, array)
            self._opened[path] = array
        array = self._opened[path]
        if array is not None and not (array.dtype.kind in kinds and (shape is None or fits(array.shape, shape))):
            raise self.damaged(f"{path} has the shape {array.shape} and the type {array.dtype}, which are wrong for it")
        return array

    def require(self, path: str, shape: Sequence[int | None] | None = None, kinds: str = "biuf") -> zarr.Array[Any]:
        """Open an array; an error if there is none."""
        array = self.find(path, shape, kinds)
        if array is None:
            raise CaptureError(f"{self.path} holds no {path}; it was not captured.")
        return array

    def sample(self, array: zarr.Array[Any], sample: int) -> NDArray[Any]:
        """Read one row of an array whose first axis is samples."""
        return self.read(array, self.checked(sample))

    def checked(self, sample: int) -> int:
        """Return the number of a sample, or raise a `CaptureError` if there is no such sample."""
        if not 0 <= sample < self.committed:
            raise CaptureError(
                f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}."
            )
        return sample

    def read(self, array: zarr.Array[Any], selection: Any) -> NDArray[Any]:
        """Read part of an array; a missing chunk is an error."""
        kept, key = self._kept, (array.path, repr(selection))
        if kept is not None and key in kept:
            return kept[key]
        with self._reading(array.path):
            self._require_chunks(array, _rows_up_to(selection, array.shape))
            found = np.asarray(array[selection])
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
            found = self._member(path)
            with self._reading(path):
                self._lists[path] = tuple(name for name, _ in found.arrays()) if isinstance(found, zarr.Group) else ()
        return self._lists[path]

    def members(self, path: str) -> tuple[str, ...]:
        """List the groups in a group, by name; empty if there is no such group."""
        found = self._member(path)
        if not isinstance(found, zarr.Group):
            return ()
        with self._reading(path):
            return tuple(sorted(name for name, _ in found.groups()))

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group; empty if there is no such group."""
        found = self._member(path)
        return {} if found is None else found.attrs.asdict()

    def damaged(self, what: str) -> DamagedCapture:
        """Return the error that says which part of the capture is damaged."""
        return damaged(self.path, what)

    def _member(self, path: str) -> zarr.Array[Any] | zarr.Group | None:
        with self._reading(path):
            if self._listing.describes(path):
                return self._root[path]
            if self._listing.under(path):
                raise self.damaged(f"{path} has no description")
            return None

    def _check(self, path: str, array: zarr.Array[Any]) -> None:
        """Check that an array is stored as captures store it, before any of its numbers is read."""
        with self._reading(path):
            if array.shards is not None:
                raise self.damaged(f"{path} stores its numbers in another format than captures")
            stored = max(self._listing.under(path).values(), default=0)
            if math.prod(array.chunks) * array.dtype.itemsize > max(LARGEST, stored):
                raise self.damaged(f"{path} claims chunks of {array.chunks} numbers")
            if self._complete:
                self._require_chunks(array, array.shape[0] if array.shape else 1)

    def _require_chunks(self, array: zarr.Array[Any], rows: int) -> None:
        """Check that no chunk of the first `rows` rows is missing.

        Zarr reads a missing chunk as zeros, and zeros that the model never computed must not be drawn.
        """
        if rows <= self._whole.get(array.path, 0):
            return
        if array.shape and rows > array.shape[0]:
            raise self.damaged(f"{array.path} should have {rows:,} rows, but it has {array.shape[0]:,}")
        lengths = (min(rows, *array.shape[:1]), *array.shape[1:]) if array.shape else ()
        grid = [-(-length // chunk) for length, chunk in zip(lengths, array.chunks, strict=True)]
        files = self._listing.under(array.path)
        # Counted first, because a damaged shape may ask for more chunks than can be checked.
        if math.prod(grid) > len(files) or any(
            f"{array.path}/{array.metadata.encode_chunk_key(chunk)}" not in files
            for chunk in product(*map(range, grid))
        ):
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
    return DamagedCapture(f"{capture} is damaged: {what}. Capture again.")


def fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a shape is the expected one, in which `None` means any length."""
    return len(shape) == len(expected) and all(n in (None, m) for n, m in zip(expected, shape, strict=True))


def _rows_up_to(selection: Any, shape: Sequence[int]) -> int:
    """Return the number of rows, counted from the first, that a selection needs."""
    first = selection[0] if isinstance(selection, tuple) else selection
    if first is ... or not shape:
        return shape[0] if shape else 1
    return int(shape[0] if first.stop is None else first.stop) if isinstance(first, slice) else int(first) + 1
