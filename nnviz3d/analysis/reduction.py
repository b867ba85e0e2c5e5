"""PCA of vectors that are never in memory together, from sums over parts of them.

Each part of the rows gives a count, a mean and a scatter matrix. Parts are merged by the formula of Chan, Golub and
LeVeque (1983, doi:10.1080/00031305.1983.10483115), which loses no digits when the mean is far from zero. Equal parts in
an equal order give equal bits, in whichever processes the parts were computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

REDUCED = 50
"""Dimensions after PCA, as in van der Maaten and Hinton 2008: distances in more dimensions say little and take time."""
WIDEST = 8192
"""Largest length of vectors that can be summed: a scatter matrix of this size has 512 MiB."""
_BLOCK = 256
"""Rows that are centred at once; bounds the memory."""


@dataclass(frozen=True, eq=False)
class PartialSums:
    """Sums over some vectors, from which a PCA of all vectors is computed.

    Attributes
    ----------
    count
        Number of vectors.
    mean
        ``(D,)``: their mean.
    scatter
        ``(D, D)``: the sum of the outer products of their differences from the mean.
    """

    count: int
    mean: Doubles
    scatter: Doubles


def partial_sums(vectors: Floats) -> PartialSums:
    """Sum up vectors, ``(n, D)``, with n of at least one.

    Raises
    ------
    ModelError
        If they are longer than `WIDEST`, or hold NaN or infinite numbers.
    """
    from threadpoolctl import threadpool_limits

    check_width(vectors.shape[1])
    if not np.isfinite(vectors).all():
        raise ModelError("The layer's outputs hold NaN or infinite numbers, so they cannot be embedded.")
    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    exact -= mean
    with threadpool_limits(1):  # several threads round differently
        scatter = exact.T @ exact
    return PartialSums(len(vectors), mean, scatter)


def check_width(width: int) -> None:
    """Refuse vectors that are too long for a PCA by parts, before any is computed."""
    if width > WIDEST:
        raise ModelError(
            f"The layer has {width:,} outputs, and a PCA by parts takes at most {WIDEST:,}; average each feature map over "
            "its locations by --pooled, or choose another layer."
        )


def merged(parts: Iterable[PartialSums]) -> PartialSums:
    """Merge sums over parts, one at a time in the given order.

    Raises
    ------
    ValueError
        If there are no parts.
    """
    total: PartialSums | None = None
    for part in parts:
        total = part if total is None else _merged(total, part)
    if total is None:
        raise ValueError("no parts to merge")
    return total


def components(sums: PartialSums, most: int = REDUCED) -> tuple[Floats, Floats]:
    """Return the mean, ``(D,)``, and the first principal components, ``(D, k)``, of the summed vectors.

    k is the smallest of `most`, D and the number of vectors. The largest number of each component is positive.
    """
    kept = min(most, len(sums.mean), sums.count)
    _, found = np.linalg.eigh(sums.scatter)
    basis = found[:, ::-1][:, :kept]
    largest = np.abs(basis).argmax(axis=0)
    basis = basis * np.where(basis[largest, np.arange(kept)] < 0, -1.0, 1.0)
    return sums.mean.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32)


def kept_variance(sums: PartialSums, basis: Floats) -> float:
    """Return the share of the summed vectors' variance in the directions of a basis, ``(D, k)``; 1 without variance."""
    whole = float(np.trace(sums.scatter))
    wide = basis.astype(np.float64)
    return min(float(np.einsum("ij,ij->", sums.scatter @ wide, wide)) / whole, 1.0) if whole > 0 else 1.0


def reduced_by(vectors: Floats, mean: Floats, basis: Floats) -> Floats:
    """Reduce vectors, ``(n, D)``, to their components, ``(n, k)``.

    Each row of the result depends on its own vector alone, bit for bit, not on the number of rows.
    """
    from threadpoolctl import threadpool_limits

    found = np.empty((len(vectors), basis.shape[1]), dtype=np.float32)
    with threadpool_limits(1):
        for start in range(0, len(vectors), _BLOCK):
            centred = vectors[start : start + _BLOCK] - mean
            # One product for each vector: in a product of matrices, some processors round rows by where they stand.
            found[start : start + _BLOCK] = np.matmul(centred[:, np.newaxis], basis)[:, 0]
    return found


def _merged(a: PartialSums, b: PartialSums) -> PartialSums:
    count = a.count + b.count
    apart = b.mean - a.mean
    scatter = a.scatter + b.scatter + np.outer(apart, apart) * (a.count * b.count / count)
    return PartialSums(count, a.mean + apart * (b.count / count), scatter)
