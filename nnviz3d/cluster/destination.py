"""Place of a capture that many workers write: a hidden folder that becomes the capture at the end, or an address."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from nnviz3d.data.files.locks import WriterLock, check_free
from nnviz3d.data.files.unfinished import discard, move_to, partial_path
from nnviz3d.data.storage.address import AddressStore, address_of
from nnviz3d.data.storage.capture_writer import check_destination, zip_folder
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals


class Destination(Protocol):
    """A context for a capture that many workers write; leaving it without `finish` removes everything."""

    @property
    def store(self) -> str:
        """Folder or address of the capture under construction."""
        ...

    @property
    def scratch(self) -> str:
        """Folder or address for what is needed meanwhile; it is removed at the end."""
        ...

    def __enter__(self) -> Self:
        """Prepare the place."""
        ...

    def __exit__(self, *_: object) -> None:
        """Remove what is unfinished."""
        ...

    def finish(self) -> None:
        """Let the complete capture appear."""
        ...


def destination_of(path: Path) -> Destination:
    """Return the destination of a path or an address.

    Raises
    ------
    UserError
        If no capture can be written there.
    """
    address = address_of(path)
    return LocalDestination(path) if address is None else AddressDestination(address)


class AddressDestination:
    """A context for a capture at an address. It counts as complete when its root says so, which is written last.

    Parameters
    ----------
    address
        An address with nothing there: objects cannot be replaced together.

    Raises
    ------
    UserError
        If the name is not that of a capture, or something is there.
    """

    def __init__(self, address: str) -> None:
        self.store, self.scratch = address, f"{address}.partial"
        self._finished = False
        if not address.endswith(".zarr"):
            raise UserError(f"A capture at an address has a name that ends in .zarr; got {address}.")
        if "/" not in address.partition("://")[2]:
            raise UserError(f"{address} is a whole bucket; give a name in it, such as {address}/run.zarr.")
        self._objects = AddressStore(address)
        if not self._objects.is_empty():
            raise UserError(f"{address} exists; give another name, or remove it.")

    def __enter__(self) -> Self:
        self._objects.begin()
        return self

    def __exit__(self, *_: object) -> None:
        AddressStore(self.scratch).remove()
        if not self._finished:
            self._objects.remove()

    def finish(self) -> None:
        """Keep the capture."""
        self._finished = True


class LocalDestination:
    """A context for a capture on a file system that all workers see; leaving it without `finish` removes everything.

    Parameters
    ----------
    path
        ``RUN.zarr`` or ``RUN.zarr.zip``.

    Attributes
    ----------
    store, scratch
        The folders of `Destination`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_destination(path)
        check_free(path)
        self._partial = partial_path(path)
        self.store, self.scratch = str(self._partial / "capture"), str(self._partial / "scratch")

    def __enter__(self) -> Self:
        try:
            with DelayedSignals():
                self._partial.mkdir(mode=0o755)  # workers may run as other users
        except OSError as error:
            raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        discard(self._partial)

    def finish(self) -> None:
        """Move the capture to its destination; an earlier one stays there until the new one is complete.

        Raises
        ------
        UserError
            If the system refuses to.
        """
        lock = WriterLock(self.path)
        try:
            lock.take()
            check_destination(self.path)
            made = Path(self.store)
            if self.path.suffix == ".zip":
                folder, made = made, self._partial / "capture.zip"
                zip_folder(folder, made)
            move_to(self.path, made, self._partial / "earlier")
        except OSError as error:
            raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None
        finally:
            lock.give_back()
