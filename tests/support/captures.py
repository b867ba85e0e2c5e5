"""Small captures for tests, written from NumPy arrays without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attention import write_attention
from nnviz3d.data.capabilities.attributions import Attribution, write_attribution, write_attribution_layers
from nnviz3d.data.capabilities.embeddings import Embedding, write_embedding
from nnviz3d.data.capabilities.gradients import write_connection_gradient, write_flow, write_gradient
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.records import RANKINGS, Connections, Provenance, Ranking
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from tests.support.earlier_connections import write_connections
from tests.support.graphs import chain, resnet50_like

CLASSES = ("ant", "bee", "cat", "dog", "elk")


def write(
    path: Path,
    graph: ModelGraph,
    values: Mapping[str, NDArray[Any]],
    *,
    connections: Mapping[tuple[str, str], Mapping[Ranking, list[Connections]]] | None = None,
    also: Sequence[Callable[[CaptureWriter], None]] = (),
    transient: bool = False,
    **extra: Any,
) -> Capture:
    """Write a capture of these values, ``(N, *shape)`` for each node, and open it.

    `also` are called with the writer; `extra`: classes, labels ``(N,)``, pictures ``{name: (N, H, W, 3)}``, notes, the mode
    of preprocessing, and the SHA-256 of the model's file.
    """
    samples = len(next(iter(values.values())))
    mode = extra.get("preprocessing", "none")
    provenance = Provenance(
        "hand.keras",
        sha256=extra.get("sha256"),
        preprocessing=mode,
        samples=tuple(f"sample {i}" for i in range(samples)),
        notes=extra.get("notes", ()),
    )
    with CaptureWriter(
        path,
        graph=graph,
        provenance=provenance,
        samples=samples,
        classes=extra.get("classes"),
        transient=transient,
    ) as writer:
        for node, array in values.items():
            writer.write_activations(node, 0, 0, array)
        for name, pixels in extra.get("pictures", {}).items():
            writer.write_pictures(name, pixels)
        if "labels" in extra:
            writer.write_labels(extra["labels"])
        for found in (connections or {}).values():
            write_connections(writer, found)
        for call in also:
            call(writer)
        writer.commit(samples)
    return open_capture(path)


def small_graph() -> ModelGraph:
    return chain(
        [
            ("input", "InputLayer", (8, 9, 1)),
            ("conv", "Conv2D", (6, 7, 4)),
            ("pool", "MaxPooling2D", (3, 3, 4)),
            ("flatten", "Flatten", (36,)),
            ("dense", "Dense", (20,)),
            ("scores", "Dense", (5,)),
        ]
    )


def small_values(samples: int = 3) -> dict[str, NDArray[np.float32]]:
    """Return random numbers: ``dense`` has negative ones, half of ``pool`` is zero, the scores add up to 1."""
    random = np.random.default_rng(7)
    values = {n.id: random.random((samples, *n.shape), dtype=np.float32) for n in small_graph()}
    values["dense"] = values["dense"] * 4 - 2
    values["pool"][values["pool"] < 0.5] = 0
    values["scores"] /= values["scores"].sum(axis=1, keepdims=True)
    return values


def small_connections(values: Mapping[str, NDArray[np.float32]]) -> dict[tuple[str, str], Any]:
    """Return the strongest 30 of 720 weights between two vectors, and 6 of the 9 weights of one filter."""
    random = np.random.default_rng(8)
    found: dict[tuple[str, str], Any] = {}
    for source, target, k, rule, total in (("flatten", "dense", 30, "dense", 720), ("input", "conv", 6, "fan", 9)):
        a, b = values[source], values[target]
        index = np.stack([random.choice(a[0].size, k), random.choice(b[0].size, k)], axis=1)
        weight = random.normal(size=k).astype(np.float32)
        found[source, target] = {
            ranking: [
                Connections(source, target, rule, ranking, total, index, weight, weight * a[i].ravel()[index[:, 0]])
                for i in range(len(a))
            ]
            for ranking in RANKINGS
        }
    return found


def small_capture(path: Path) -> Capture:
    """Write six layers and three samples, with names, labels and connections, without pictures."""
    values = small_values()
    return write(
        path,
        small_graph(),
        values,
        connections=small_connections(values),
        classes=CLASSES,
        labels=np.array([0, 3, 4]),
    )


def explained_gradients() -> dict[str, NDArray[np.float32]]:
    """Return gradients of the predicted class's score by all layers but ``flatten``, for three samples."""
    random = np.random.default_rng(11)
    return {n.id: random.normal(size=(3, *n.shape)).astype(np.float32) for n in small_graph() if n.id != "flatten"}


