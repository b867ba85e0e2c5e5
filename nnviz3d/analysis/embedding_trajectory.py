"""Places what a layer answers to the same samples at several steps of a training, so that only what changes moves.

Every step starts from the points of the last one, as in t-SNE over time (Rauber, Falcão and Telea 2016,
doi:10.2312/eurovisshort.20161164, whose plain variant this is), and is then turned, mirrored and shifted as a whole, but
never scaled, to lie on them as closely as it can (Schönemann 1966, doi:10.1007/BF02289451).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding import judge_placed, judged_after_reduction, principal, reduce, start_of
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.training_embedding import EmbeddedOutputs, EmbeddingTrajectory
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
Report = Callable[[int, int], None]

_FEWEST = 5
_EXAGGERATED, _FREE, _ON = 250, 750, 100
"""Iterations of t-SNE: of the first step while groups are pulled together, after that, and of each later step."""


def embed_training(
    embedded: EmbeddedOutputs,
    options: EmbeddingOptions | None = None,
    *,
    earlier: EmbeddingTrajectory | None = None,
    report: Report = lambda done, total: None,
) -> EmbeddingTrajectory:
    """Place the answers that were kept of a training. Equal answers and options give equal points.

    Parameters
    ----------
    options
        `method`, `dimensions`, `perplexity` and `seed` count; by default t-SNE in three dimensions, seed 0.
    earlier
        What was placed of fewer steps; by default what the capture holds. The steps that it has are not placed again.
    report
        Is told how many steps are placed, of how many.

    Raises
    ------
    ModelError
        If there are fewer than five samples.
    """
    vectors = (embedded.vectors(k) for k in range(len(embedded)))
    return embed_steps(vectors, len(embedded), options, earlier=earlier or embedded.trajectory, report=report)


def embed_steps(
    steps: Iterator[Floats],
    total: int,
    options: EmbeddingOptions | None = None,
    *,
    earlier: EmbeddingTrajectory | None = None,
    report: Report = lambda done, total: None,
) -> EmbeddingTrajectory:
    """Place vectors, ``(M, D)`` at each of some steps; see `follow`."""
    options = options or EmbeddingOptions()
    points: list[Floats] = []
    quality: list[Mapping[str, float]] = []
    keys: list[str] = []
    settings: dict[str, object] = {"method": options.method, "seed": options.seed, "from_last": True}
    told = hashlib.sha256(options.to_json().encode())
    before: Floats | None = None
    for k, vectors in enumerate(steps):
        count = len(vectors)
        if count < _FEWEST:
            raise ModelError(
                f"Points are placed by how alike samples are, and there are only {count}; give TrainingRecorder at least "
                f"{_FEWEST} as embed_samples, better some hundred."
            )
        told.update(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        keys.append(told.hexdigest())
        perplexity = min(options.perplexity or 30.0, (count - 1) / 3)
        settings |= {"perplexity": perplexity} if options.method == "tsne" else {}
        settings |= {"dimensions": int(vectors.shape[1])}
        if earlier is not None and k < len(earlier.keys) and earlier.keys[k] == keys[-1]:
            points.append(earlier.points[k])
            quality.append(_judged_anew(vectors, earlier, k, options.seed))
            before = vectors if earlier.quality[k] else before
        elif not placeable(vectors):
            points.append(points[-1] if points else np.zeros((count, options.dimensions), dtype=np.float32))
            quality.append({})
        elif before is not None and np.array_equal(before, vectors):
            points.append(points[-1])
            quality.append(quality[-1])
        else:
            placed, judged = _place(vectors, points[-1] if before is not None else None, perplexity, options)
            points.append(placed)
            quality.append(judged)
            before = vectors
        report(k + 1, total)
    stacked = np.stack(points) if points else np.empty((0, 0, options.dimensions), dtype=np.float32)
    return EmbeddingTrajectory(stacked, tuple(quality), settings, tuple(keys))


def placeable(vectors: Floats) -> bool:
    """Whether vectors can be told apart: all numbers finite, and not all vectors equal."""
    return bool(np.isfinite(vectors).all() and (vectors != vectors[0]).any())


def aligned(points: Floats, on: Floats) -> Floats:
    """Turn, mirror and shift points, ``(M, d)``, so that their squared distances to others, `on`, are least."""
    a, b = points.astype(np.float64), on.astype(np.float64)
    middle = b.mean(axis=0)
    a, b = a - a.mean(axis=0), b - middle
    left, _, right = np.linalg.svd(a.T @ b)
    return np.asarray(a @ (left @ right) + middle, dtype=np.float32)


def class_separation(points: Floats, labels: NDArray[np.int64]) -> float:
    """Say how far classes are apart: the mean distance of their middles over their mean radius, of points to their own.

    Parameters
    ----------
    points
        ``(M, d)``.
    labels
        ``(M,)``, at least two classes.
    """
    known = np.unique(labels)
    middles = np.stack([points[labels == k].mean(axis=0) for k in known]).astype(np.float64)
    own = np.linalg.norm(points - middles[np.searchsorted(known, labels)], axis=1).mean()
    between = np.linalg.norm(middles[:, np.newaxis] - middles, axis=2)
    return float(between[np.triu_indices(len(known), 1)].mean() / own)


def displacements(found: EmbeddingTrajectory) -> NDArray[np.float64]:
    """Say how far points move from step to step, ``(E - 1,)``: means, as shares of the mean distance from the middle."""
    spread = np.linalg.norm(found.points - found.points.mean(axis=1, keepdims=True), axis=2).mean()
    return np.array([np.linalg.norm(b - a, axis=1).mean() / spread for a, b in pairwise(found.points)])


def _place(
    vectors: Floats, last: Floats | None, perplexity: float, options: EmbeddingOptions
) -> tuple[Floats, dict[str, float]]:
    from threadpoolctl import threadpool_limits

    divergence = None
    with threadpool_limits(1):  # of so few points one core is quickest: several wait for each other
        reduced, _, _ = reduce(vectors, options.seed)
        if options.method == "pca":
            points = principal(reduced, reduced, options.dimensions)
        else:
            points, divergence = _by_tsne(reduced, last, perplexity, options)
        if last is not None:
            points = aligned(points, last)
        quality, _ = judge_placed(vectors, reduced, points, options.seed)
    return points, quality if divergence is None else quality | {"kl": divergence}


def _judged_anew(vectors: Floats, earlier: EmbeddingTrajectory, k: int, seed: int) -> Mapping[str, float]:
    """Return the quality of a step whose points were placed earlier, judged by the layer's own numbers."""
    found = earlier.quality[k]
    if not judged_after_reduction(found, vectors.shape[1]):
        return found
    return {**found, **judge_placed(vectors, reduce(vectors, seed)[0], earlier.points[k], seed)[0]}


def _by_tsne(
    vectors: Floats, last: Floats | None, perplexity: float, options: EmbeddingOptions
) -> tuple[Floats, float]:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    seed = options.seed
    start = start_of(principal(vectors, vectors, options.dimensions), seed) if last is None else last.astype(np.float64)
    near = PerplexityBasedNN(vectors.astype(np.float64), perplexity, method="exact", random_state=seed)
    found = TSNEEmbedding(start.copy(), near, negative_gradient_method="bh", random_state=seed)
    if last is None:
        found = found.optimize(_EXAGGERATED, exaggeration=12, momentum=0.5).optimize(_FREE, momentum=0.8)
    else:
        found = found.optimize(_ON, momentum=0.8)
    return np.asarray(found, dtype=np.float32), float(found.kl_divergence)
