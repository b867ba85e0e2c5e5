"""Find the epoch from which the loss of the validation data rises while that of the training data falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnviz3d.data.minus_sign import with_minus
from nnviz3d.data.training_epochs import EpochEnds

LEAST = 3
"""Number of the last validations that must all lie above the least one."""
RISE = 0.05
"""How far each of them must lie above it, as a share of its absolute value."""


@dataclass(frozen=True)
class Overfitting:
    """A validation loss that rises while the training loss falls.

    Attributes
    ----------
    step, epoch
        The end of the epoch with the least validation loss; epochs count from 0.
    last_epoch
        The last epoch that was validated.
    validation, training
        The loss at the end of these two epochs: of the validation data, and the mean over the epoch's batches.
    """

    step: int
    epoch: int
    last_epoch: int
    validation: tuple[float, float]
    training: tuple[float, float]

    @property
    def rise(self) -> float:
        """The rise of the validation loss as a share of its least value; infinite if that is 0."""
        least, last = self.validation
        return (last - least) / abs(least) if least else np.inf


def overfitting_in(ends: EpochEnds, until: int | None = None) -> Overfitting | None:
    """Find whether the validation loss rises while the training loss falls.

    The rule: each of the last `LEAST` validations has a loss that lies more than `RISE` above the least validation loss
    so far, and in each of these epochs the training's mean loss is smaller than in the epoch of the least one. So one
    noisy epoch does not count, and neither does a training whose two losses rise together. Epochs without both numbers do
    not count, and neither do those of an earlier call of `fit`, which may have had other data: a call begins where the
    number of the epoch does not rise.

    Parameters
    ----------
    until
        The last step that counts; by default the last one.
    """
    if "loss" not in ends.metrics or "val_loss" not in ends.metrics:
        return None
    own, validation = ends.metrics["loss"], ends.metrics["val_loss"]
    counted = np.isfinite(own) & np.isfinite(validation)
    if until is not None:
        counted &= ends.steps <= until
    epochs = ends.epochs if until is None else ends.epochs[ends.steps <= until]
    began = np.flatnonzero(np.diff(epochs) <= 0) + 1
    if len(began):
        counted[: began[-1]] = False
    known = np.flatnonzero(counted)
    if not len(known):
        return None
    least = known[validation[known].argmin()]
    last = known[-LEAST:]
    limit = validation[least] + RISE * abs(validation[least])
    if last[0] <= least or not (validation[last] > limit).all() or not (own[last] < own[least]).all():
        return None
    now = last[-1]
    return Overfitting(
        int(ends.steps[least]),
        int(ends.epochs[least]),
        int(ends.epochs[now]),
        (float(validation[least]), float(validation[now])),
        (float(own[least]), float(own[now])),
    )


def short_words(found: Overfitting) -> str:
    """Return a line about overfitting."""
    rise = "" if np.isinf(found.rise) else f"+{found.rise:.0%} "
    return f"val_loss {_loss(found.validation[1])}, {rise}since epoch {found.epoch + 1}: overfits"


def overfitting_words(found: Overfitting) -> str:
    """Return a sentence about overfitting: since when, and by how much the losses differ."""
    least, last, before, now = map(_loss, (*found.validation, *found.training))
    rise = "" if np.isinf(found.rise) else f", by {found.rise:.0%}"
    return (
        f"The model overfits after epoch {found.epoch + 1} (step {found.step:,}): until epoch {found.last_epoch + 1} the "
        f"validation loss rises from {least} to {last}{rise}, while the training loss falls from {before} to {now}."
    )


def _loss(value: float) -> str:
    return with_minus(f"{value:.3g}")
