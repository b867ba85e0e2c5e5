"""Checks of the arguments of a `TrainingRecorder`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nnviz3d.data.storage.capture_writer import check_destination
from nnviz3d.errors import ModelError, SampleError, UserError

FIRST = 8
"""Number of samples of the first batch that are the probe samples by default."""


def check_gradients(model: keras.Model, grads: Sequence[Any] | None) -> None:
    """Refuse gradients whose number differs from that of the trainable variables."""
    if grads is not None and len(grads) != len(model.trainable_variables):
        raise ModelError(
            f"grads holds {len(grads)} gradients, but the model has {len(model.trainable_variables)} trainable variables; "
            "give one for each."
        )


def numbers_in(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are a single number each, so that they can be recorded."""
    found = {name: np.asarray(value) for name, value in metrics.items()}
    return {name: float(value) for name, value in found.items() if value.ndim == 0 and value.dtype.kind in "biuf"}


def check_folder(path: Path) -> None:
    """Refuse a path where no training can be recorded."""
    if path.name.endswith(".zip"):
        raise UserError(f"A training is recorded in a folder, RUN.zarr; got {path.name!r}.")
    check_destination(path)


def read_probes(probes: int | tuple[Any, Any] | None) -> tuple[int, tuple[Any, Any] | None]:
    """Return the number of samples to take from the first batch, and the given probe samples."""
    if probes is None:
        return FIRST, None
    if isinstance(probes, int):
        if probes < 0:
            raise UserError(f"probes must be a pair (x, y) or a number of samples, 0 or more; got {probes}.")
        return probes, None
    if not isinstance(probes, tuple) or len(probes) != 2:
        raise SampleError(
            "probes must be a pair (x, y) of samples and targets, or a number of samples of the first batch."
        )
    return 0, probes


def read_embedding(layer: str | None, samples: tuple[Any, Any] | None) -> tuple[str, Any, Any] | None:
    """Return layer, samples and targets of the embedding; `None` if none is requested."""
    if layer is None and samples is None:
        return None
    if layer is None or not isinstance(samples, tuple) or len(samples) != 2:
        raise SampleError(
            "An embedding needs a layer and samples; give TrainingRecorder embed='LAYER' and embed_samples=(x, y)."
        )
    return layer, *samples
