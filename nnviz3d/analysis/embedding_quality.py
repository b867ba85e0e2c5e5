"""Measures of the quality of an embedding: how well neighbours of points agree with neighbours of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.landmarks import choose
from nnviz3d.analysis.reduction import REDUCED
from nnviz3d.data.capabilities.embeddings import Embedding

Floats = NDArray[np.float32]

NEIGHBOURS = 10
"""Number of nearest neighbours of each vector that are compared with those of its point."""
JUDGED = 3000
"""Most points whose neighbours are compared, because trustworthiness compares all pairs."""
_ROWS = 256
"""Vectors per chunk in the computation of sums."""


def judge_placed(vectors: Floats, reduced: Floats, points: Floats, seed: int) -> tuple[dict[str, float], int]:
    """Measure the quality of points by the layer's outputs, ``(M, D)``, not by their PCA components; see `judge`.

    After a PCA, the quality also has ``variance``: the share of the outputs' variance that the PCA keeps.

    Parameters
    ----------
    vectors
        ``(M, D)``: outputs of the layer.
    reduced
        ``(M, k)``: their PCA components.
    points
        ``(M, d)``.
    """
    quality, judged = judge(vectors, points, seed)
    if vectors.shape[1] > REDUCED:
        quality["variance"] = min(_spread(reduced) / _spread(vectors), 1.0)
    return quality, judged


def judged_after_reduction(quality: Mapping[str, float], width: int) -> bool:
    """Whether an earlier version measured the quality on PCA components, and not on the outputs of `width` numbers."""
    return bool(quality) and width > REDUCED and "variance" not in quality


def with_new_quality(found: Embedding, vectors: Floats) -> Embedding:
    """Measure an embedding's quality by the outputs, ``(M, D)``, if it was measured by their PCA components."""
    if not judged_after_reduction(found.quality, vectors.shape[1]):
        return found
    seed = int(str(found.settings["seed"]))
    quality, judged = judge_placed(vectors, found.vectors, found.points, seed)
    return replace(found, quality={**found.quality, **quality}, settings={**found.settings, "judged": judged})


def _spread(vectors: Floats) -> float:
    """Sum the squared distances of vectors from their mean, a few rows at a time to save memory."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    parts = (vectors[k : k + _ROWS] - mean for k in range(0, len(vectors), _ROWS))
    return float(sum(np.square(part).sum() for part in parts))


def judge(vectors: Floats, points: Floats, seed: int = 0) -> tuple[dict[str, float], int]:
    """Measure how well the neighbours in `points`, ``(M, d)``, agree with those in `vectors`, ``(M, k)``.

    Returns
    -------
    quality
        ``trustworthiness`` and ``neighbours``, as in `Embedding`; ``trustworthiness`` needs more than ten points.
    judged
        Number of points, drawn at random, whose neighbours were compared.
    """
    from sklearn.manifold import trustworthiness

    count = len(points)
    quality: dict[str, float] = {}
    some = choose(count, JUDGED, seed)
    if count > NEIGHBOURS:  # trustworthiness of 5 neighbours needs more than 10 points
        quality["trustworthiness"] = float(trustworthiness(vectors[some], points[some], n_neighbors=5))
    near = min(NEIGHBOURS, count - 1)
    before, after = (_nearest(where, some, near) for where in (vectors, points))
    common = [len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]
    quality["neighbours"] = float(np.mean(common)) / near
    return quality, len(some)


def _nearest(vectors: Floats, some: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the indices of the nearest other vectors of each vector in `some`, ``(len(some), count)``."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=count).fit(vectors)
    if len(some) == len(vectors):
        return np.asarray(fitted.kneighbors(return_distance=False))
    found = fitted.kneighbors(vectors[some], count + 1, return_distance=False)
    # Each vector is its own nearest one, unless an equal vector comes first.
    return np.stack([row[row != own][:count] for row, own in zip(found, some, strict=True)])
