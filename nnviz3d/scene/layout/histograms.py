"""Ridges that show the histograms of a layer over a training, on one axis of values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.training_histograms import BINS, Histograms

COLUMNS = 160
"""Number of columns of a ridge."""
MOST = 24
"""Most ridges; of more recorded steps, evenly spread ones are drawn."""


@dataclass(frozen=True, eq=False)
class HistogramRidges:
    """Some of the histograms of one quantity of a layer, drawn over a common axis.

    Attributes
    ----------
    steps
        ``(n,)``: the drawn steps, the latest first; its ridge is in front.
    rows
        ``(n,)``: their indices among the recorded histograms.
    low, high
        The ends of the axis.
    shares
        ``(n, COLUMNS)``: the density of the numbers at each column as a share of the step's highest density, 0 to 1.
    recorded
        The number of steps with a histogram.
    """

    steps: NDArray[np.int64]
    rows: NDArray[np.int64]
    low: float
    high: float
    shares: NDArray[np.float64]
    recorded: int

    @property
    def at(self) -> NDArray[np.float64]:
        """The values at the middles of the columns, ``(COLUMNS,)``."""
        return np.asarray(self.low + (np.arange(COLUMNS) + 0.5) / COLUMNS * (self.high - self.low))

    def number_of(self, step: int) -> int:
        """Return the ridge of the last drawn step up to this one, or else that of the first step."""
        past = np.flatnonzero(self.steps <= step)
        return int(past[0]) if len(past) else len(self.steps) - 1


def histogram_ridges(steps: NDArray[np.int64], found: Histograms) -> HistogramRidges:
    """Choose the drawn histograms, and compute their heights on a common axis.

    Parameters
    ----------
    steps
        ``(H,)``: the steps of `found`; the histogram of at least one of them is known.
    """
    known = np.flatnonzero(found.known)
    chosen = known[np.unique(np.linspace(0, len(known) - 1, min(MOST, len(known))).round().astype(int))][::-1]
    limits = found.limits[chosen]
    low, high = float(limits[:, 0].min()), float(limits[:, 1].max())
    if high <= low:
        reach = max(abs(low), 1.0) / 2
        low, high = low - reach, high + reach
    borders = np.linspace(low, high, COLUMNS + 1)
    shares = np.stack([_densities(borders, *pair) for pair in zip(limits, found.counts[chosen, 1:-1], strict=True)])
    tops = shares.max(axis=1, keepdims=True)
    return HistogramRidges(
        steps[chosen], chosen, low, high, np.divide(shares, tops, out=np.zeros_like(shares), where=tops > 0), len(known)
    )


def _densities(
    borders: NDArray[np.float64], limits: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how many numbers fall into each column, ``(COLUMNS,)``, as if they were spread evenly within their bins."""
    low, high = limits
    column = borders[1] - borders[0]
    if high - low < column:  # all numbers are within one column
        found = np.zeros(len(borders) - 1)
        found[min(int(((low + high) / 2 - borders[0]) / column), len(found) - 1)] = counts.sum()
        return found
    edges = np.linspace(low, high, BINS + 1)
    return np.diff(np.interp(borders, edges, np.concatenate([[0], np.cumsum(counts)])))
