"""Writer of a training into a capture; committed steps can be read while the training continues."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.packing import Packing
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.rows_writer import as_stored
from nnviz3d.data.training import SCALARS, STATISTICS
from nnviz3d.data.training_embedding import EmbeddedSamples
from nnviz3d.data.training_histograms import Entries
from nnviz3d.errors import CaptureError

_CHUNK_BYTES = 2**17
"""Largest size of a chunk that several steps share; it is rewritten with each step."""
_WIDTH_BYTES = 2**20
"""Wide rows are split into chunks of this size, so that one layer can be read without the others."""

_NOTHING = Packing()


def announce_training(
    writer: CaptureWriter,
    graph: ModelGraph,
    *,
    metrics: Sequence[str] = (),
    probes: int = 0,
    channels: Packing = _NOTHING,
    activations: Packing = _NOTHING,
    gradients: Packing = _NOTHING,
    weights: Packing = _NOTHING,
    updates: Packing = _NOTHING,
    histograms: Entries = (),
    control: bool = False,
) -> None:
    """Write the description of a training into a new capture, before its first step.

    Parameters
    ----------
    writer
        Writer of the capture, with ``growing=True``.
    graph
        Graph of the capture.
    metrics
        Names of the metrics that Keras reports for a step.
    probes
        n: number of probe samples.
    channels
        Layers whose gradient norms are recorded for each channel: ``(layer, "", (C,))``.
    activations, gradients
        Tensors of the probe samples: ``(node, output, (n, *shape))``.
    weights
        The weights: ``(layer, variable, shape)``.
    updates
        Those of them whose updates are recorded one by one.
    histograms
        Layer and quantity of each histogram.
    control
        Whether a page may ask the training to wait.
    """
    attributes = {
        "layers": [node.id for node in graph],
        "statistics": list(STATISTICS),
        "metrics": list(metrics),
        "probes": probes,
        "channels": channels.to_json(),
        "activations": activations.to_json(),
        "gradients": gradients.to_json(),
        "weights": weights.to_json(),
        "updates": updates.to_json(),
        "histograms": [list(entry) for entry in histograms],
        "control": control,
        "finished": False,
        "committed": dict.fromkeys(schema.TRAINING_PARTS, 0),
    }
    writer.group(schema.TRAINING, attributes)


def announce_embedded(writer: CaptureWriter, found: EmbeddedSamples) -> None:
    """Write the embedded samples of a training; call it after `announce_training`."""
    attributes = {name: getattr(found, name) for name in ("layer", "width", "pooled", "predicts", "probable")}
    writer.group(schema.EMBEDDED, attributes | {"names": list(found.names)})
    writer.whole(f"{schema.EMBEDDED}/labels", found.labels)
    writer.whole(f"{schema.EMBEDDED}/thumbnails", found.thumbnails)


class TrainingWriter:
    """Adds steps to a finished capture folder that `announce_training` has prepared.

    Every file is replaced in one operation, the number of committed steps is written last, and committed numbers never
    change. So readers see complete steps only, even if the writing process is killed.

    Parameters
    ----------
    path
        The capture, a folder.

    Raises
    ------
    CaptureError
        From every method, if the capture was moved or replaced: writing would damage another capture.
    """

    def __init__(self, path: Path) -> None:
        self._folder = _FolderIdentity(path)
        path = path.absolute()  # the program may change its working folder
        self._root = zarr.open_group(path, mode="r+", zarr_format=3)
        self._group = zarr.open_group(path / schema.TRAINING, mode="r+", zarr_format=3)
        attributes: dict[str, Any] = self._group.attrs.asdict()
        self._metrics: list[str] = attributes["metrics"]
        self._counts = dict.fromkeys(schema.TRAINING_PARTS, 0)
        self._finished = False
        self._epoch_metrics: tuple[str, ...] = ()
        self._waiting: list[NDArray[np.float64]] = []
        width = len(attributes["layers"]) * len(STATISTICS) + Packing.from_json(attributes["channels"]).width
        self._rows = {
            "scalars": _Rows(self._group, "scalars", len(SCALARS) + len(self._metrics), np.float64),
            "layers": _Rows(self._group, "layers", width, np.float32),
        }

    def check(self) -> None:
        """Check that the capture was not moved or replaced."""
        self._folder.check()

    def probe(self, step: int, activations: NDArray[np.float32], gradients: NDArray[np.float32]) -> None:
        """Write the tensors of the probe samples after a step, one row per packing. Committed with the next step."""
        self._folder.check()
        self._append("probe_steps", np.array([step]))
        self._append("activations", activations)
        self._append("gradients", gradients)
        self._counts["probes"] += 1

    def weights(self, step: int, values: NDArray[np.float32]) -> None:
        """Write all weights after a step, one row of the packing. Committed with the next step."""
        self._folder.check()
        self._append("weight_steps", np.array([step]))
        self._append("weights", values)
        self._counts["weights"] += 1

    def updates(self, step: int, before: NDArray[np.float32], gradients: NDArray[np.float32]) -> None:
        """Write the weights before a step and their gradients, a row of the packing of updates each.

        The weights after the step must have been written. Committed with the next step.
        """
        self._folder.check()
        self._append("update_steps", np.array([step]))
        self._append("weights_before", before)
        self._append("weight_gradients", gradients)
        self._counts["updates"] += 1

    def histograms(self, step: int, limits: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """Write the histograms of a step, as `Histograms`, in the order of the entries. Committed with the next step."""
        self._folder.check()
        self._append("histogram_steps", np.array([step]))
        self._append("histogram_limits", limits.reshape(-1))
        self._append("histogram_counts", counts.reshape(-1).astype(np.int32))
        self._counts["histograms"] += 1

    def embedded(
        self,
        step: int,
        vectors: NDArray[np.float32],
        predictions: NDArray[np.int64],
        probabilities: NDArray[np.float32],
    ) -> None:
        """Write the outputs of the embedded samples after a step. Committed with the next step.

        Parameters
        ----------
        vectors
            ``(M, D)``.
        predictions, probabilities
            ``(M,)``, or empty.
        """
        self._folder.check()
        self._append("embedded_steps", np.array([step]))
        self._append("embedded_vectors", vectors.reshape(-1))
        for name, row in (("embedded_predictions", predictions), ("embedded_probabilities", probabilities)):
            if len(row):
                self._append(name, row)
        self._counts["embedded"] += 1

    def epoch_end(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of an epoch; they are written with the next commit.

        The first epoch decides which metrics are recorded. Of later ones, missing numbers are stored as NaN.
        """
        if not self._epoch_metrics:
            self._epoch_metrics = tuple(metrics)
        row = [step, epoch, *(metrics.get(name, np.nan) for name in self._epoch_metrics)]
        self._waiting.append(np.array(row, np.float64))

    def step(
        self,
        scalars: Mapping[str, float],
        metrics: Mapping[str, float],
        layers: NDArray[np.float32],
        channels: NDArray[np.float32],
    ) -> None:
        """Write the measurements of one step, and commit it with everything that was written before.

        Parameters
        ----------
        scalars, metrics
            The numbers in `SCALARS`, and the metrics, by name; missing ones are stored as NaN.
        layers
            Statistics, ``(L, K)``, as in `Training.series`.
        channels
            One row of the packing of channels.
        """
        self._folder.check()
        row = [scalars.get(name, np.nan) for name in SCALARS] + [metrics.get(name, np.nan) for name in self._metrics]
        self._rows["scalars"].append(np.array(row, np.float64))
        self._rows["layers"].append(np.concatenate([layers.reshape(-1), channels]))
        self._counts["steps"] += 1
        self.commit()

    def commit(self) -> None:
        """Mark everything written so far as complete; more steps may follow."""
        self._folder.check()
        if self._finished:
            self._finished = False
            self._root.update_attributes({"complete": False})
        self._group.update_attributes({**self._described(), "finished": False})

    def pause(self, *, waits: bool) -> None:
        """Mark whether the training waits for a page."""
        self._folder.check()
        self._group.update_attributes({"paused": waits})

    def finish(self) -> None:
        """Mark the training as finished."""
        self._folder.check()
        self._finished = True
        self._group.update_attributes({**self._described(), "finished": True})
        self._root.update_attributes({"complete": True})

    def _described(self) -> dict[str, Any]:
        """Write the ends of epochs that wait, and return the counts of everything that is written."""
        if not self._waiting:
            return {"committed": self._counts}
        if "epoch_ends" not in self._rows:
            self._rows["epoch_ends"] = _Rows(self._group, "epoch_ends", self._waiting[0].size, np.float64)
        self._rows["epoch_ends"].append(*self._waiting)
        self._counts["epochs"] += len(self._waiting)
        self._waiting.clear()
        return {"committed": self._counts, "epoch_metrics": list(self._epoch_metrics)}

    def _append(self, name: str, row: NDArray[Any]) -> None:
        if name not in self._rows:
            self._rows[name] = _Rows(self._group, name, row.size, as_stored(row).dtype)
        self._rows[name].append(row)


