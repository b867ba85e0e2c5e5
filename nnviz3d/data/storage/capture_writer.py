"""Writer of a capture. The capture appears under its name only when it is complete."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes, axes_of
from nnviz3d.data.capture import is_capture
from nnviz3d.data.files.locks import WriterLock, check_free
from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.data.files.unfinished import partial_path
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.records import RANKINGS, Connections, Provenance, Ranking, filled
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_writers import FolderSink, Sink, ZipSink
from nnviz3d.errors import CaptureError, UserError


class CaptureWriter:
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
        lock: WriterLock | None = None,
    ) -> None:
        self.path = Path(path)
        self.samples = samples
        self._graph = graph
        self._growing = growing
        self._lock = lock
        check_destination(self.path)
        if lock is None:
            check_free(self.path)
        self._partial = partial_path(self.path)
        # A sub-folder, because the outer folder is private, while a capture follows the user's umask.
        self._made = self._partial / "capture"
        self._groups: set[str] = set()
        self._attributes: dict[str, Any] = {
            "format": schema.FORMAT,
            "version": schema.VERSION,
            "complete": False,
            "committed": 0,
            "graph": graph.to_json(),
            "classes": list(classes) if classes is not None else None,
            "provenance": provenance.to_json(),
        }
        fast = transient and self.path.suffix == ".zip"
        try:
            self._partial.mkdir(mode=0o700)
            self._sink: Sink = ZipSink(self._made) if fast else FolderSink(self._made)
            self._sink.update(self._attributes)
        except BaseException as error:
            self._give_up(error)
            raise

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
                self._discard()
            return
        self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        """Remove unfinished files; an error of the system becomes a sentence."""
        self._discard()
        if isinstance(error, OSError):
            raise UserError(f"Cannot write {self.path}: {error.strerror or error}.") from None

    def write_activations(self, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
        """Write one output of a node for samples from ``start`` on; values ``(n, *shape)``."""
        self.rows(schema.activation_path(node_id, output), start, values, self.axes_of(node_id, output))

    def write_input(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write the array that an input of the model was given, ``(n, *shape)``."""
        self.rows(schema.input_path(name), start, values, self.axes_of(name))

    def write_pictures(self, name: str, values: NDArray[np.uint8]) -> None:
        """Write the samples as pictures for people, ``(N, H, W, 3)`` uint8."""
        self.rows(schema.picture_path(name), 0, values, ("row", "column", "color"))

    def write_labels(self, labels: NDArray[np.integer[Any]]) -> None:
        """Write the true class of each sample, ``(N,)``."""
        self.rows("labels", 0, np.asarray(labels, dtype=np.int64))

    def write_weights(self, layer: str, variable: str, values: NDArray[Any]) -> None:
        """Write one variable of a layer."""
        self.whole(schema.weight_path(layer, variable), as_stored(values))

    def write_connections(self, found: Mapping[Ranking, Sequence[Connections]]) -> None:
        """Write one pair's strongest connections: by every ranking, one record for each sample in order.

        They are packed, ``index (N, rankings, k, 2)`` and the others ``(N, rankings, k)``, because many small arrays
        would take more time. A unit at the border has fewer connections than one in the middle, so shorter records are
        filled up with the index -1.
        """
        columns = [found[ranking] for ranking in RANKINGS]
        k = max(c.shown for column in columns for c in column)
        first = columns[0][0]
        path = schema.connection_path(first.source, first.target)

        def packed(part: Callable[[Connections], NDArray[Any]], filler: int) -> NDArray[Any]:
            return np.stack([np.stack([filled(part(c), k, filler) for c in column]) for column in columns], axis=1)

        attributes = {"rule": first.rule, "rankings": list(RANKINGS), "totals": [c.total for c in columns[0]]}
        self.group(path, attributes)
        self.whole(f"{path}/index", packed(lambda c: c.index, -1))
        self.whole(f"{path}/weight", packed(lambda c: c.weight, 0))
        self.whole(f"{path}/contribution", packed(lambda c: c.contribution, 0))

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

    def rows(self, path: str, start: int, values: NDArray[Any], axes: Axes = ()) -> None:
        """Write samples from ``start`` on of an array whose first axis is samples; real numbers as ``float32``.

        Parameters
        ----------
        axes
            Names of the other axes, for readers of Zarr such as xarray; ignored if their number does not fit.
        """
        self.group(path.rpartition("/")[0])
        others = axes if len(axes) == values.ndim - 1 else (None,) * (values.ndim - 1)
        self._sink.write(path, self.samples, start, as_stored(values), ("sample", *others))

    def axes_of(self, node_id: str, output: int = 0) -> Axes:
        """Return the names of the axes of one sample of a node's output; none for an unknown one."""
        node = self._graph.node(node_id) if node_id in self._graph else None
        if node is None or output >= len(node.shapes):
            return ()
        shape, named = node.shapes[output], node.named_axes_of(output)
        return named if len(named) == len(shape) else axes_of(shape)

    def whole(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array in its own type."""
        self.group(path.rpartition("/")[0])
        self._sink.put(path, values)

    def group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Make a group and its missing parents; attributes can be given only with the first call for a path."""
        if path in self._groups and attributes:
            raise CaptureError(f"{path} exists already; its attributes must be written before its content.")
        if path and path not in self._groups:
            self.group(path.rpartition("/")[0])
            self._sink.group(path, attributes or {})
            self._groups.add(path)

    def _move_to_destination(self) -> None:
        lock = self._lock or WriterLock(self.path)
        lock.take()
        try:
            self._finish()
        finally:
            if self._lock is None:
                lock.give_back()

    def _finish(self) -> None:
        self._sink.update({"committed": self._attributes["committed"], "complete": not self._growing})
        self._sink.close()
        check_destination(self.path)
        if self.path.suffix == ".zip":
            packed = self._made
            if packed.is_dir():
                packed = self._partial / "capture.zip"
                zip_folder(self._made, packed)
            packed.replace(self.path)
            return
        # A folder cannot be replaced in one operation. So the earlier one is moved aside, and removed after the new one.
        earlier = self._partial / "earlier"
        try:
            if self.path.exists():
                self.path.replace(earlier)
            self._made.replace(self.path)
        except BaseException:
            if earlier.exists() and not self.path.exists():
                earlier.replace(self.path)
            raise

    def _discard(self) -> None:
        try:
            shutil.rmtree(self._partial, ignore_errors=True)
        except BaseException:  # Ctrl-C during the removal
            shutil.rmtree(self._partial, ignore_errors=True)
            raise


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
    """Pack a Zarr folder into one file.

    Order and dates are fixed, so that equal captures give equal files.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def as_stored(values: NDArray[Any]) -> NDArray[Any]:
    """Convert an array to the type in which it is stored: float32; integers and bytes are unchanged.

    bfloat16 and float16 become float32 exactly; float64 is rounded.
    """
    values = np.asarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype == object:
        raise CaptureError("An array of Python objects cannot be stored; expected numbers.")
    return np.ascontiguousarray(values, dtype=np.float32)
