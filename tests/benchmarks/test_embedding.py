"""Time and quality of embeddings: t-SNE on a grid against openTSNE and other libraries, and for many points."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from nnviz3d.analysis.embedding import EmbeddedPoints, embed, reduce
from nnviz3d.analysis.embedding_quality import judge
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import interleaved, table

WHOLE = "NNVIZ3D_BENCHMARKS_MILLION"
"""Variable of the environment with which a million points are embedded without landmarks, which takes most of an hour."""


def digits(count: int) -> NDArray[np.float32]:
    """Return `count` vectors of 50 numbers: handwritten digits, shifted ones, and mixtures of two of one class."""
    loaded = load_digits()
    pictures = loaded.images.astype(np.float32)
    moves = [(a, b) for a in (0, -1, 1) for b in (0, -1, 1)]
    shifted = np.concatenate([np.roll(pictures, move, axis=(1, 2)) for move in moves]).reshape(-1, 64)
    classes = np.tile(loaded.target, len(moves))
    rng = np.random.default_rng(0)
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], np.arange(11))
    mixed = []
    for k in range(10):
        members = order[starts[k] : starts[k + 1]]
        a, b = rng.choice(members, (2, max(count - len(shifted), 0) // 10 + 1))
        share = rng.uniform(0, 0.5, (len(a), 1)).astype(np.float32)
        mixed.append(shifted[a] * (1 - share) + shifted[b] * share)
    whole = np.concatenate([shifted, rng.permutation(np.concatenate(mixed))])[:count]
    return reduce(whole, 0)[0]


def quality_of(found: EmbeddedPoints) -> str:
    """Return the measures of quality in words."""
    judged = int(str(found.settings["judged"]))
    return (
        f"trustworthiness {found.quality['trustworthiness']:.3f}, {found.quality['neighbours']:.0%} of the 10 nearest "
        f"neighbours kept, of {judged:,} samples"
    )


def by_h2pack(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed by tsne-h2pack, which has neither progress nor snapshots nor a start by PCA."""
    from tsne_h2pack import TSNE

    return TSNE(3, perplexity=30, max_iter=750, random_state=0, n_jobs=-1).fit_transform(vectors).astype(np.float32)


def test_against_opentsne_and_other_libraries(smallest: bool):
    """Embed the same vectors from the same start with the same number of iterations."""
    pytest.importorskip("numba")
    vectors = digits(200 if smallest else 10_000)
    placed: dict[str, EmbeddedPoints] = {}

    def run(engine: str) -> Callable[[int], None]:
        return lambda _: placed.update({engine: embed(vectors, EmbeddingOptions(engine=engine))})

    for engine in ("opentsne", "grid"):
        embed(vectors[:2000], EmbeddingOptions(engine=engine))  # imports and compiles, with the kernels of a wide cloud
    others: dict[str, NDArray[np.float32]] = {}
    actions: dict[str, Callable[[int], object]] = {engine: run(engine) for engine in ("opentsne", "grid")}
    if find_spec("tsne_h2pack") and not smallest:
        actions["h2pack"] = lambda _: others.update(h2pack=by_h2pack(vectors))
    seconds = interleaved(actions, 1, warm=0)
    quality = {name: found.quality for name, found in placed.items()}
    quality |= {name: judge(vectors, points)[0] for name, points in others.items()}
    rows = [
        [
            name,
            seconds[name],
            quality[name]["trustworthiness"],
            quality[name]["neighbours"],
            quality[name].get("kl", ""),
        ]
        for name in seconds
    ]
    head = ["", "seconds", "trustworthiness", "neighbours kept", "KL divergence"]
    table(f"{len(vectors):,} x 50 in three dimensions", [head, *rows])
    if find_spec("pysgtsnepi") and not smallest:
        _compare_repulsion(placed["grid"].points)
    if smallest:
        return
    trusted = [found.quality["trustworthiness"] for found in placed.values()]
    assert trusted[1] >= trusted[0] - 0.002
    record_result(
        "tsne_10k",
        seconds["grid"] / seconds["opentsne"],
        f"10,000 x 50 digits, 750 iterations from one start, one run of each: {seconds['grid']:.0f} s against "
        f"{seconds['opentsne']:.0f} s; trustworthiness {trusted[1]:.4f} against {trusted[0]:.4f}; neighbours, PCA and "
        "quality included, compiling not",
    )


def _compare_repulsion(points: NDArray[np.float32]) -> None:
    """Compare one evaluation of the repulsion with that of pysgtsnepi, whose whole t-SNE would take most of an hour."""
    from pysgtsnepi.repulsive import compute_repulsive_forces

    from nnviz3d.analysis.grid_tsne import Repulsion
    from nnviz3d.analysis.threads import Threads

    doubles, ours = points.astype(np.float64), Repulsion()
    with Threads() as threads:
        actions = {
            "grid": lambda _: ours(doubles, threads),
            "pysgtsnepi": lambda _: compute_repulsive_forces(doubles, 1.0),
        }
        seconds = interleaved(actions, 1)
    table("Seconds of one evaluation of the repulsion", [list(seconds), list(seconds.values())])


@pytest.mark.parametrize("count", [100_000, 1_000_000])
def test_many_points(count: int, smallest: bool):
    """Embed many points as the command does with its default settings; a million by landmarks, unless told otherwise."""
    pytest.importorskip("numba")
    million = count == 1_000_000
    landmarks = (100 if smallest else 100_000) if million and WHOLE not in os.environ else None
    options = EmbeddingOptions(engine="grid", landmarks=landmarks)
    vectors = digits(400 if smallest else count)
    embed(vectors[:200], options)
    placed: list[EmbeddedPoints] = []
    (seconds,) = interleaved({"": lambda _: placed.append(embed(vectors, options))}, 1, warm=0).values()
    how = f"by {landmarks:,} landmarks" if landmarks else "without landmarks"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = f"{how}, from vectors to points with their quality: {quality_of(placed[0])}; peak memory {peak:.1f} GiB"
    print(f"\n{len(vectors):,} x 50: {seconds:.0f} s {text}")
    if not smallest:
        record_result("tsne_1m" if million else "tsne_100k", seconds / 60, text)
