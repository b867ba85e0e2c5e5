"""Writes a training into a capture while it goes on, so that whatever was committed can be read at any time."""

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
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.capture_writer import CaptureWriter, as_stored
from nnviz3d.data.training import SCALARS, STATISTICS, Packing
from nnviz3d.data.training_embedding import EmbeddedSet
from nnviz3d.errors import CaptureError

_CHUNK_BYTES = 2**17
"""Steps share a chunk up to this size; it is written anew with each of them."""
_WIDTH_BYTES = 2**20
"""A wide row is cut into pieces of this size, so that one layer can be read without all others."""

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
) -> None:
    """Say, in a capture that is not in place yet, what will be told of a training.

    Parameters
    ----------
    writer
        Writes the capture, as one that grows.
    graph
        Its graph.
    metrics
        Names of what Keras reports of a step.
    probes
        n: how many probe samples there are.
    channels
        Layers whose gradient norms are kept by channel: ``(layer, "", (C,))``.
    activations, gradients
        What is kept of the probe samples: ``(node, output, (n, *shape))``.
    weights
        What is kept of the weights: ``(layer, variable, shape)``.
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
        "finished": False,
        "committed": dict.fromkeys(schema.TRAINING_PARTS, 0),
    }
    writer.group(schema.TRAINING, attributes)


def announce_embedded(writer: CaptureWriter, found: EmbeddedSet) -> None:
    """Say, after `announce_training`, which samples are followed to be placed as points."""
    attributes = {name: getattr(found, name) for name in ("layer", "width", "pooled", "predicts", "probable")}
    writer.group(schema.EMBEDDED, attributes | {"names": list(found.names)})
    writer.whole(f"{schema.EMBEDDED}/labels", found.labels)
    writer.whole(f"{schema.EMBEDDED}/thumbnails", found.thumbnails)


class TrainingWriter:
    """Adds steps to a capture that is in place, and in which `announce_training` has said what they are.

    Every file is replaced in one move, what says how far to read is written last, and nothing that was committed is ever
    changed. So a reader, or whoever finds what a killed process has left, sees whole steps only.

    Parameters
    ----------
    path
        The capture, a folder.

    Raises
    ------
    CaptureError
        At every call, if the capture is no longer in its place: writing would damage another capture.
    """

    def __init__(self, path: Path) -> None:
        self._place = _Place(path)
        path = path.absolute()  # the program may change its working folder
        self._root = zarr.open_group(path, mode="r+", zarr_format=3)
        self._group = zarr.open_group(path / schema.TRAINING, mode="r+", zarr_format=3)
        attributes: dict[str, Any] = self._group.attrs.asdict()
        self._metrics: list[str] = attributes["metrics"]
        self._counts = dict.fromkeys(schema.TRAINING_PARTS, 0)
        self._finished = False
        width = len(attributes["layers"]) * len(STATISTICS) + Packing.from_json(attributes["channels"]).width
        self._rows = {
            "scalars": _Rows(self._group, "scalars", len(SCALARS) + len(self._metrics), np.float64),
            "layers": _Rows(self._group, "layers", width, np.float32),
        }

    def check(self) -> None:
        """Check that the capture is still in its place."""
        self._place.check()

    def probe(self, step: int, activations: NDArray[np.float32], gradients: NDArray[np.float32]) -> None:
        """Write what the probe samples do after a step: a row of each packing. Committed with the next step."""
        self._place.check()
        self._append("probe_steps", np.array([step]))
        self._append("activations", activations)
        self._append("gradients", gradients)
        self._counts["probes"] += 1

    def weights(self, step: int, values: NDArray[np.float32]) -> None:
        """Write all weights after a step: a row of the packing. Committed with the next step."""
        self._place.check()
        self._append("weight_steps", np.array([step]))
        self._append("weights", values)
        self._counts["weights"] += 1

    def embedded(
        self,
        step: int,
        vectors: NDArray[np.float32],
        predictions: NDArray[np.int64],
        probabilities: NDArray[np.float32],
    ) -> None:
        """Write what an `EmbeddedSet` gets after a step, ``(M, D)`` and ``(M,)``, or none. Committed with the next step."""
        self._place.check()
        self._append("embedded_steps", np.array([step]))
        self._append("embedded_vectors", vectors.reshape(-1))
        for name, row in (("embedded_predictions", predictions), ("embedded_probabilities", probabilities)):
            if len(row):
                self._append(name, row)
        self._counts["embedded"] += 1

    def step(
        self,
        scalars: Mapping[str, float],
        metrics: Mapping[str, float],
        layers: NDArray[np.float32],
        channels: NDArray[np.float32],
    ) -> None:
        """Write what was measured of one step, and commit it with all that was written before.

        Parameters
        ----------
        scalars, metrics
            What `SCALARS` and the metrics' names ask for; NaN stands for those that are missing.
        layers
            ``(L, K)``, as `Training.series`.
        channels
            A row of its packing.
        """
        self._place.check()
        row = [scalars.get(name, np.nan) for name in SCALARS] + [metrics.get(name, np.nan) for name in self._metrics]
        self._rows["scalars"].append(np.array(row, np.float64))
        self._rows["layers"].append(np.concatenate([layers.reshape(-1), channels]))
        self._counts["steps"] += 1
        self.commit()

    def commit(self) -> None:
        """Say that all that was written is whole, and that more may come."""
        self._place.check()
        if self._finished:
            self._finished = False
            self._root.update_attributes({"complete": False})
        self._group.update_attributes({"committed": self._counts, "finished": False})

    def finish(self) -> None:
        """Say that nothing more will come."""
        self._place.check()
        self._finished = True
        self._group.update_attributes({"committed": self._counts, "finished": True})
        self._root.update_attributes({"complete": True})

    def _append(self, name: str, row: NDArray[Any]) -> None:
        if name not in self._rows:
            self._rows[name] = _Rows(self._group, name, row.size, as_stored(row).dtype)
        self._rows[name].append(row)


class _Place:
    """A folder that is recognized even if another one has taken its name."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        # While the folder is open, no other one gets its inode number. Not every system can open folders.
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
    """An array ``(rows, width)`` that grows by whole chunks; the last one is kept in memory until it is full."""

    def __init__(self, group: zarr.Group, name: str, width: int, dtype: Any) -> None:
        size = np.dtype(dtype).itemsize
        self._chunk = np.zeros((max(1, _CHUNK_BYTES // max(width * size, 1)), width), dtype)
        self._count = 0
        self._array = group.create_array(
            name,
            shape=(0, width),
            chunks=(len(self._chunk), max(1, min(width, _WIDTH_BYTES // size))),
            dtype=dtype,
            compressors=ZstdCodec(level=0, checksum=True),
            config={"write_empty_chunks": True},
        )

    def append(self, row: NDArray[Any]) -> None:
        """Write one more row."""
        rows = len(self._chunk)
        at = self._count % rows
        if at == 0:
            self._array.resize((self._count + rows, row.size))
        self._chunk[at] = row
        self._chunk[at + 1 :] = 0  # not yet there, and never read
        self._array[self._count - at : self._count - at + rows] = self._chunk
        self._count += 1
