"""Addresses of captures that are not files, such as ``s3://bucket/run.zarr``, opened by fsspec.

A `Path` of an address has lost one of the two slashes; `address_of` puts it back, so that the rest of the program handles
addresses as paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import CaptureError

if TYPE_CHECKING:
    from zarr.abc.store import Store

_SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}
"""The protocols that are opened, and the package of each. Others, such as chains of protocols, could read local files."""
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9]+):/+(?P<rest>.*)", re.DOTALL)


def address_of(path: Path | str) -> str | None:
    """Return the address that a path is; `None` for a path of this machine."""
    match = _ADDRESS.fullmatch(str(path))
    if match is None or match["scheme"] not in _SCHEMES:
        return None
    return f"{match['scheme']}://{match['rest'].rstrip('/')}"


def absolute(path: Path) -> str:
    """Return an address as it is, and any other path as an absolute one."""
    return address_of(path) or str(path.absolute())


def inside(name: str) -> str:
    """Return the name of a file in a capture; a `ValueError` if it leads out of the capture."""
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} leads out of it")
    return name


class AddressStore:
    """The objects below an address.

    Parameters
    ----------
    address
        The address.

    Raises
    ------
    CaptureError
        If the package for its protocol is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._files, self._root = _file_system(address)

    def listing(self, below: str = "") -> dict[str, int]:
        """Return the size in bytes of each object below a path, by its own path, which begins below the address."""
        with service_errors(self.address):
            found = self._files.find(self._at(below), detail=True)
        return {name.removeprefix(f"{self._root}/"): int(one["size"] or 0) for name, one in found.items()}

    def read(self, path: str) -> bytes:
        """Return the content of an object; a `FileNotFoundError` if there is none."""
        with service_errors(self.address):
            return bytes(self._files.cat_file(self._at(path)))

    def part(self, path: str, start: int, length: int) -> bytes:
        """Return part of an object; a negative start counts from its end."""
        with service_errors(self.address):
            end = start + length or None
            return bytes(self._files.cat_file(self._at(path), start=start, end=end))

    def folders(self, path: str) -> list[str]:
        """Return the names of the parts directly below a path that have parts of their own."""
        with service_errors(self.address):
            try:
                found = self._files.ls(self._at(path), detail=True)
            except FileNotFoundError:
                return []
        return [one["name"].rstrip("/").rpartition("/")[2] for one in found if one["type"] == "directory"]

    def is_empty(self) -> bool:
        """Whether nothing is there."""
        with service_errors(self.address):
            try:
                return not self._files.ls(self._root, refresh=True)
            except FileNotFoundError:
                return True

    def begin(self) -> None:
        """Write a first object, to find out whether writing is allowed.

        Raises
        ------
        CaptureError
            If it is not, or there is no such bucket.
        """
        with service_errors(self.address):
            try:
                self._files.pipe(f"{self._root}/zarr.json", b"{}")
            except FileNotFoundError as error:
                raise CaptureError(f"Cannot write {self.address}: {error}; make the bucket first.") from None

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Write objects, several at a time, by their paths below the address."""
        with service_errors(self.address):
            self._files.pipe({self._at(path): data for path, data in contents.items()})

    def remove(self) -> None:
        """Remove everything below the address."""
        with service_errors(self.address):
            self._files.invalidate_cache()
            if self._files.exists(self._root):
                self._files.rm(self._root, recursive=True)

    def _at(self, path: str) -> str:
        """Return the name of an object or folder in the service; a `ValueError` if it is not below the address."""
        return f"{self._root}/{inside(path)}".rstrip("/")


class AddressListing:
    """The files of a capture at an address. It is complete, so each part is listed once.

    Parameters
    ----------
    address
        The address.
    check
        Raises a `ValueError` for a description of a size that only a damaged one has.
    """

    def __init__(self, address: str, check: Callable[[int], None]) -> None:
        self._store = AddressStore(address)
        self._check = check
        self._descriptions: dict[str, bytes | None] = {}
        self._under: dict[str, Mapping[str, int]] = {}

    def describes(self, path: str) -> bool:
        """Whether there is a description."""
        return self._description(f"{path}/zarr.json".lstrip("/")) is not None

    def has(self, name: str) -> bool:
        """Whether there is a file."""
        return name in self.under(name.rpartition("/c")[0])

    def folders(self, path: str) -> list[str]:
        """Return the names of the sub-folders."""
        return self._store.folders(path)

    def content(self, name: str) -> bytes:
        """Return the content of a file."""
        found = self._description(name) if name.endswith("zarr.json") else self._store.read(name)
        if found is None:
            raise FileNotFoundError(f"there is no {name}")
        return found

    def part(self, name: str, start: int, length: int) -> NDArray[np.uint8]:
        """Read part of a file, which is read without the rest."""
        data = np.frombuffer(bytearray(self._store.part(name, start, length)), np.uint8)
        if len(data) != length:
            raise ValueError("a file is shorter than it should be")
        return data

    def under(self, path: str) -> Mapping[str, int]:
        """Return the size of each file below a path."""
        if path not in self._under:
            self._under[path] = self._store.listing(path)
        return self._under[path]

    def _description(self, name: str) -> bytes | None:
        """Return a description, which is read in one request; `None` if there is none."""
        if name not in self._descriptions:
            try:
                found = self._store.read(name)
            except FileNotFoundError:
                self._descriptions[name] = None
            else:
                self._check(len(found))
                self._descriptions[name] = found
        return self._descriptions[name]


def store_at(where: Path | str, *, read_only: bool = False) -> Store:
    """Return the Zarr store at a path or an address.

    Raises
    ------
    CaptureError
        If the package for its protocol is not installed.
    """
    from zarr.storage import FsspecStore, LocalStore

    address = address_of(where)
    if address is None:
        return LocalStore(Path(where), read_only=read_only)
    _file_system(address)  # a missing package is one sentence
    with service_errors(address):
        return FsspecStore.from_url(address, read_only=read_only)


@contextmanager
def service_errors(address: str) -> Iterator[None]:
    """Convert errors of a service, such as a missing bucket or permission, to one sentence.

    Raises
    ------
    CaptureError
        In place of such an error.
    """
    try:
        yield
    except (CaptureError, FileNotFoundError):
        raise
    except Exception as error:
        # Each service has errors of its own; those of botocore are no `OSError`.
        if not isinstance(error, OSError) and not type(error).__module__.startswith(
            ("botocore", "aiobotocore", "aiohttp")
        ):
            raise
        raise CaptureError(
            f"{address} cannot be reached: {' '.join(str(error).split())[:200] or type(error).__name__}. Check the name, "
            "the permissions, and the settings of the service, such as AWS_ENDPOINT_URL."
        ) from None


def _file_system(address: str) -> tuple[Any, str]:
    scheme = address.partition(":")[0]
    try:
        import fsspec

        files, root = fsspec.core.url_to_fs(address)
    except ImportError:
        raise CaptureError(
            f"{address} needs {_SCHEMES[scheme]}, which is not installed; install it with: pip install fsspec "
            f"{_SCHEMES[scheme]}."
        ) from None
    return files, str(root)
