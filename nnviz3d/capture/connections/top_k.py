"""Select the strongest k entries of a matrix of connections, reading only a slice of it at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_SLICE = 8 * 2**20
"""Bytes of the kernel that are read together."""


@dataclass(frozen=True)
class Picked:
    """The strongest entries of a matrix, strongest first; equal ones in C order.

    Parameters
    ----------
    row, column
        ``(k,)`` int64.
    weight
        ``(k,)`` float32: the entries.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: NDArray[np.float32]


class KernelMatrix:
    """A dense layer's kernel ``(n, m)``, read in slices of rows so that 25,088 x 4,096 costs no second copy."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = tf.convert_to_tensor(kernel)
        rows, columns = self._kernel.shape
        self.shape: tuple[int, int] = (int(rows), int(columns))
        self._step = max(1, _SLICE // (4 * self.shape[1]))
        self._largest: NDArray[np.float32] | None = None

    def rows(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read some rows, ``(len(index), m)``."""
        if len(index) and index[-1] - index[0] + 1 == len(index) and bool(np.all(np.diff(index) == 1)):
            part = self._kernel[int(index[0]) : int(index[-1]) + 1]
        else:
            part = tf.gather(self._kernel, index)
        return np.asarray(tf.cast(part, tf.float32))

    @property
    def largest(self) -> NDArray[np.float32]:
        """The largest |weight| of each row, ``(n,)``: an upper bound of the connections from a cell."""
        if self._largest is None:
            parts = [np.abs(self.rows(index)).max(axis=1) for index in self._slices(np.arange(self.shape[0]))]
            self._largest = np.concatenate(parts)
        return self._largest

    def strongest(self, k: int, scale: NDArray[np.float32] | None = None) -> Picked:
        """Pick the k entries of largest ``|scale[row] * weight|``.

        Rows are read by descending upper bound. Rows whose upper bound is below the k strongest entries so far are not
        read. For an image's activations, which are mostly zero, these are nearly all rows.

        Parameters
        ----------
        k
            Number of entries, at most ``n * m``.
        scale
            ``(n,)``; by default 1.
        """
        bound = self.largest if scale is None else self.largest * np.abs(scale)
        order = np.argsort(-bound, kind="stable")
        if len(order) > k > 0:
            # The k-th largest bound is reached by k entries, so all rows with a smaller bound can be left out.
            order = order[: np.searchsorted(-bound[order], -bound[order[k - 1]], side="right")]
        strength = np.empty(0, np.float32)
        flat = np.empty(0, np.int64)
        for index in self._slices(order):
            if len(strength) >= k and bound[index[0]] < strength.min():
                break
            index = np.sort(index)
            found = np.abs(self.rows(index))
            if scale is not None:
                found *= np.abs(scale[index])[:, None]
            floor = strength.min() if len(strength) >= k else np.float32(-1)
            if found.size > k:
                floor = max(floor, np.partition(found, found.size - k, axis=None)[found.size - k])
            row, column = np.nonzero(found >= floor)
            candidates = found[row, column]
            strength = np.concatenate([strength, candidates])
            flat = np.concatenate([flat, index[row] * self.shape[1] + column])
            strength, flat = _keep(strength, flat, k)
        row, column = np.divmod(flat, self.shape[1])
        weights = np.asarray(tf.cast(tf.gather_nd(self._kernel, np.stack([row, column], axis=1)), tf.float32))
        return Picked(row, column, weights)

    def _slices(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [order[i : i + self._step] for i in range(0, len(order), self._step)]


def pick(strength: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the k largest, largest first; equal ones in order."""
    flat = np.arange(len(strength), dtype=np.int64)
    return _keep(strength, flat, k)[1]


def _keep(
    strength: NDArray[np.float32], flat: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if len(strength) > k:
        # All entries at least as strong as the k-th stay until ties are broken by position, so that the result is
        # deterministic.
        floor = np.partition(strength, len(strength) - k)[len(strength) - k]
        kept = strength >= floor
        strength, flat = strength[kept], flat[kept]
    order = np.lexsort((flat, -strength))[:k]
    return strength[order], flat[order]
