"""Picks the strongest k of a matrix of connections without ever holding more than a slice of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_SLICE = 8 * 2**20
"""Bytes of the kernel that are looked at together."""


@dataclass(frozen=True)
class Picked:
    """The strongest entries of a matrix, strongest first; of equals the first in C order.

    Parameters
    ----------
    row, column
        ``(k,)`` int64.
    weight
        ``(k,)`` float32: what stands in the matrix there.
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
        """The largest |weight| of each row, ``(n,)``: no connection from a cell is stronger."""
        if self._largest is None:
            parts = [np.abs(self.rows(index)).max(axis=1) for index in self._slices(np.arange(self.shape[0]))]
            self._largest = np.concatenate(parts)
        return self._largest

    def strongest(self, k: int, scale: NDArray[np.float32] | None = None) -> Picked:
        """Pick the k entries of largest ``|scale[row] * weight|``.

        Rows are visited from the one that could hold the strongest on; when k entries are stronger than anything
        that the remaining rows could hold, they are not read. For an image's activations, most of them zero, that is
        nearly all.

        Parameters
        ----------
        k
            At most as many as there are entries.
        scale
            ``(n,)``; by default 1.
        """
        bound = self.largest if scale is None else self.largest * np.abs(scale)
        order = np.argsort(-bound, kind="stable")
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
    """Return the positions of the k largest, largest first; of equals the first."""
    flat = np.arange(len(strength), dtype=np.int64)
    return _keep(strength, flat, k)[1]


def _keep(
    strength: NDArray[np.float32], flat: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if len(strength) > k:
        # Everything at least as strong as the k-th stays until ties are settled by position, so that the same numbers
        # always give the same connections.
        floor = np.partition(strength, len(strength) - k)[len(strength) - k]
        kept = strength >= floor
        strength, flat = strength[kept], flat[kept]
    order = np.lexsort((flat, -strength))[:k]
    return strength[order], flat[order]
