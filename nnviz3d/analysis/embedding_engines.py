"""Libraries and code that compute the points of an embedding, one function for each.

The libraries are imported inside functions, because their import takes seconds, and some are not installed everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.affinities import Report
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

EXTRA = "embedding"
"""The extra of this package with the libraries that are not always installed."""
MANY = 4000
"""Number of points from which on t-SNE is computed on a grid, if that is installed."""
_EXAGGERATED, _FREE = 250, 500
"""Iterations of t-SNE with early exaggeration, and after it."""
_EXAGGERATION = 12.0
_EVERY = 25
"""Iterations between two snapshots."""
_SNAPSHOTS_OF = 200_000
"""Number of points above which snapshots are five times as far apart, because they take memory."""
_ALONE = 2000
"""Up to this many points one core is as fast as several; the points are the same."""
_LANDMARKS = 100_000
"""Number of landmarks that is proposed for more points than `_SNAPSHOTS_OF`."""
_UMAP_EXACT = 4095
"""Up to this many vectors UMAP compares all pairs."""
_PACMAP = (100, 100, 250)
"""Iterations of the three phases of PaCMAP."""
_LIBRARIES = {"grid": ("numba",), "umap": ("umap",), "pacmap": ("pacmap",)}
"""Modules of the extra that an engine or a method needs."""


@dataclass(frozen=True, eq=False)
class EnginePoints:
    """Points that an engine computed.

    Attributes
    ----------
    points
        ``(M, d)``.
    snapshots
        ``(F, M, d)``: intermediate points, and `points`.
    divergence
        The KL divergence that t-SNE minimizes; `None` for other methods.
    settings
        Further facts about the computation, for `Embedding.settings`.
    """

    points: Floats
    snapshots: Floats
    divergence: float | None = None
    settings: dict[str, object] = field(default_factory=dict)


def resolved(options: EmbeddingOptions, count: int) -> EmbeddingOptions:
    """Replace the engine ``auto`` by the one that embeds `count` points: many on a grid, if that is installed."""
    if options.engine != "auto":
        return options
    on_grid = options.method == "tsne" and min(count, options.landmarks or count) > MANY and installed("grid")
    return replace(options, engine="grid" if on_grid else "opentsne")


def installed(name: str) -> bool:
    """Whether the libraries of an engine or a method are installed."""
    return all(find_spec(module) is not None for module in _LIBRARIES.get(name, ()))


def check_installed(options: EmbeddingOptions) -> None:
    """Refuse a method or an engine whose libraries are not installed."""
    for name in (options.method, options.engine if options.method == "tsne" else ""):
        if not installed(name):
            what = {"grid": "t-SNE on a grid", "umap": "UMAP", "pacmap": "PaCMAP"}[name]
            raise ModelError(f"{what} is not installed; install it by: pip install 'nnviz3d[{EXTRA}]'.")


def slow_note(options: EmbeddingOptions, count: int) -> str:
    """Return one sentence if the embedding of `count` points takes long, and something faster exists; else nothing."""
    embedded = min(count, options.landmarks or count)
    if options.method != "tsne" or embedded <= MANY:
        return ""
    if resolved(options, count).engine == "grid":
        way = f"--landmarks {_LANDMARKS} embeds some of them, and places the others among them"
        return f"t-SNE of {embedded:,} samples takes many minutes; {way}." if embedded > _SNAPSHOTS_OF else ""
    if installed("grid"):
        return (
            f"--engine {options.engine} takes minutes for {embedded:,} samples; --engine grid is several times faster."
        )
    return (
        f"openTSNE takes minutes for {embedded:,} samples; t-SNE on a grid is several times faster, and is installed by: "
        f"pip install 'nnviz3d[{EXTRA}]'. Or let most samples be placed among some: --landmarks {MANY}."
    )


def run_engine(
    vectors: Floats, start: Doubles, perplexity: float, options: EmbeddingOptions, report: Report
) -> EnginePoints:
    """Compute points.

    Parameters
    ----------
    vectors
        ``(M, k)``.
    start
        ``(M, d)``: the first points.
    options
        With an engine that is not ``auto``.
    """
    if options.method == "umap":
        return _by_umap(vectors, start, options, report)
    if options.method == "pacmap":
        return _by_pacmap(vectors, start, options, report)
    engine = {"opentsne": _by_opentsne, "sklearn": _by_sklearn, "grid": _by_grid}[options.engine]
    return engine(vectors, start, perplexity, options, report)


def _by_opentsne(
    vectors: Floats, start: Doubles, perplexity: float, options: EmbeddingOptions, report: Report
) -> EnginePoints:
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
    return EnginePoints(points, np.stack([*snapshots[:-1], points]), float(fitted.kl_divergence))


def _by_sklearn(
    vectors: Floats, start: Doubles, perplexity: float, options: EmbeddingOptions, report: Report
) -> EnginePoints:
    from sklearn.manifold import TSNE

    report(0, 1)
    fitted = TSNE(options.dimensions, perplexity=perplexity, init=start, random_state=options.seed)
    points = np.asarray(fitted.fit_transform(vectors), dtype=np.float32)
    report(1, 1)
    return EnginePoints(points, points[np.newaxis], float(fitted.kl_divergence_))


def _by_grid(
    vectors: Floats, start: Doubles, perplexity: float, options: EmbeddingOptions, report: Report
) -> EnginePoints:
    from nnviz3d.analysis.affinities import affinities_of
    from nnviz3d.analysis.grid_tsne import GridTSNE

    total = _EXAGGERATED + _FREE
    searched = total // 10  # the share of the progress that the search for neighbours has
    near, exact = affinities_of(
        vectors, perplexity, options.seed, lambda done, of: report(searched * done // of, total + searched)
    )
    every = _EVERY if len(vectors) <= _SNAPSHOTS_OF else 5 * _EVERY
    snapshots: list[Floats] = []
    found = GridTSNE(near, start)
    for before, count, exaggeration in ((0, _EXAGGERATED, _EXAGGERATION), (_EXAGGERATED, _FREE, 1.0)):

        def note(step: int, before: int = before) -> None:
            report(searched + before + step, total + searched)
            if (before + step) % every == 0:
                snapshots.append(found.points)

        found.iterate(count, exaggeration, note, _EVERY)
    details: dict[str, object] = {} if exact else {"neighbours": "approximate"}
    return EnginePoints(found.points, np.stack(snapshots), found.divergence(), details)


def _by_umap(vectors: Floats, start: Doubles, options: EmbeddingOptions, report: Report) -> EnginePoints:
    import umap

    report(0, 1)
    near = min(15, len(vectors) - 1)
    # UMAP starts from points with an extent of about ten. With a seed it uses one thread.
    first = np.asarray(start / np.abs(start).max() * 10, dtype=np.float32)
    fitted = umap.UMAP(near, options.dimensions, init=first, random_state=options.seed, n_jobs=1)
    points = np.asarray(fitted.fit_transform(vectors), dtype=np.float32)
    report(1, 1)
    details = {"neighbours": "approximate"} if len(vectors) > _UMAP_EXACT else {}
    return EnginePoints(points, points[np.newaxis], settings={"near": near, **details})


def _by_pacmap(vectors: Floats, start: Doubles, options: EmbeddingOptions, report: Report) -> EnginePoints:
    import logging

    import pacmap

    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns of seeds and of three dimensions
    report(0, 1)
    total = sum(_PACMAP)
    near = min(10, len(vectors) - 1)
    fitted = pacmap.PaCMAP(
        options.dimensions,
        near,
        num_iters=_PACMAP,
        apply_pca=False,
        intermediate=True,
        # The library expects the first and the last iteration among them.
        intermediate_snapshots=list(range(0, total + 1, _EVERY)),
        random_state=options.seed,
    )
    # PaCMAP scales these to a standard deviation of 1e-4 itself.
    snapshots = np.asarray(fitted.fit_transform(vectors.copy(), init=start.astype(np.float32)), dtype=np.float32)
    report(1, 1)
    return EnginePoints(snapshots[-1], snapshots[1:], settings={"near": near, "neighbours": "approximate"})
