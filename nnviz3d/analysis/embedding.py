"""Embedding of vectors as points, by t-SNE or PCA, and measures of its quality.

scikit-learn and openTSNE are imported inside functions, because their import takes a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes, channels_last
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingOptions
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
Report = Callable[[int, int], None]
"""Callback for progress: the amount done, and the total."""

REDUCED = 50
"""Dimensions after PCA, as in van der Maaten and Hinton 2008: distances in more dimensions say little and take time."""
_EXAGGERATED, _FREE = 250, 500
"""Iterations of t-SNE with early exaggeration, and after it."""
_EVERY = 25
"""Iterations between two snapshots."""
_FEWEST = 5
_JUDGED = 3000
"""Most points whose neighbours are compared, because trustworthiness compares all pairs."""
_ROWS = 256
"""Vectors per chunk in the computation of sums."""
NEIGHBOURS = 10
"""Number of nearest neighbours of each vector that are compared with those of its point."""
_EQUAL = 1e-4
"""Largest distance of two outputs for one sample, as a share of an output's norm: sums over a batch differ by rounding."""
_ALONE = 2000
"""Up to this many points one core is as fast as several; the points are the same."""


@dataclass(frozen=True)
class EmbeddedPoints:
    """An embedding of vectors; the names are those of `Embedding`.

    Attributes
    ----------
    points, first
        ``(M, d)``: the final points, and the first ones.
    snapshots
        ``(F, M, d)``: the first points, intermediate ones, and `points`; intermediate ones are rounded to a 4096th of
        their extent.
    vectors
        ``(M, k)``: the vectors after PCA, or the vectors themselves.
    mean, basis
        ``(D,)`` and ``(D, k)``: PCA subtracts the mean and multiplies by the basis; empty without PCA.
    """

    points: Floats
    first: Floats
    snapshots: Floats
    vectors: Floats
    mean: Floats
    basis: Floats
    quality: dict[str, float]
    settings: dict[str, object]


def embed(vectors: Floats, options: EmbeddingOptions, report: Report = lambda done, total: None) -> EmbeddedPoints:
    """Embed vectors as points. Equal arguments give equal points.

    Parameters
    ----------
    vectors
        ``(M, D)``, finite.
    report
        Called after every 25 of 750 iterations.

    Raises
    ------
    ModelError
        If there are too few vectors, or NaN or infinite numbers in them, or all are equal, or the perplexity is too
        large for their number.
    """
    count = len(vectors)
    perplexity = _check(vectors, options)
    reduced, mean, basis = reduce(vectors, options.seed)
    first = principal(reduced, reduced, options.dimensions)
    settings: dict[str, object] = {
        "dimensions": int(vectors.shape[1]),
        "reduced": int(reduced.shape[1]),
        "seed": options.seed,
        "pooled": options.pooled,
    }
    if options.method == "pca":
        points, snapshots, divergence = first, first[np.newaxis], None
        report(1, 1)
    else:
        settings |= {"perplexity": perplexity, "engine": options.engine}
        engine = _by_opentsne if options.engine == "opentsne" else _by_sklearn
        points, snapshots, divergence = engine(reduced, start_of(first, options.seed), perplexity, options, report)
        snapshots = np.concatenate([first[np.newaxis], snapshots])
    quality, judged = judge_placed(vectors, reduced, points, options.seed)
    if divergence is not None:
        quality["kl"] = divergence
    settings["judged"] = judged
    if count and len(snapshots) > 1:
        snapshots = np.concatenate([_rounded(snapshots[:-1]), points[np.newaxis]])
    return EmbeddedPoints(points, first, snapshots, reduced, mean, basis, quality, settings)


def flattened(numbers: NDArray[Any], axes: Axes, *, pooled: bool) -> Floats:
    """Convert each sample's output to one vector.

    Parameters
    ----------
    numbers
        ``(N, *shape)``.
    axes
        Names of the axes of ``shape``.
    pooled
        Whether maps are averaged over their locations first.
    """
    if pooled and numbers.ndim > 2:
        last = channels_last(numbers, axes)
        numbers = last.mean(axis=tuple(range(1, last.ndim - 1)), dtype=np.float64)
    return np.ascontiguousarray(numbers.reshape(len(numbers), -1), dtype=np.float32)


