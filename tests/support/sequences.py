"""A small transformer with known tokens, without a model: graph, numbers and words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.data.storage.capture_writer import CaptureWriter
from tests.support.captures import write
from tests.support.graphs import graph_of

WORDS = (
    ("the", "film", "was", "never", "dull", "and", "my", "friends", "liked", "it", "", ""),
    ("a", "very", "long", "and", "incomprehensibility", "of", "plot", "", "", "", "", ""),
)
"""The tokens of two samples."""
TOKENS, UNITS = len(WORDS[0]), 24


def encoder(blocks: int = 6) -> ModelGraph:
    """Return a classifier of text: in each block attention and a pair of dense layers, both with a residual."""
    sheet = (TOKENS, UNITS)
    nodes: list[tuple[str, str, tuple[int | None, ...]]] = [
        ("ids", "InputLayer", (TOKENS,)),
        ("embedding", "Embedding", sheet),
    ]
    edges = [("ids", "embedding")]
    stream = "embedding"
    for k in range(1, blocks + 1):
        kinds = {"norm1": "LayerNormalization", "attention": "MultiHeadAttention", "add1": "Add"}
        kinds |= {"norm2": "LayerNormalization", "expand": "Dense", "project": "Dense", "add2": "Add"}
        last = stream
        for part, kind in kinds.items():
            name = f"block{k}_{part}"
            nodes.append((name, kind, (TOKENS, 2 * UNITS) if part == "expand" else sheet))
            edges.append((last, name))
            if kind == "Add":
                edges.append((stream, name))
                stream = name
            last = name
    nodes += [("pool", "GlobalAveragePooling1D", (UNITS,)), ("scores", "Dense", (2,))]
    return graph_of(nodes, [*edges, (stream, "pool"), ("pool", "scores")], "encoder")


def encoder_capture(path: Path, values: dict[str, NDArray[Any]] | None = None, blocks: int = 6) -> Capture:
    """Write a capture of the encoder with the words of its tokens; random numbers unless `values` are given."""
    graph, random = encoder(blocks), np.random.default_rng(3)
    found = {n.id: random.normal(size=(len(WORDS), *n.shape)).astype(np.float32) for n in graph} | (values or {})

    def words(writer: CaptureWriter) -> None:
        write_tokens(writer, "ids", WORDS)

    return write(path, graph, found, also=[words], classes=("negative", "positive"))
