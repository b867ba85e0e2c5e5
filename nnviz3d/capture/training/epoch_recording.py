"""Record the metrics at the ends of epochs, and find overfitting."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from nnviz3d.analysis.overfitting import overfitting_in, overfitting_words
from nnviz3d.data.storage.training_writer import TrainingWriter
from nnviz3d.data.training_epochs import EpochEnds

_LEAST = 0.25
"""Shortest pause between two commits, in seconds: epochs may be shorter than the time that a commit takes."""
_SHARE = 0.01
"""Share of the training's time that the commits take."""
_COMPARED = ("loss", "val_loss")


class EpochRecording:
    """Records the ends of epochs in a capture of a training; every epoch is recorded, some are committed together.

    Parameters
    ----------
    writer
        The writer of the training.
    """

    def __init__(self, writer: TrainingWriter) -> None:
        self._writer = writer
        self._rows: list[tuple[int, int, float, float]] = []
        self._due = 0.0
        self._told = False

    def add(self, step: int, epoch: int, metrics: Mapping[str, float]) -> str:
        """Record the metrics of an epoch; return a sentence if the model overfits, once."""
        self._writer.epoch_end(step, epoch, metrics)
        began = time.perf_counter()
        if began >= self._due:
            self._writer.commit()
            ended = time.perf_counter()
            self._due = ended + max(_LEAST, (ended - began) / _SHARE)
        if self._told:
            return ""
        own, validation = (metrics.get(name, np.nan) for name in _COMPARED)
        self._rows.append((step, epoch, own, validation))
        steps, epochs, *losses = np.array(self._rows).T
        ends = EpochEnds(steps.astype(np.int64), epochs.astype(np.int64), dict(zip(_COMPARED, losses, strict=True)))
        found = overfitting_in(ends)
        self._told = found is not None
        return overfitting_words(found) if found else ""
