"""Metrics that were recorded at the ends of a training's epochs, those of the validation data among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays

EPOCH_SCALARS = ("step", "epoch")
"""Numbers of the end of each recorded epoch; its metrics come after them."""
VALIDATION = "val_"
"""Keras begins the name of a metric of the validation data with this."""


@dataclass(frozen=True, eq=False)
class EpochEnds:
    """The ends of E epochs.

    Attributes
    ----------
    steps
        ``(E,)``: the last training step of each epoch.
    epochs
        ``(E,)``: the epochs, from 0. A further call of `fit` may begin at 0 again.
    metrics
        The metrics of each epoch by name, ``(E,)`` each: means over the epoch's batches, as `loss`, and the numbers of the
        validation data after the epoch, as `val_loss`. NaN if it was not computed.
    """

    steps: NDArray[np.int64]
    epochs: NDArray[np.int64]
    metrics: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def validation(self) -> Mapping[str, NDArray[np.float64]]:
        """The metrics of the validation data that hold a number."""
        found = self.metrics.items()
        return {name: v for name, v in found if name.startswith(VALIDATION) and not np.isnan(v).all()}


def read_epoch_ends(stored: StoredArrays, count: int, names: Sequence[str]) -> EpochEnds:
    """Read the first `count` ends of epochs, whose metrics have these names."""
    width = len(EPOCH_SCALARS) + len(names)
    if count:
        rows = stored.read(stored.require(schema.training_path("epoch_ends"), (None, width), "f"), slice(count))
    else:
        rows = np.empty((0, width))
    if not np.all(np.abs(rows[:, :2]) < 2**53):  # NaN too
        raise stored.damaged("its training has steps or epochs that are not integers")
    metrics = {name: rows[:, len(EPOCH_SCALARS) + i] for i, name in enumerate(names)}
    return EpochEnds(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), metrics)
