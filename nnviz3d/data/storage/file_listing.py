"""Names and sizes of a capture's files, known before any file is read."""

from __future__ import annotations

import os
import zipfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Protocol

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


class FolderListing:
    """The files of a capture that is a folder; listed again each time, because a training may add files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def describes(self, path: str) -> bool:
        """Whether there is a description."""
        file = self._root / path / "zarr.json"
        if not file.is_file():
            return False
        _check(file.stat().st_size)
        return True

    def under(self, path: str) -> Mapping[str, int]:
        """Return the size of each file in a folder and its sub-folders."""
        found: dict[str, int] = {}
        waiting = [path]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(self._root / folder))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
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

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        with zipfile.ZipFile(self._path) as archive:
            entries = archive.infolist()
        _check(max((one.file_size for one in entries if one.compress_type != zipfile.ZIP_STORED), default=0))
        return {one.filename: one.file_size for one in entries}

    @cached_property
    def _names(self) -> Sequence[str]:
        return sorted(self._sizes)


def listing_of(path: Path) -> Listing:
    """List the files of the capture at a path."""
    return FolderListing(path) if path.is_dir() else ZipListing(path)


def _check(size: int) -> None:
    """Raise a `ValueError` for a size that only a damaged or hostile file has."""
    if size > LARGEST:
        raise ValueError(f"a part of it would take {size:,} bytes; the most is {LARGEST:,}")