class _FolderIdentity:
    """Detects that a folder was removed, moved or replaced by another folder of the same name."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        # While the folder is open, no other folder gets its inode number. Windows cannot open folders.
        opened = os.open(self._path, os.O_RDONLY) if os.name != "nt" else None
        self._known = _number(self._path)
        if opened is not None:
            weakref.finalize(self, os.close, opened)

    def check(self) -> None:
        try:
            found = _number(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise CaptureError(
                f"{self._path.name} was removed, or moved, while the training was recorded into it."
            ) from None
        if found != self._known:
            raise CaptureError(f"{self._path.name} was replaced while the training was recorded into it.")


def _number(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


class _Rows:
    """An array ``(rows, width)`` that grows by whole chunks; the last chunk stays in memory until it is full."""

    def __init__(self, group: zarr.Group, name: str, width: int, dtype: Any) -> None:
        size = np.dtype(dtype).itemsize
        self._chunk = np.zeros((max(1, _CHUNK_BYTES // max(width * size, 1)), width), dtype)
        self._count = 0
        self._array = group.create_array(
            name,
            shape=(0, width),
            chunks=(len(self._chunk), max(1, min(width, _WIDTH_BYTES // size))),
            dtype=dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            config={"write_empty_chunks": True},
        )

    def append(self, *rows: NDArray[Any]) -> None:
        """Write more rows."""
        size = len(self._chunk)
        for number, row in enumerate(rows, 1):
            at = self._count % size
            if at == 0:
                self._array.resize((self._count + size, row.size))
            self._chunk[at] = row
            self._count += 1
            if at + 1 == size or number == len(rows):
                self._chunk[at + 1 :] = 0  # rows to come, which are not read
                self._array[self._count - at - 1 : self._count - at - 1 + size] = self._chunk
