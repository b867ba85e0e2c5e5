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
    for a, b in _parts(here.reshape(-1), there.reshape(-1)):
        finite = np.isfinite(a) & np.isfinite(b)
        unlike += int(np.count_nonzero(~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))))
        a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
        counted += int(np.count_nonzero(finite))
        squares += float(np.dot(a - b, a - b))
        scales += float(np.dot(a, a) + np.dot(b, b))
    if not counted:
        return TensorDifference(math.nan, math.nan, unlike, np.empty(0, np.int64), np.empty(0))
    scale = math.sqrt(scales / (2 * counted))
    size = math.sqrt(squares / counted) / scale if scale else 0.0
    units = np.empty(0) if channel is None else _by_channel(here, there, channel, scale)
    return TensorDifference(size, scale, unlike, _largest(here, there, most), units)


def _parts(here: NDArray[Any], there: NDArray[Any]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    for start in range(0, len(here), _PART):
        one, two = (x[start : start + _PART].astype(np.float64) for x in (here, there))
        yield one, two


def _by_channel(here: NDArray[Any], there: NDArray[Any], channel: int, scale: float) -> NDArray[np.float64]:
    """Return the root mean square of each channel's difference over the scale, ``(C,)``."""
    axes = tuple(axis for axis in range(here.ndim) if axis != channel)
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.subtract(here, there, dtype=np.float32 if here.dtype != np.float64 else np.float64)
    finite = np.isfinite(change)
    counted = np.count_nonzero(finite, axis=axes)
    squares = np.square(np.where(finite, change, 0), dtype=np.float64).sum(axis=axes)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt(squares / counted) / scale if scale else np.zeros(here.shape[channel])
    return np.asarray(np.nan_to_num(found, nan=0.0))


def _largest(here: NDArray[Any], there: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Return flat indices of the largest finite differences that are not 0, the largest first, ties by index."""
    best = np.empty(0, np.int64)
    values = np.empty(0)
    for number, (a, b) in enumerate(_parts(here.reshape(-1), there.reshape(-1))):
        with np.errstate(invalid="ignore"):
            change = np.abs(a - b)
        change[~np.isfinite(change)] = 0.0
        count = min(most, len(change))
        some = np.argpartition(-change, count - 1)[:count] if count else np.empty(0, np.int64)
        best = np.concatenate([best, some + number * _PART])
        values = np.concatenate([values, change[some]])
    order = np.lexsort((best, -values))
    return best[order][values[order] > 0][:most]