def explained_connection_gradients() -> dict[tuple[str, str], NDArray[np.float32]]:
    """Return packed gradients of the predicted class's score by the small connections, of both signs, with zeros."""
    random = np.random.default_rng(15)
    found = {}
    for pair, columns in small_connections(small_values()).items():
        shape = (3, len(columns), columns["weight"][0].shown)
        found[pair] = random.normal(size=shape).astype(np.float32) * (random.random(shape) < 0.7)
    return found


def explained_maps() -> dict[str, NDArray[np.float32]]:
    """Return a signed map over the input and a positive one over ``conv``, each with a strong location; three samples."""
    random = np.random.default_rng(12)
    signed = random.normal(size=(3, 8, 9)).astype(np.float32) * 0.1
    unsigned = random.random((3, 6, 7), dtype=np.float32) * 0.1
    signed[:, 1, 2], signed[:, 6, 7], unsigned[:, 4, 1] = 3, -3, 2
    return {"input": signed, "conv": unsigned}


def small_embedding() -> Embedding:
    """Return an embedding of ``dense``: eight points in three snapshots."""
    random = np.random.default_rng(13)
    snapshots = random.normal(size=(3, 8, 3)).astype(np.float32)
    classes = np.arange(8) % len(CLASSES)
    return Embedding(
        "dense",
        "tsne",
        snapshots[-1],
        snapshots[0],
        snapshots,
        tuple(f"point {i}" for i in range(8)),
        classes,
        np.roll(classes, 1),
        np.linspace(0.3, 1, 8, dtype=np.float32),
        np.empty((0, 0, 0, 3), np.uint8),
        random.normal(size=(8, 20)).astype(np.float32),
        {"trustworthiness": 0.9, "neighbours": 0.5, "kl": 0.3},
        {"perplexity": 2.0, "seed": 0, "dimensions": 20, "pooled": False, "engine": "opentsne"},
        "0" * 8,
    )


def explained_capture(path: Path) -> Capture:
    """Write the small capture with two targets, gradients, maps by two methods, attention scores and an embedding."""
    values, gradients, maps = small_values(), explained_gradients(), explained_maps()
    answers = values["scores"].argmax(axis=1)
    other = Target("scores", 1)
    shares = np.linspace(0, 1, 5, dtype=np.float32)

    def also(writer: CaptureWriter) -> None:
        write_embedding(writer, small_embedding())
        scores = np.random.default_rng(14).dirichlet(np.ones(6), size=(3, 2, 6)).astype(np.float32)
        write_attention(writer, "conv", 0, scores)
        scores = np.array([9.25, 4.5, 2.75])
        write_targets(writer, PREDICTED, "scores", answers, scores, np.full(3, 0.5))
        write_targets(writer, other.slot, "scores", np.full(3, 1), scores / -2, None)
        for name, array in gradients.items():
            write_gradient(writer, PREDICTED, name, 0, 0, array)
            write_gradient(writer, other.slot, name, 0, 0, -2 * array)
        write_flow(writer, PREDICTED, np.full((3, len(small_graph().edges)), 2, dtype=np.float32))
        for (source, target), slopes in explained_connection_gradients().items():
            write_connection_gradient(writer, PREDICTED, source, target, slopes)
        for slot, sign in ((PREDICTED, 1), (other.slot, -1)):
            for method, layer in (("grad_cam", "conv"), ("vanilla", "input")):
                strong = maps[layer] if method == "grad_cam" else sign * maps[layer]
                measured = (shares, 1 - shares, shares) if sign > 0 else (np.empty(0, np.float32),) * 3
                write_attribution_layers(writer, method, slot, [layer])
                explained = Explained(slot, other, 0.0, None)
                found = [Attribution(method, layer, one, explained, {}, *measured) for one in strong]
                write_attribution(writer, slot, found)
        scores = np.random.default_rng(13).dirichlet(np.ones(4), size=(3, 2, 5))
        write_attention(writer, "dense", 0, scores.astype(np.float32))
        kernel = np.random.default_rng(15).normal(size=(3, 3, 1, 4)).astype(np.float32)
        writer.write_weights("conv", "kernel", kernel)

    return write(
        path,
        small_graph(),
        values,
        connections=small_connections(values),
        also=[also],
        classes=CLASSES,
        labels=np.array([0, 3, 4]),
    )


def long_capture(path: Path) -> Capture:
    """Write the graph of ResNet50 with skips, and activations of its last layer only."""
    random = np.random.default_rng(9)
    return write(path, resnet50_like(), {"predictions": random.random((1, 1000), dtype=np.float32)})
