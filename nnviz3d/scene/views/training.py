"""View of a training: the curves of its loss and of its validation loss, and the metrics of the shown step."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.overfitting import overfitting_in, short_words
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.panel_rows import CurveRow, Row, TextRow
from nnviz3d.scene.primitives import Panel, Primitive
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Phase, Seconds, TrainingUse, ViewSpec

_METRICS = 2
"""Maximum number of metrics that are written."""


class TrainingSpec(ViewSpec):
    """A recorded training over the scene's time: the picture at each recorded step, and the curve of the loss.

    Attributes
    ----------
    start
        Start in seconds; by default a moment after the end of the forward and the backward pass.
    duration
        Seconds from the first recorded step to the last.
    """

    kind: Literal["training"]
    joins_any: ClassVar[bool] = True
    training: ClassVar[TrainingUse] = "if recorded"
    start: Seconds | None = None
    duration: Seconds = 10.0

    @property
    def phase(self) -> Phase:
        """The training."""
        return Phase("training", self.start, self.duration)


class TrainingView(View):
    """The panel with the loss curve; the other views draw the numbers of the shown step."""

    spec_class = TrainingSpec

    def __init__(self, spec: TrainingSpec, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._kept: tuple[int | None, tuple[Primitive, ...]] | None = None

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the panel with the point at the selected step, or else at the clock's."""
        training = self._context.capture.training
        index = None if training is None else self._timeline.recorded_index(training, t, selection.step)
        if self._kept is None or self._kept[0] != index:
            rows = _rows(training, index, self._other()) if training is not None and index is not None else _NOTHING
            self._kept = (index, (Panel("training", "top-right", rows),))
        return self._kept[1]

    def _other(self) -> tuple[str, Training] | None:
        """Return the name and the recorded training of the compared model, if it has one."""
        other = self._context.counterpart
        training = None if other is None else other.capture.training
        return None if other is None or training is None or not len(training) else (other.name, training)


_NOTHING: tuple[Row, ...] = (TextRow("training"), TextRow("no step has been recorded yet", "quiet"))


def step_text(training: Training, index: int) -> str:
    """Write a recorded step with its epoch."""
    return f"step {training.steps[index]:,} · epoch {training.epochs[index] + 1}"


def figures(training: Training, index: int) -> list[str]:
    """Write loss, metrics and learning rate of a recorded step."""
    found = [f"loss {number(training.loss[index])}"] if np.isfinite(training.loss).any() else []
    metrics = [(name, values[index]) for name, values in training.metrics.items() if name != "loss"]
    found += [f"{name} {number(value)}" for name, value in metrics[:_METRICS] if not np.isnan(value)]
    rate = training.learning_rate[index]
    return found if np.isnan(rate) else [*found, f"learning rate {number(rate)}"]


def validation_figures(training: Training, index: int) -> list[str]:
    """Write the metrics of the last validation up to a recorded step."""
    ends = training.epoch_ends
    past = int(np.searchsorted(ends.steps, training.steps[index], side="right")) - 1
    ordered = sorted(ends.validation.items(), key=lambda one: one[0] != "val_loss")
    found = [(name, values[past]) for name, values in ordered] if past >= 0 else []
    return [f"{name} {number(value)}" for name, value in found[:_METRICS] if not np.isnan(value)]


def _rows(training: Training, index: int, other: tuple[str, Training] | None = None) -> tuple[Row, ...]:
    """Return the rows of a recorded step; the second curve is the loss of the compared run, or else of the validation."""
    steps, loss = training.steps, training.loss
    rows: list[Row] = [TextRow(f"training {step_text(training, index)}")]
    if np.isfinite(loss).any():
        ends = _end(steps, loss, 0), _end(steps, loss, -1)
        validated = training.epoch_ends
        dots = validated.validation.get("val_loss", np.empty(0))
        at = validated.steps[: len(dots)].astype(np.float64)
        if other is not None and np.isfinite(other[1].loss).any():
            at, dots = other[1].steps.astype(np.float64), other[1].loss
            low, high = min(int(steps[0]), int(other[1].steps[0])), max(int(steps[-1]), int(other[1].steps[-1]))
            ends = f"step {low:,}", f"step {high:,}"
        rows.append(CurveRow(steps.astype(np.float64), loss, index, ends, at, dots))
    rows.append(TextRow(" · ".join(figures(training, index)), "quiet"))
    if other is not None:
        name, run = other
        past = max(int(np.searchsorted(run.steps, steps[index], side="right")) - 1, 0)
        told = " · ".join([name, f"step {run.steps[past]:,}", *figures(run, past)])
        rows.append(TextRow(f"thin line: {told}", "quiet"))
    elif training.epoch_ends.validation:
        told = " · ".join(validation_figures(training, index)) or "validation"
        overfitting = overfitting_in(training.epoch_ends, int(steps[index]))
        rows.append(
            TextRow(f"dots: {told}", "quiet") if overfitting is None else TextRow(f"dots: {short_words(overfitting)}")
        )
    return tuple(rows)


def _end(steps: NDArray[np.int64], loss: NDArray[np.float64], index: int) -> str:
    return f"step {steps[index]:,}: {number(loss[index])}"
