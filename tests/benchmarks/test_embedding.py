"""Time and quality of embeddings: the engine with progress reports against the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from nnviz3d.analysis.embedding import EmbeddedPoints, embed
from nnviz3d.analysis.embedding_quality import judge
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from tests.benchmarks.timing import interleaved, table

ENGINES = ("opentsne", "sklearn")
HEAD = ("", *ENGINES, "opentsne : sklearn", "of that, judging", "trustworthiness", "neighbours kept")


def shifted(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add copies of 8 x 8 pixel pictures, shifted by one pixel to the left and to the right."""
    pictures = vectors.reshape(-1, 8, 8)
    moved = [np.roll(pictures, by, axis=2) for by in (0, -1, 1)]
    return np.concatenate(moved).reshape(-1, 64)


def compared(vectors: NDArray[np.float32], dimensions: int) -> list[object]:
    """Embed the same vectors with both engines."""
    placed: dict[str, EmbeddedPoints] = {}

    def run(engine: str) -> None:
        placed[engine] = embed(vectors, EmbeddingOptions(engine=engine, dimensions=dimensions))

    seconds = interleaved({engine: lambda _, e=engine: run(e) for engine in ENGINES}, 1, warm=0)
    found = placed["opentsne"]
    judging = interleaved({"": lambda _: judge(found.vectors, found.points)}, 1)[""]
    assert all(one.quality["trustworthiness"] > 0.98 for one in placed.values())
    trusted = [one.quality["trustworthiness"] for one in placed.values()]
    assert abs(trusted[0] - trusted[1]) <= 0.002
    quality = [
        " and ".join(f"{placed[engine].quality[name]:.3f}" for engine in ENGINES)
        for name in ("trustworthiness", "neighbours")
    ]
    return [f"{dimensions} dimensions", *seconds.values(), seconds["opentsne"] / seconds["sklearn"], judging, *quality]


def test_against_the_reference():
    """Compare both engines on real digits of 8 x 8 pixels, with 750 and 1,000 iterations; PCA and quality are shared."""
    vectors = load_digits().data.astype(np.float32)
    for engine in ENGINES:
        embed(vectors[:100], EmbeddingOptions(engine=engine))  # imports
    for points in (vectors, shifted(vectors)[:5000]):
        table(f"Seconds to place {len(points):,} points", [HEAD, *(compared(points, d) for d in (2, 3))])
