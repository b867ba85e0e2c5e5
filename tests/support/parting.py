"""A recorded training whose samples separate by class, written from NumPy arrays, without a trajectory of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_embedded, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.data.training_embedding import EmbeddedSamples
from tests.support import captures

GRAPH = captures.small_graph()
M, D = 24, 6
LABELS = np.arange(M) % 3


class Parting:
    """Writer of the steps, one after another."""

    def __init__(self, path: Path) -> None:
        known = EmbeddedSamples(
            layer="dense",
            width=D,
            pooled=False,
            names=tuple(f"sample {i}" for i in range(M)),
            labels=LABELS,
            thumbnails=np.empty((0, 1, 1, 3), np.uint8),
            predicts=True,
            probable=False,
        )
        provenance = Provenance("hand", samples=("probe 0",))
        with CaptureWriter(path, graph=GRAPH, provenance=provenance, samples=1, growing=True) as writer:
            writer.commit(1)
            announce_training(writer, GRAPH, metrics=("loss",), probes=1)
            announce_embedded(writer, known)
        self._writer = TrainingWriter(path)
        self._random = np.random.default_rng(2)
        self._noise, self._middles = (self._random.normal(size=(n, D)) for n in (M, 3))
        self.step = 0

    def go_on(self, records: int) -> None:
        """Write some more steps."""
        for _ in range(records):
            vectors = self._noise + self.step * self._middles[LABELS]
            self.step += 1
            said = np.where(self._random.random(M) < self.step / 4, LABELS, 0)
            self._writer.embedded(self.step, vectors.astype(np.float32), said, np.empty(0, np.float32))
            scalars = {"step": self.step, "epoch": 0, "loss": 1 / self.step, "learning_rate": 0.1}
            layers = np.full((len(GRAPH), len(STATISTICS)), np.nan, np.float32)
            self._writer.step(scalars, {"loss": 1 / self.step}, layers, np.empty(0, np.float32))

    def finish(self) -> None:
        """Mark the training as finished."""
        self._writer.finish()
