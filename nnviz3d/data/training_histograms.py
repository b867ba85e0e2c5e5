"""Recorded histograms of the weights, gradients and updates of each layer of a training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays

BINS = 40
"""Number of equal bins of a histogram, between its two limits."""
QUANTITIES = ("weights", "gradients", "updates")
"""Histograms of a layer: its trainable numbers after the step, their gradients, unscaled and before clipping, and after -
before."""

Entries = tuple[tuple[str, str], ...]
"""Layer and quantity of each histogram of a step, in the order of the row."""


@dataclass(frozen=True, eq=False)
class Histograms:
    """The histograms of one quantity of a layer at H steps.

    Attributes
    ----------
    limits
        ``(H, 2)``: the ends of the bins; NaN for a step without this quantity, such as one at which the layer was frozen.
    counts
        ``(H, BINS + 2)``: how many numbers are below the lower limit, in each bin, and above the upper limit. A number at
        a border belongs to the bin above it, and the upper limit to the last bin. NaN and infinite numbers are not counted.
    """

    limits: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the quantity was recorded at each step, ``(H,)``."""
        return np.isfinite(self.limits[:, 0])


class RecordedHistograms:
    """Histograms of a training at H of its steps; made by `Training.histograms`.

    Attributes
    ----------
    steps
        The steps, ``(H,)``.
    entries
        The layers and quantities.
    """

    def __init__(self, stored: StoredArrays, steps: NDArray[np.int64], entries: Entries) -> None:
        self._stored = stored
        self.steps = steps
        self.entries = entries

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers with histograms."""
        return tuple(dict.fromkeys(layer for layer, _ in self.entries))

    def of(self, layer: str, quantity: str) -> Histograms | None:
        """Read the histograms of a layer at all steps; `None` if there are none at any step."""
        if (layer, quantity) not in self.entries or not len(self):
            return None
        at, count = self.entries.index((layer, quantity)), len(self.entries)
        limits = self._rows("histogram_limits", "f", 2, at, count).astype(np.float64)
        counts = self._rows("histogram_counts", "i", BINS + 2, at, count).astype(np.int64)
        found = Histograms(limits, counts)
        return found if found.known.any() else None

    def _rows(self, name: str, kind: str, width: int, at: int, count: int) -> NDArray[np.number]:
        array = self._stored.require(schema.training_path(name), (None, count * width), kind)
        return self._stored.read(array, (slice(len(self)), slice(at * width, (at + 1) * width)))


def histogram_of(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the limits and the counts of numbers, as one step of `Histograms`.

    The bins reach four standard deviations to both sides of the mean, but not beyond the least and the greatest number:
    a few large numbers would else make all others fall into one bin. Limits are float32 numbers.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(2, np.nan), np.zeros(BINS + 2, np.int64)
    least, greatest = float(finite.min()), float(finite.max())
    mean, reach = float(finite.mean(dtype=np.float64)), 4 * float(finite.std(dtype=np.float64))
    limits = np.array([max(least, mean - reach), min(greatest, mean + reach)], np.float32).astype(np.float64)
    below = int(np.count_nonzero(finite < limits[0]))
    above = int(np.count_nonzero(finite > limits[1]))
    if limits[1] > limits[0]:
        inner, _ = np.histogram(finite, BINS, (limits[0], limits[1]))
    else:  # all numbers are equal
        inner = np.zeros(BINS, np.int64)
        inner[BINS // 2] = finite.size - below - above
    return limits, np.concatenate([[below], inner, [above]]).astype(np.int64)
