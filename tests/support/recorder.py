"""A recorded training that grows on request, written from NumPy arrays; also a program for a process of its own.

    python -m tests.support.recorder run.zarr

Each line on standard input asks for so many more records, or with ``finish`` for the end; each is answered by a line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from tests.support import captures

ROOT = Path(__file__).resolve().parents[2]
GRAPH = captures.small_graph()
TENSORS = Packing(tuple((node.id, "0", (2, *node.shape)) for node in GRAPH))
EVERY, EPOCH = 100, 500
"""Steps between two records, and steps per epoch."""


class Recorder:
    """Writer of a training with two probe samples or none; its numbers differ at every step."""

    def __init__(self, path: Path, *, samples: int = 2, control: bool = False) -> None:
        self._packing = TENSORS if samples else Packing()
        provenance = Provenance("hand", samples=tuple(f"probe {i}" for i in range(samples)))
        with CaptureWriter(path, graph=GRAPH, provenance=provenance, samples=samples, growing=True) as writer:
            announce_training(
                writer,
                GRAPH,
                metrics=("loss",),
                probes=samples,
                activations=self._packing,
                gradients=self._packing,
                control=control,
            )
            writer.commit(samples)
        self._writer = TrainingWriter(path)
        self.step = 0

    def go_on(self, records: int, *, probes: bool = True) -> None:
        """Write some more records, of the steps 1, 100, 200, ..., with or without tensors of the probe samples."""
        for _ in range(records):
            self.step = self.step // EVERY * EVERY + EVERY if self.step else 1
            tensors = np.random.default_rng(self.step).normal(size=(2, self._packing.width)).astype(np.float32)
            if probes:
                self._writer.probe(self.step, *tensors)
            loss = 150 / self.step
            scalars = {"step": self.step, "epoch": (self.step - 1) // EPOCH, "loss": loss, "learning_rate": 0.1}
            layers = np.full((len(GRAPH), len(STATISTICS)), np.nan, np.float32)  # nothing was measured
            self._writer.step(scalars, {"loss": loss}, layers, np.empty(0, np.float32))

    def pause(self, *, waits: bool) -> None:
        """Mark whether the training waits for a page."""
        self._writer.pause(waits=waits)

    def finish(self) -> None:
        """Mark the training as finished."""
        self._writer.finish()


class OtherProcess:
    """Such a writer in a process of its own."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.recorder", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def ask(self, line: str) -> None:
        """Send a command, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == f"{line}\n"

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.communicate()


if __name__ == "__main__":
    recorder = Recorder(Path(sys.argv[1]))
    for line in map(str.strip, sys.stdin):
        if line == "finish":
            recorder.finish()
        else:
            recorder.go_on(int(line))
        print(line, flush=True)
