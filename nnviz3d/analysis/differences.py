"""Size of the difference of two tensors relative to their scale: as a whole, by channel, and number by number.

The scale of two tensors is the root mean square of all their numbers together, and the size of a difference is its root
mean square divided by this scale: 0 for equal tensors, about 1.41 for unrelated ones of mean 0, 2 for opposite ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PART = 2**20
"""Numbers that are converted to float64 at once, so that a large layer is never copied whole."""
_ROW = 512
"""Numbers of which the largest is found first."""


@dataclass(frozen=True, eq=False)
class TensorDifference:
    """The difference of two tensors of one shape, A - B.

    Attributes
    ----------
    size
        Root mean square of the difference as a share of `scale`; NaN without a number that is finite in both tensors.
    scale
        Root mean square of the finite numbers of both tensors.
    unlike
        Number of positions at which one of the tensors is NaN or infinite and the other one differs. They do not count
        in `size`.
    largest
        Flat indices of the largest differences, the largest first: ``(k,)``.
    units
        ``(C,)``: the size of each channel's difference, also as a share of `scale`; empty without channels.
    """

    size: float
    scale: float
    unlike: int
    largest: NDArray[np.int64]
    units: NDArray[np.float64]


def tensor_difference(
    here: NDArray[Any], there: NDArray[Any], channel: int | None = None, most: int = 8
) -> TensorDifference:
    """Measure the difference of two tensors.

    Parameters
    ----------
    here, there
        Tensors A and B of one shape.
    channel
        The axis of channels, if there is one.
    most
        Most numbers in `largest`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if here.shape != there.shape:
        raise ValueError(f"Tensors of shapes {here.shape} and {there.shape} have no difference.")
    counted, squares, scales, unlike = 0, 0.0, 0.0, 0
    best, sizes = np.empty(0, np.int64), np.empty(0)
    for start, a, b in _parts(here.reshape(-1), there.reshape(-1)):
        with np.errstate(invalid="ignore"):
            change = a - b
        if not math.isfinite(float(change.sum())):  # one of the numbers is not finite
            finite = np.isfinite(a) & np.isfinite(b)
            unlike += int(np.count_nonzero(~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))))
            a, b, change = (np.where(finite, x, 0.0) for x in (a, b, change))
            counted += int(np.count_nonzero(finite))
        else:
            counted += len(a)
        squares += _sum_of_squares(change)
        scales += _sum_of_squares(a) + _sum_of_squares(b)
        some = _largest(np.abs(change, out=change), most)
        best, sizes = np.concatenate([best, some + start]), np.concatenate([sizes, change[some]])
    if not counted:
        return TensorDifference(math.nan, math.nan, unlike, np.empty(0, np.int64), np.empty(0))
    scale = math.sqrt(scales / (2 * counted))
    size = math.sqrt(squares / counted) / scale if scale else 0.0
    units = np.empty(0) if channel is None else _by_channel(here, there, channel, scale)
    order = np.lexsort((best, -sizes))
    return TensorDifference(size, scale, unlike, best[order][sizes[order] > 0][:most], units)


def _parts(here: NDArray[Any], there: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield parts of two flat arrays as float64, each with the index at which it begins."""
    for start in range(0, len(here), _PART):
        one, two = (x[start : start + _PART].astype(np.float64) for x in (here, there))
        yield start, one, two


def _sum_of_squares(values: NDArray[np.float64]) -> float:
    """Return the sum of the squares, without the threads of a matrix library, which wait for busy cores."""
    return float(np.einsum("i,i->", values, values))


def _by_channel(here: NDArray[Any], there: NDArray[Any], channel: int, scale: float) -> NDArray[np.float64]:
    """Return the root mean square of each channel's difference over the scale, ``(C,)``."""
    axes = tuple(axis for axis in range(here.ndim) if axis != channel)
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.subtract(here, there, dtype=np.float32 if here.dtype != np.float64 else np.float64)
    count = change.size // change.shape[channel]
    squares = np.square(change).sum(axis=axes, dtype=np.float64)
    if not np.isfinite(squares).all():
        finite = np.isfinite(change)
        squares = np.square(np.where(finite, change, 0), dtype=np.float64).sum(axis=axes)
        count = np.maximum(np.count_nonzero(finite, axis=axes), 1)
    return np.asarray(np.sqrt(squares / count) / scale if scale else np.zeros(here.shape[channel]))


def _largest(sizes: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the indices of the largest of some sizes, in any order; one of several equal ones.

    The largest number of each row of many is found first, which takes a fraction of the time of a partition.
    """
    whole = len(sizes) // _ROW * _ROW
    rows = sizes[:whole].reshape(-1, _ROW).max(axis=1)
    chosen = np.argpartition(-rows, most - 1)[:most] if len(rows) > most else np.arange(len(rows))
    within = (chosen[:, np.newaxis] * _ROW + np.arange(_ROW)).reshape(-1)
    among = np.sort(np.concatenate([within, np.arange(whole, len(sizes))]).astype(np.int64))
    return np.asarray(among[np.argsort(-sizes[among], kind="stable")[:most]])