def index_of(embedding: Embedding, vector: Floats) -> int | None:
    """Find the point of this vector, ``(D,)``, up to rounding; `None` if it was not embedded.

    Raises
    ------
    ModelError
        If it has another length than the embedded vectors, or is not finite.
    """
    known = embedding.vectors
    away = np.linalg.norm(known - _reduced(embedding, vector[np.newaxis]), axis=1)
    nearest = int(away.argmin())
    return nearest if away[nearest] <= _EQUAL * float(np.linalg.norm(known, axis=1).mean()) else None


def project(embedding: Embedding, vectors: Floats) -> Floats:
    """Project new vectors into an embedding, whose points do not move.

    For t-SNE, each new point starts at the median of its 25 nearest neighbours' points, and then moves by the gradient of
    the divergence that t-SNE minimizes (Policar, Strazar and Zupan 2023, doi:10.1007/s10994-021-06043-1).

    Parameters
    ----------
    vectors
        ``(n, D)``: outputs of the same layer for other samples.

    Returns
    -------
    ``(n, d)``.

    Raises
    ------
    ModelError
        If they have another length than the embedded vectors, or are not finite.
    """
    known, reduced = embedding.vectors, _reduced(embedding, vectors)
    if embedding.method == "pca":
        return principal(known, reduced, embedding.points.shape[1])
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    settings = embedding.settings
    seed, perplexity = int(str(settings["seed"])), float(str(settings["perplexity"]))
    affinities = PerplexityBasedNN(known.astype(np.float64), perplexity, method="exact", random_state=seed)
    points = embedding.points.astype(np.float64)
    known_points = TSNEEmbedding(points.copy(), affinities, negative_gradient_method="bh", random_state=seed)
    few = min(25, len(known))
    # openTSNE first shifts the known points, so that the centre of their bounding box is the origin.
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    found = known_points.transform(reduced.astype(np.float64), perplexity=min(5.0, (len(known) - 1) / 3), k=few)
    return np.asarray(np.asarray(found) + middle, dtype=np.float32)


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
    """Whether the quality was measured by PCA components of outputs of `width` numbers, as in earlier versions."""
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
    some = np.arange(count)
    if count > _JUDGED:
        some = np.sort(np.random.default_rng(seed).choice(count, _JUDGED, replace=False))
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


