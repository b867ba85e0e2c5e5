"""Writer of a capture. The capture appears under its name only when it is complete."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nnviz3d.data.capture import is_capture
from nnviz3d.data.files.locks import WriterLock, check_free
from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.data.files.unfinished import discard, move_to, partial_path
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.kept_files import FOLDER as KEPT
from nnviz3d.data.storage.kept_files import belongs_to, groups_in, kept_files
from nnviz3d.data.storage.rows_writer import RowsWriter
from nnviz3d.data.storage.zarr_writers import FolderSink, Sink, ZipSink
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals

_TRIED = 2**18
"""Bytes of a file from which `zip_folder` tells whether compression saves room."""
_PAYS = 0.9
"""Largest share of the bytes that is left by a compression that pays; noise of float32 shrinks to 0.93."""


class CaptureWriter(RowsWriter):
    """Context manager that writes a capture; leaving it without an error moves the capture to its destination.

    Until then the capture is in a hidden folder beside its destination; an error or Ctrl-C removes that folder and leaves
    an earlier capture of the same name unchanged.

    Parameters
    ----------
    path
        ``RUN.zarr``, or ``RUN.zarr.zip`` for one finished file.
    graph, provenance
        The model and the origin of the numbers.
    samples
        N: number of samples.
    classes
        Names of the classes, if known.
    transient
        Whether the capture is deleted with its session: a ``.zarr.zip`` is then written fast, without compression.
    growing
        Whether more will be written after it is moved to its destination; it is then not marked as complete.
    kept
        The nodes whose numbers are written; `None` means all.
    float16
        Whether the numbers of nodes, and gradients by them, are rounded to float16.
    lock
        The lock of the destination, if the caller holds it already.

    Raises
    ------
    UserError
        If the destination cannot be written, is being written, or is not an earlier capture.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        graph: ModelGraph,
        provenance: Provenance,
        samples: int,
        classes: Sequence[str] | None = None,
        transient: bool = False,
        growing: bool = False,
        kept: Collection[str] | None = None,
        float16: bool = False,
        lock: WriterLock | None = None,
    ) -> None:
        self.path = Path(path)
        self._growing = growing
        self._lock = lock
        check_destination(self.path)
        if lock is None:
            check_free(self.path)
        self._partial = partial_path(self.path)
        # A sub-folder, because the outer folder is private, while a capture follows the user's umask.
        self._made = self._partial / "capture"
        per_shard = schema.samples_per_shard(samples, largest_sample(graph))
        self._attributes: dict[str, Any] = {
            "format": schema.FORMAT,
            "version": schema.VERSION,
            "complete": False,
            "committed": 0,
            "graph": graph.to_json(),
            "classes": list(classes) if classes is not None else None,
            "provenance": provenance.to_json(),
        }
        try:
            with DelayedSignals():
                self._partial.mkdir(mode=0o700)
            sink: Sink = (
                ZipSink(self._made, per_shard, fast=transient)
                if self.path.suffix == ".zip"
                else FolderSink(self._made, per_shard)
            )
            sink.update(self._attributes)
        except BaseException as error:
            self._give_up(error)
            raise
        super().__init__(sink, graph, samples, kept, float16=float16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._move_to_destination()
            except OSError as problem:
                raise UserError(f"Cannot write {self.path}: {problem.strerror or problem}.") from None
            finally:
                discard(self._partial)
            return
        self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        """Remove unfinished files; an error of the system becomes a sentence."""
        discard(self._partial)
        if isinstance(error, OSError):
            raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None

    def note(self, sample: int, text: str) -> None:
        """Add a note for users on one sample."""
        provenance = self._attributes["provenance"]
        notes = provenance["sample_notes"] or [[] for _ in range(self.samples)]
        provenance["sample_notes"] = [[*each, text] if i == sample else each for i, each in enumerate(notes)]
        self._sink.update({"provenance": provenance})

    def commit(self, samples: int) -> None:
        """Mark the first `samples` samples as complete, after their numbers were written."""
        self._attributes["committed"] = samples
        self._sink.update({"committed": samples})

    def _move_to_destination(self) -> None:
        lock = self._lock or WriterLock(self.path)
        try:
            lock.take()
            self._finish()
        finally:
            if self._lock is None:
                lock.give_back()

    def _finish(self) -> None:
        self._sink.update({"committed": self._attributes["committed"], "complete": not self._growing})
        self._sink.close()
        check_destination(self.path)
        move_to(self.path, self._made, self._partial / "earlier")


def check_destination(path: Path) -> None:
    """Check that a destination is free or holds an earlier capture.

    Raises
    ------
    UserError
        If the name does not end in ``.zarr`` or ``.zarr.zip``, the folder is missing, or the path is something else. A
        symbolic link is refused: neither to replace the link nor to overwrite its target is clearly wanted.
    """
    if not path.name.endswith((".zarr", ".zarr.zip")):
        raise UserError(f"A capture's name ends in .zarr or .zarr.zip; got {path.name!r}.")
    if not is_folder(path.absolute().parent):
        raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    there = exists(path)
    if path.is_symlink():
        raise UserError(f"{path} is a symbolic link; give the name of the capture itself, or another one.")
    if there and not is_capture(path):
        raise UserError(f"{path} exists and is not a capture; choose another name or remove it.")


def zip_folder(folder: Path, target: Path) -> None:
    """Pack a Zarr folder into one file; what compression does not shrink, such as noise of float32, is stored as it is.

    What is kept in the folder beside the capture's own groups becomes groups of the capture. Order and dates are fixed, so
    that equal captures give equal files.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            if not name.startswith(f"{KEPT}/"):
                _add(archive, name, file.read_bytes())
        for kept in kept_files(folder):
            with zipfile.ZipFile(kept) as more:
                own = [group for group in groups_in(more, ()) if (folder / group).exists()]
                new = set(more.namelist()).difference(archive.namelist())
                copy_entries(more, archive, [name for name in new if not any(belongs_to(name, one) for one in own)])


def copy_entries(source: zipfile.ZipFile, target: zipfile.ZipFile, names: Iterable[str]) -> None:
    """Copy files of one packed capture into another one, as `zip_folder` packs them."""
    for name in sorted(names):
        _add(target, name, source.read(name))


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED if _shrinks(data) else zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _shrinks(data: bytes) -> bool:
    """Whether compression saves room, tried on the middle of the data."""
    start = max(0, (len(data) - _TRIED) // 2)
    tried = data[start : start + _TRIED]
    return len(zlib.compress(tried, 1)) <= _PAYS * len(tried)


def largest_sample(graph: ModelGraph) -> int:
    """Return the bytes of the largest output of a node for one sample; unknown lengths count as 1."""
    return max((4 * math.prod(n or 1 for n in shape) for node in graph for shape in node.shapes), default=0)
