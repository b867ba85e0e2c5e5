"""Arrays and groups of a capture, opened when they are asked for; every damage is one sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nnviz3d.errors import CaptureError

_DAMAGES = (RuntimeError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile)
"""What Zarr raises where a chunk or a description of numbers is not what it was."""


class StoredArrays:
    """What stands in one capture.

    Parameters
    ----------
    path
        The folder or zip file, for messages.
    root
        The Zarr group.
    complete
        Whether the writer finished.
    committed
        How many samples are whole.
    """

    def __init__(self, path: Path, root: zarr.Group, *, complete: bool, committed: int) -> None:
        self.path = path
        self.committed = committed
        self._root = root
        self._complete = complete
        self._opened: dict[str, zarr.Array[Any] | None] = {}

    def reopened(self) -> StoredArrays:
        """Return the same with nothing opened yet, to see what a writer has added since."""
        return StoredArrays(self.path, self._root, complete=self._complete, committed=self.committed)

    def written(self, path: str) -> float:
        """Say when a group's attributes were last written, in seconds since 1970; of a folder alone."""
        try:
            return (self.path / path / "zarr.json").stat().st_mtime
        except OSError as error:
            raise self._damaged(path, error) from error

    def has_group(self, path: str) -> bool:
        """Whether there is a group."""
        return isinstance(self._member(path), zarr.Group)

    def find(self, path: str) -> zarr.Array[Any] | None:
        """Open an array; `None` if there is none.

        Raises
        ------
        CaptureError
            If it is damaged.
        """
        if path not in self._opened:
            found = self._member(path)
            array = found if isinstance(found, zarr.Array) else None
            # A missing chunk reads as zeros, and zeros that nobody measured must never be drawn.
            if array is not None and self._complete and array.nchunks_initialized != array.nchunks:
                raise CaptureError(f"{self.path} is damaged: {path} lacks part of its numbers. Capture again.")
            self._opened[path] = array
        return self._opened[path]

    def require(self, path: str) -> zarr.Array[Any]:
        """Open an array that has to be there."""
        array = self.find(path)
        if array is None:
            raise CaptureError(f"{self.path} holds no {path}; it was not captured.")
        return array

    def sample(self, array: zarr.Array[Any], sample: int) -> NDArray[Any]:
        """Read one row of an array whose first axis is samples."""
        return self.read(array, self.checked(sample))

    def checked(self, sample: int) -> int:
        """Return the number of a sample that is there; any other is a `CaptureError`."""
        if not 0 <= sample < self.committed:
            raise CaptureError(
                f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}."
            )
        return sample

    def read(self, array: zarr.Array[Any], selection: Any) -> NDArray[Any]:
        """Read a part of an array."""
        try:
            return np.asarray(array[selection])
        except _DAMAGES as error:
            raise self._damaged(array.path, error) from error

    def group(self, path: str) -> Mapping[str, NDArray[Any]]:
        """Read all arrays of a group, by name; empty if there is no such group."""
        found = self._member(path)
        if not isinstance(found, zarr.Group):
            return {}
        return {name: self.read(self.require(f"{path}/{name}"), ...) for name, _ in found.arrays()}

    def members(self, path: str) -> tuple[str, ...]:
        """List the groups in a group, by name; empty if there is no such group."""
        found = self._member(path)
        return tuple(sorted(name for name, _ in found.groups())) if isinstance(found, zarr.Group) else ()

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group; empty if there is no such group."""
        found = self._member(path)
        return {} if found is None else found.attrs.asdict()

    def _member(self, path: str) -> zarr.Array[Any] | zarr.Group | None:
        try:
            return self._root[path]
        except KeyError:
            return None
        except _DAMAGES as error:
            raise self._damaged(path, error) from error

    def _damaged(self, path: str, error: Exception) -> CaptureError:
        return CaptureError(f"{self.path} is damaged: {path} cannot be read ({error}). Capture again.")