def key_of(vectors: Floats, options: EmbeddingOptions) -> str:
    """Return a hash of everything that determines an embedding."""
    digest = hashlib.sha256(options.to_json().encode())
    digest.update(repr(vectors.shape).encode())
    digest.update(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
    return digest.hexdigest()


def _check(vectors: Floats, options: EmbeddingOptions) -> float:
    """Check that vectors can be embedded, and return the perplexity to use; PCA ignores it."""
    count = len(vectors)
    fewest = 2 if options.method == "pca" else _FEWEST
    if count < fewest:
        raise ModelError(
            f"An embedding compares samples, and there {'is' if count == 1 else 'are'} only {count}; give "
            f"at least {fewest}, by --dataset FOLDER or --dataset x.npy, or for the demo by --dataset digits:0-999."
        )
    if not np.isfinite(vectors).all():
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        raise ModelError(
            f"The layer's outputs for {len(bad)} of {count} samples (the first is number {bad[0]}) hold NaN or infinite "
            "numbers, so they cannot be embedded; leave these samples out, or choose another layer."
        )
    if not (vectors != vectors[0]).any():
        raise ModelError(
            "The layer's outputs for all samples are equal, so they cannot be told apart; choose another layer."
        )
    most = (count - 1) / 3
    if options.perplexity is None or options.method == "pca":
        return min(30.0, most)
    if options.perplexity > most:
        raise ModelError(
            f"A perplexity of {options.perplexity:g} needs at least {int(np.ceil(3 * options.perplexity)) + 1} samples, "
            f"and there are {count}; choose at most {np.floor(10 * most) / 10:g}."
        )
    return options.perplexity


def _reduced(embedding: Embedding, vectors: Floats) -> Floats:
    """Reduce new vectors as the embedded ones were."""
    if not np.isfinite(vectors).all():
        raise ModelError(f"{embedding.name}: there are NaN or infinite numbers among the new outputs.")
    length = len(embedding.mean) or embedding.vectors.shape[1]
    if vectors.shape[1] != length:
        raise ModelError(f"{embedding.name}: the new vectors have {vectors.shape[1]} numbers each; expected {length}.")
    if not len(embedding.mean):
        return vectors
    return np.asarray((vectors - embedding.mean) @ embedding.basis, dtype=np.float32)


def reduce(vectors: Floats, seed: int) -> tuple[Floats, Floats, Floats]:
    """Reduce vectors to the first `REDUCED` principal components; also returns the mean and the basis."""
    none = np.empty(0, dtype=np.float32)
    if vectors.shape[1] <= REDUCED:
        return np.asarray(vectors, dtype=np.float32), none, none.reshape(0, 0)
    from sklearn.decomposition import PCA

    fitted = PCA(min(REDUCED, len(vectors)), random_state=seed).fit(vectors)
    mean = np.asarray(fitted.mean_, dtype=np.float32)
    basis = np.ascontiguousarray(fitted.components_.T, dtype=np.float32)
    return np.asarray((vectors - mean) @ basis, dtype=np.float32), mean, basis


def principal(known: Floats, vectors: Floats, dimensions: int) -> Floats:
    """Return the first principal components of vectors, by the PCA of the known ones; missing components are zero."""
    from sklearn.decomposition import PCA

    found = PCA(min(dimensions, *known.shape), svd_solver="full").fit(known).transform(vectors)
    points = np.zeros((len(vectors), dimensions), dtype=np.float32)
    points[:, : found.shape[1]] = found
    return points


def start_of(first: Floats, seed: int) -> NDArray[np.float64]:
    """Return the start of t-SNE: the points of PCA, scaled down, with noise so that no two are equal."""
    start = first / np.std(first[:, 0]) * 1e-4
    return np.asarray(start + np.random.default_rng(seed).normal(0, 1e-6, first.shape), dtype=np.float64)


def _by_opentsne(
    vectors: Floats, start: NDArray[np.float64], perplexity: float, options: EmbeddingOptions, report: Report
) -> tuple[Floats, Floats, float]:
    from openTSNE import TSNE

    total = _EXAGGERATED + _FREE
    snapshots: list[Floats] = []

    def note(step: int, divergence: float, points: Any) -> None:
        snapshots.append(np.array(points, dtype=np.float32))
        report(min(len(snapshots) * _EVERY, total), total)

    fitted = TSNE(
        n_components=options.dimensions,
        perplexity=perplexity,
        initialization=start,
        # The FFT method does not support three dimensions.
        negative_gradient_method="bh",
        neighbors="exact",
        early_exaggeration_iter=_EXAGGERATED,
        n_iter=_FREE,
        random_state=options.seed,
        callbacks=note,
        callbacks_every_iters=_EVERY,
        n_jobs=-1 if len(vectors) > _ALONE else 1,
    ).fit(vectors.astype(np.float64))
    points = np.asarray(fitted, dtype=np.float32)
    return points, np.stack([*snapshots[:-1], points]), float(fitted.kl_divergence)


def _by_sklearn(
    vectors: Floats, start: NDArray[np.float64], perplexity: float, options: EmbeddingOptions, report: Report
) -> tuple[Floats, Floats, float]:
    from sklearn.manifold import TSNE

    report(0, 1)
    fitted = TSNE(options.dimensions, perplexity=perplexity, init=start, random_state=options.seed)
    points = np.asarray(fitted.fit_transform(vectors), dtype=np.float32)
    report(1, 1)
    return points, points[np.newaxis], float(fitted.kl_divergence_)


def _rounded(snapshots: Floats) -> Floats:
    """Round each snapshot to a 4096th of its extent: less than a pixel, and a third of the size on disk."""
    extent = np.abs(snapshots).max(axis=(1, 2), keepdims=True)
    unit = np.exp2(np.ceil(np.log2(np.maximum(extent, np.finfo(np.float32).tiny)))) / 2048
    return np.asarray(np.round(snapshots / unit) * unit, dtype=np.float32)
