"""Curves of one statistic over a training, reduced to the number of columns that a picture can show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.training import Training

PROGRESS = "progress"
"""Name of the loss and the metrics as a statistic."""
EPOCH_LOSS = "mean loss of the epoch"
"""Name of the curve of the loss that Keras shows: a mean since the epoch began."""
_COUNTED = {
    "gradient_norm": "nonfinite_gradients",
    "weight_norm": "nonfinite_weights",
    "update_ratio": "nonfinite_weights",
    "mean": "nonfinite_activations",
    "std": "nonfinite_activations",
    "zeros": "nonfinite_activations",
    "saturated": "nonfinite_activations",
    "dead": "nonfinite_activations",
}
"""The statistic that counts NaN or infinite numbers. If it is above 0, a NaN was measured; else the value is missing."""
_OF_WEIGHTS = (
    "gradient_norm",
    "weight_norm",
    "update_ratio",
    "nonfinite_gradients",
    "nonfinite_weights",
    "nonfinite_before",
)
_APART = 2.0
"""Between recorded steps that are farther apart than this many usual distances, the curve has a gap."""


@dataclass(frozen=True, eq=False)
class History:
    """One statistic of n layers in m columns; each column is one recorded step or an interval of them.

    Attributes
    ----------
    statistic
        One of `nnviz3d.data.training.STATISTICS`, or `PROGRESS`.
    names
        Node ids of the n layers for which it was measured, in the order of the graph; for `PROGRESS`, names of metrics.
    at
        ``(m,)``: position of each column on the axis of steps, increasing.
    low, high
        ``(n, m)``: smallest and largest finite number; NaN if there is none.
    nan, infinite
        ``(n, m)``: whether one of the numbers is NaN, or infinite.
    joined
        ``(n, m - 1)``: whether the curve connects a column with the next one: both have numbers, and there is no gap.
    telling
        ``(n, m)``: the step that represents the column: that of its first NaN or infinite number, or of its largest.
    first, last, recorded
        The first and the last recorded step, and the number of recorded steps.
    usual
        Usual distance of two recorded steps, in steps.
    validation
        For `PROGRESS`, the metrics of the validation data, whose columns are ends of epochs, if there are any. `first` and
        `last` then cover both.
    other
        For `PROGRESS`, the same of another training with which this one is compared. `first` and `last` then cover both.
    """

    statistic: str
    names: tuple[str, ...]
    at: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    nan: NDArray[np.bool_]
    infinite: NDArray[np.bool_]
    joined: NDArray[np.bool_]
    telling: NDArray[np.int64]
    first: int
    last: int
    recorded: int
    usual: int
    validation: History | None = None
    other: History | None = None

    @property
    def all(self) -> tuple[History, ...]:
        """Itself, and the histories of its validation data and of the other training."""
        more = (one for one in (self.validation, self.other) if one is not None)
        return self, *(found for one in more for found in one.all)

    def between(self, first: int, last: int) -> History:
        """Return the history on an axis from one step to another."""
        validation, other = (None if one is None else one.between(first, last) for one in (self.validation, self.other))
        return replace(self, first=first, last=last, validation=validation, other=other)

    @property
    def reduced(self) -> bool:
        """Whether a column may represent several steps."""
        return len(self.at) < self.recorded

    def column(self, step: int) -> int:
        """Return the column that is nearest to a step."""
        return int(np.abs(self.at - step).argmin())


def history_of(training: Training, graph: ModelGraph, statistic: str, most: int) -> History | None:
    """Return the curves of a statistic over a training.

    Parameters
    ----------
    statistic
        One of `nnviz3d.data.training.STATISTICS`.
    most
        Largest number of columns, at least 2. If there are more recorded steps, each column covers an equal interval of
        the training; extremes, NaN and infinite numbers are preserved.

    Returns
    -------
    `None` if it was never measured, or the recording is of an earlier version without this statistic.
    """
    if statistic not in training.statistics:
        return None
    values = training.statistic(statistic).astype(np.float64)
    counted = _COUNTED.get(statistic)
    found = np.isnan(values) & (training.statistic(counted) > 0) if counted else np.zeros(values.shape, bool)
    own = [_is_own(graph, name, statistic) for name in training.layers]
    known = (~np.isnan(values) | found).any(axis=0) & np.array(own, dtype=bool)
    names = tuple(name for name, shown in zip(training.layers, known, strict=True) if shown)
    return _reduced(statistic, names, training.steps, values[:, known], found[:, known], most) if names else None


def compared(found: History, other: History | None) -> History:
    """Return the progress of a training together with that of another one, on one axis of steps."""
    if other is None:
        return found
    both = replace(found, other=other)
    return both.between(min(one.first for one in both.all), max(one.last for one in both.all))


def progress_of(training: Training, most: int) -> History | None:
    """Return the curves of the loss and the metrics, like `history_of`; NaN among numbers counts as measured.

    The metrics of the validation data are a history of their own, because they belong to other steps.
    """
    curves = {"loss": training.loss}
    for name, values in training.metrics.items():
        curves[EPOCH_LOSS if name == "loss" else name] = values
    shown = {name: values for name, values in curves.items() if not np.isnan(values).all()}
    if not shown:
        return None
    together = np.stack(list(shown.values()), axis=1)
    found = _reduced(PROGRESS, tuple(shown), training.steps, together, np.isnan(together), most)
    ends = training.epoch_ends
    if not ends.validation:
        return found
    together = np.stack(list(ends.validation.values()), axis=1)
    validation = _reduced(PROGRESS, tuple(ends.validation), ends.steps, together, np.isnan(together), most)
    # Epochs may have passed since the last recorded step.
    first, last = min(found.first, validation.first), max(found.last, validation.last)
    return replace(found, first=first, last=last, validation=replace(validation, first=first, last=last))


def _reduced(
    statistic: str,
    names: tuple[str, ...],
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    found: NDArray[np.bool_],
    most: int,
) -> History:
    """Reduce recorded steps to columns, given the numbers ``(S, n)`` and which of their NaN were measured."""
    distances = np.diff(steps)
    usual = max(int(np.median(distances)), 1) if len(distances) else 1
    starts, at = _columns(steps, most)
    finite = np.isfinite(values)
    low = _extreme(np.minimum, np.where(finite, values, np.inf), starts)
    high = _extreme(np.maximum, np.where(finite, values, -np.inf), starts)
    nan, infinite = (np.logical_or.reduceat(one, starts, axis=0) for one in (found, np.isinf(values)))
    # NaN or infinite numbers are more important than any other number.
    weight = np.where(found | np.isinf(values), np.inf, np.where(finite, values, -np.inf))
    ends = np.append(starts[1:], len(steps))
    telling = np.stack(
        [steps[start + weight[start:end].argmax(axis=0)] for start, end in zip(starts, ends, strict=True)]
    )
    connected = distances <= _APART * usual
    near = np.logical_and.reduceat(connected[: starts[-1]], starts[:-1]) if len(starts) > 1 else np.empty(0, bool)
    drawn = np.isfinite(low)
    return History(
        statistic,
        names,
        at,
        low.T,
        high.T,
        nan.T,
        infinite.T,
        (drawn[:-1] & drawn[1:] & near[:, np.newaxis]).T,
        telling.T,
        int(steps[0]),
        int(steps[-1]),
        len(steps),
        usual,
    )


def _is_own(graph: ModelGraph, name: str, statistic: str) -> bool:
    """Whether a node is shown: all calls of a layer have the same weights, so their statistics are shown for the first."""
    return statistic not in _OF_WEIGHTS or graph.node(name).call == 0


def _columns(steps: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the recorded index of each column's first step, and the positions of the columns."""
    if len(steps) <= most:
        return np.arange(len(steps)), steps.astype(np.float64)
    width = max(steps[-1] - steps[0], 1) / most
    number = np.minimum(((steps - steps[0]) / width).astype(np.int64), most - 1)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    return starts, steps[0] + (number[starts] + 0.5) * width


def _extreme(of: np.ufunc, values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    found = np.asarray(of.reduceat(values, starts, axis=0))
    return np.where(np.isfinite(found), found, np.nan)
