"""Names and sizes of a capture's files, known before any file is read."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage.address import AddressListing, address_of, inside
from nnviz3d.data.storage.schema import CHUNK_BYTES

LARGEST = 4 * CHUNK_BYTES
"""Most bytes of a description or of an unpacked chunk, so that a small file cannot fill the memory."""


class Listing(Protocol):
    """The files of one capture."""

    def describes(self, path: str) -> bool:
        """Whether a Zarr description of an array or a group exists there; a `ValueError` if it is far too large."""
        ...

    def under(self, path: str) -> Mapping[str, int]:
        """Return the size in bytes of each file in a folder and its sub-folders, by its path in the capture."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        ...

    def folders(self, path: str) -> list[str]:
        """Return the names of the sub-folders directly in a folder, in the order in which the store lists them."""
        ...

    def content(self, name: str) -> bytes:
        """Return the content of a file, unpacked.

        Raises
        ------
        OSError
            If it cannot be read.
        zipfile.BadZipFile
            If its checksum is wrong.
        """
        ...

    def part(self, name: str, start: int, length: int) -> NDArray[np.uint8]:
        """Read part of a file into new memory; a negative start counts from its end.

        Raises
        ------
        OSError, ValueError
            If it cannot be read or is shorter.
        """
        ...


class FolderListing:
    """The files of a capture that is a folder; listed again each time, because a training may add files."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)

    def describes(self, path: str) -> bool:
        """Whether there is a description."""
        try:
            found = os.stat(f"{self._at(path)}/zarr.json")
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        _check(found.st_size)
        return True

    def has(self, name: str) -> bool:
        """Whether there is a file."""
        return os.path.isfile(self._at(name))

    def folders(self, path: str) -> list[str]:
        """Return the names of the sub-folders."""
        try:
            with os.scandir(self._at(path)) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def content(self, name: str) -> bytes:
        """Return the content of a file."""
        with open(self._at(name), "rb") as file:
            return file.read()

    def part(self, name: str, start: int, length: int) -> NDArray[np.uint8]:
        """Read part of a file."""
        with open(self._at(name), "rb", buffering=0) as file:
            file.seek(start, os.SEEK_END if start < 0 else os.SEEK_SET)
            return _filled(length, file)

    def _at(self, name: str) -> str:
        """Return the path of a file or folder; a `ValueError` for a name that leads out of the capture."""
        return os.path.join(self._root, inside(name))

    def under(self, path: str) -> Mapping[str, int]:
        """Return the size of each file in a folder and its sub-folders."""
        found: dict[str, int] = {}
        waiting = [path]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(self._at(folder)))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif entry.is_file():  # reading a pipe would never end
                    with suppress(FileNotFoundError):  # a writer's temporary file, which has its final name by now
                        found[name] = entry.stat().st_size
        return found


class ZipListing:
    """The files of a capture that is one zip file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def describes(self, path: str) -> bool:
        """Whether there is a description."""
        size = self._sizes.get(f"{path}/zarr.json".lstrip("/"))
        _check(size or 0)
        return size is not None

    def under(self, path: str) -> Mapping[str, int]:
        """Return the unpacked size of each file in a folder and its sub-folders."""
        first, behind = (bisect_left(self._names, f"{path}{sign}") for sign in "/0")  # 0 follows the slash in ASCII
        return {name: self._sizes[name] for name in self._names[first:behind]}

    def has(self, name: str) -> bool:
        """Whether there is a file."""
        return name in self._sizes

    def folders(self, path: str) -> list[str]:
        """Return the names of the sub-folders."""
        found = (name[len(path) + 1 :].partition("/") for name in sorted(self.under(path), key=self._order.__getitem__))
        return list(dict.fromkeys(first for first, slash, _ in found if slash))

    def content(self, name: str) -> bytes:
        """Return the unpacked content of a file; its checksum is checked."""
        return self._archive.read(name)

    def part(self, name: str, start: int, length: int) -> NDArray[np.uint8]:
        """Read part of a file, which is unpacked up to there."""
        with self._archive.open(name) as file:
            file.seek(start, os.SEEK_END if start < 0 else os.SEEK_SET)
            return _filled(length, file)

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self._path)

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        entries = self._archive.infolist()
        _check(max((one.file_size for one in entries if one.compress_type != zipfile.ZIP_STORED), default=0))
        return {one.filename: one.file_size for one in entries}

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self._sizes)}

    @cached_property
    def _names(self) -> Sequence[str]:
        return sorted(self._sizes)


def listing_of(path: Path) -> Listing:
    """List the files of the capture at a path or an address."""
    address = address_of(path)
    if address is not None:
        return AddressListing(address, _check)
    return FolderListing(path) if path.is_dir() else ZipListing(path)


def _filled(length: int, file: IO[bytes] | io.FileIO) -> NDArray[np.uint8]:
    """Read a number of bytes; a `ValueError` if the file ends before."""
    data = np.empty(length, np.uint8)
    rest = memoryview(data)  # type: ignore[arg-type]  # NumPy does not say so
    while len(rest):
        count = file.readinto(rest)  # type: ignore[union-attr]  # every binary file has it
        if not count:
            raise ValueError("a file is shorter than it should be")
        rest = rest[count:]
    return data


def _check(size: int) -> None:
    """Raise a `ValueError` for a size that only a damaged or hostile file has."""
    if size > LARGEST:
        raise ValueError(f"a part of it would take {size:,} bytes; the most is {LARGEST:,}")
