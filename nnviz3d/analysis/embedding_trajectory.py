"""Embedding of a layer's outputs for the same samples at several steps of a training, with little needless motion.

The embedding of each step starts from the points of the step before, as in the plain variant of t-SNE over time (Rauber,
Falcão and Telea 2016, doi:10.2312/eurovisshort.20161164). Its points are then rotated, mirrored and shifted together, but
not scaled, to be as close to those of the step before as possible (Schönemann 1966, doi:10.1007/BF02289451).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding import principal, reduce, start_of
from nnviz3d.analysis.embedding_quality import judge_placed, judged_after_reduction
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions, fewest_embedded
from nnviz3d.data.training_embedding import EmbeddedOutputs, EmbeddingTrajectory
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
Report = Callable[[int, int], None]

_EXAGGERATED, _FREE, _ON = 250, 750, 100
"""Iterations of t-SNE: for the first step with early exaggeration and after it, and for each later step."""


def embed_training(
    embedded: EmbeddedOutputs,
    options: EmbeddingOptions | None = None,
    *,
    earlier: EmbeddingTrajectory | None = None,
    report: Report = lambda done, total: None,
) -> EmbeddingTrajectory:
    """Embed the recorded outputs of a training. Equal outputs and options give equal points.

    Parameters
    ----------
    options
        Only `method`, `dimensions`, `perplexity` and `seed` are used; by default t-SNE in three dimensions, seed 0.
    earlier
        Trajectory of fewer steps, which are not embedded again; by default the stored one.
    report
        Called with the number of embedded steps, and of all steps.

    Raises
    ------
    ModelError
        If there are fewer than five samples, or the method is neither t-SNE nor PCA.
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
    """Embed vectors, ``(M, D)`` at each step; see `embed_training`."""
    options = options or EmbeddingOptions()
    if options.method not in ("tsne", "pca"):
        raise ModelError(
            f"The points of a training are found by t-SNE or PCA, not by {options.method}; choose one of them."
        )
    points: list[Floats] = []
    quality: list[Mapping[str, float]] = []
    keys: list[str] = []
    settings: dict[str, object] = {"method": options.method, "seed": options.seed, "from_last": True}
    digest = hashlib.sha256(options.to_json().encode())
    before: Floats | None = None
    for k, vectors in enumerate(steps):
        count = len(vectors)
        fewest = fewest_embedded(options.method)
        if count < fewest:
            raise ModelError(
                f"An embedding compares samples, and there {'is' if count == 1 else 'are'} only {count}; give "
                f"TrainingRecorder at least {fewest} as embed_samples, better some hundred."
            )
        digest.update(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        keys.append(digest.hexdigest())
        perplexity = min(options.perplexity or 30.0, (count - 1) / 3)
        settings |= {"perplexity": perplexity} if options.method == "tsne" else {}
        settings |= {"dimensions": int(vectors.shape[1])}
        if earlier is not None and k < len(earlier.keys) and earlier.keys[k] == keys[-1]:
            points.append(earlier.points[k])
            quality.append(_new_quality(vectors, earlier, k, options.seed))
            before = vectors if earlier.quality[k] else before
        elif not can_be_embedded(vectors):
            points.append(points[-1] if points else np.zeros((count, options.dimensions), dtype=np.float32))
            quality.append({})
        elif before is not None and np.array_equal(before, vectors):
            points.append(points[-1])
            quality.append(quality[-1])
        else:
            embedded_points, judged = _embed(vectors, points[-1] if before is not None else None, perplexity, options)
            points.append(embedded_points)
            quality.append(judged)
            before = vectors
        report(k + 1, total)
    stacked = np.stack(points) if points else np.empty((0, 0, options.dimensions), dtype=np.float32)
    return EmbeddingTrajectory(stacked, tuple(quality), settings, tuple(keys))


def can_be_embedded(vectors: Floats) -> bool:
    """Whether vectors can be embedded: all numbers are finite, and not all vectors are equal."""
    return bool(np.isfinite(vectors).all() and (vectors != vectors[0]).any())


def aligned(points: Floats, on: Floats) -> Floats:
    """Rotate, mirror and shift points, ``(M, d)``, to minimize their squared distances to other points, `on`."""
    a, b = points.astype(np.float64), on.astype(np.float64)
    centre = b.mean(axis=0)
    a, b = a - a.mean(axis=0), b - centre
    left, _, right = np.linalg.svd(a.T @ b)
    return np.asarray(a @ (left @ right) + centre, dtype=np.float32)


def class_separation(points: Floats, labels: NDArray[np.int64]) -> float:
    """Return the separation of classes: mean distance between centres, divided by mean distance of points to their centre.

    Parameters
    ----------
    points
        ``(M, d)``.
    labels
        ``(M,)``, at least two classes.
    """
    known = np.unique(labels)
    centres = np.stack([points[labels == k].mean(axis=0) for k in known]).astype(np.float64)
    own = np.linalg.norm(points - centres[np.searchsorted(known, labels)], axis=1).mean()
    between = np.linalg.norm(centres[:, np.newaxis] - centres, axis=2)
    return float(between[np.triu_indices(len(known), 1)].mean() / own)


def displacements(found: EmbeddingTrajectory) -> NDArray[np.float64]:
    """Return the mean displacement of points from step to step, ``(E - 1,)``, in mean distances from the centre."""
    spread = np.linalg.norm(found.points - found.points.mean(axis=1, keepdims=True), axis=2).mean()
    return np.array([np.linalg.norm(b - a, axis=1).mean() / spread for a, b in pairwise(found.points)])


def _embed(
    vectors: Floats, last: Floats | None, perplexity: float, options: EmbeddingOptions
) -> tuple[Floats, dict[str, float]]:
    from threadpoolctl import threadpool_limits

    divergence = None
    with threadpool_limits(1):  # one core is fastest for so few points
        reduced, _, _ = reduce(vectors, options.seed)
        if options.method == "pca":
            points = principal(reduced, reduced, options.dimensions)
        else:
            points, divergence = _by_tsne(reduced, last, perplexity, options)
        if last is not None:
            points = aligned(points, last)
        quality, _ = judge_placed(vectors, reduced, points, options.seed)
    return points, quality if divergence is None else quality | {"kl": divergence}


def _new_quality(vectors: Floats, earlier: EmbeddingTrajectory, k: int, seed: int) -> Mapping[str, float]:
    """Return the quality of a step of an earlier trajectory, measured by the layer's outputs."""
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
