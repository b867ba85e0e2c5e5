"""Embedding of vectors as points, by t-SNE, UMAP, PaCMAP or PCA.

scikit-learn and openTSNE are imported inside functions, because their import takes a second.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.affinities import Report
from nnviz3d.analysis.embedding_engines import EnginePoints, check_installed, resolved, run_engine
from nnviz3d.analysis.embedding_quality import judge_placed
from nnviz3d.analysis.landmarks import Place, choose, place_among
from nnviz3d.analysis.reduction import REDUCED
from nnviz3d.data.axes import Axes, channels_last
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingOptions, fewest_embedded
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
_EQUAL = 1e-4
"""Largest distance of two outputs for one sample, as a share of an output's norm: sums over a batch differ by rounding."""
_BY_LIBRARY = ("opentsne", "sklearn")
"""Engines of t-SNE in whose embeddings new samples are projected by openTSNE."""


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


def embed(
    vectors: Floats,
    options: EmbeddingOptions,
    report: Report = lambda done, total: None,
    place: Place = place_among,
) -> EmbeddedPoints:
    """Embed vectors as points. Equal arguments give equal points.

    Parameters
    ----------
    vectors
        ``(M, D)``, finite.
    report
        Called after every 25 of 750 iterations of t-SNE.
    place
        Places the vectors that are no landmarks; another one than `place_among` returns the same.

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
        found = EnginePoints(first, first[np.newaxis])
        report(1, 1)
    else:
        options = resolved(options, count)
        settings |= {"perplexity": perplexity, "engine": options.engine} if options.method == "tsne" else {}
        found = _found(reduced, first, perplexity, options, report, place)
    quality, judged = judge_placed(vectors, reduced, found.points, options.seed)
    if found.divergence is not None:
        quality["kl"] = found.divergence
    settings |= {"judged": judged, **found.settings}
    snapshots = found.snapshots
    if options.method != "pca":
        snapshots = np.concatenate([_rounded(np.concatenate([first[np.newaxis], snapshots[:-1]])), snapshots[-1:]])
    return EmbeddedPoints(found.points, first, snapshots, reduced, mean, basis, quality, settings)


def _found(
    reduced: Floats, first: Floats, perplexity: float, options: EmbeddingOptions, report: Report, place: Place
) -> EnginePoints:
    """Embed all vectors, or landmarks among them, and then place the others."""
    start = start_of(first, options.seed)
    if options.landmarks is None or len(reduced) <= options.landmarks:
        return run_engine(reduced, start, perplexity, options, report)
    chosen = choose(len(reduced), options.landmarks, options.seed)
    part = run_engine(reduced[chosen], start[chosen], perplexity, options, report)
    every = np.moveaxis(part.snapshots, 0, 1)  # a landmark's points in all snapshots are placed together
    placed = place(reduced[chosen], np.ascontiguousarray(every.reshape(len(chosen), -1)), reduced)
    snapshots = np.moveaxis(placed.reshape(len(reduced), *every.shape[1:]), 1, 0)
    details = {**part.settings, "landmarks": len(chosen)}
    return EnginePoints(np.ascontiguousarray(snapshots[-1]), snapshots, part.divergence, details)


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
    away = np.linalg.norm(embedding.vectors - reduce_new(embedding, vector[np.newaxis]), axis=1)
    nearest = int(away.argmin())
    return nearest if away[nearest] <= rounding_of(embedding) else None


def rounding_of(embedding: Embedding) -> float:
    """Return the largest distance in `Embedding.vectors` of two outputs for one sample."""
    return _EQUAL * float(np.linalg.norm(embedding.vectors, axis=1).mean())


def project(embedding: Embedding, vectors: Floats) -> Floats:
    """Project new vectors into an embedding, whose points do not move.

    For t-SNE by openTSNE or scikit-learn, each new point starts at the median of its 25 nearest neighbours' points, and
    then moves by the gradient of the divergence that t-SNE minimizes (Policar, Strazar and Zupan 2023,
    doi:10.1007/s10994-021-06043-1). For other methods, and for t-SNE of many points, it is placed by `place_among`.

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
    known, reduced = embedding.vectors, reduce_new(embedding, vectors)
    if embedding.method == "pca":
        return principal(known, reduced, embedding.points.shape[1])
    if embedding.settings.get("engine") not in _BY_LIBRARY or "landmarks" in embedding.settings:
        return place_among(known, embedding.points, reduced)
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


def key_of(vectors: Floats, options: EmbeddingOptions) -> str:
    """Return a hash of everything that determines an embedding."""
    digest = hashlib.sha256(resolved(options, len(vectors)).to_json().encode())
    digest.update(repr(vectors.shape).encode())
    digest.update(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
    return digest.hexdigest()


def _check(vectors: Floats, options: EmbeddingOptions) -> float:
    """Check that vectors can be embedded, and return the perplexity to use; only t-SNE reads it."""
    check_installed(options)
    count = len(vectors)
    fewest = fewest_embedded(options.method)
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
    embedded = min(count, options.landmarks or count)
    most = (embedded - 1) / 3
    if options.perplexity is None or options.method != "tsne":
        return min(30.0, most)
    if options.perplexity > most:
        raise ModelError(
            f"A perplexity of {options.perplexity:g} needs at least {int(np.ceil(3 * options.perplexity)) + 1} samples, "
            f"and there are {embedded}; choose at most {np.floor(10 * most) / 10:g}."
        )
    return options.perplexity


def reduce_new(embedding: Embedding, vectors: Floats) -> Floats:
    """Reduce new vectors, ``(n, D)``, as the embedded ones were, to ``(n, k)``.

    Raises
    ------
    ModelError
        If they have another length than the embedded vectors, or are not finite.
    """
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


def _rounded(snapshots: Floats) -> Floats:
    """Round each snapshot to a 4096th of its extent: less than a pixel, and a third of the size on disk."""
    extent = np.abs(snapshots).max(axis=(1, 2), keepdims=True)
    unit = np.exp2(np.ceil(np.log2(np.maximum(extent, np.finfo(np.float32).tiny)))) / 2048
    return np.asarray(np.round(snapshots / unit) * unit, dtype=np.float32)
