"""Run a model on a data set, and embed the outputs of its layers as points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.analysis.embedding import EmbeddedPoints, embed, flattened, key_of
from nnviz3d.analysis.embedding_engines import slow_note
from nnviz3d.analysis.embedding_quality import with_new_quality
from nnviz3d.capture.inputs.rows import Rows, ranges
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.axes import channels_in
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingOptions, predicted_classes, write_embedding
from nnviz3d.data.capture import is_capture, open_capture
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.request import Notice, Progress
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import CaptureError, ModelError, SampleError

_MEMORY = 2**30
"""Bytes that the outputs of all chosen layers may take."""
_THUMBNAIL = 28
"""Largest height of a thumbnail in pixels."""


def write_embeddings(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Embed the outputs of every layer that was asked for, and write the embeddings.

    If the capture replaces an earlier one, an embedding of equal outputs by equal settings is taken from there.

    Raises
    ------
    ModelError
        If no layer matches, a layer has no numbers for each sample, the outputs do not fit into memory or cannot be
        embedded; see `embed`.
    SampleError
        If the data set cannot be read.
    """
    insights, options = work.insights, work.insights.embedding_options
    samples, arrays = work.samples, work.arrays
    if insights.dataset:
        samples = work.read(insights.dataset, shapes=work.samples.shapes)
        arrays = work.prepare(samples)
    outputs = outputs_of(work, samples, arrays, report)
    if (note := slow_note(options, len(samples))) and outputs.vectors:
        report(Notice(text=note))
    for node_id in tuple(outputs.vectors):
        vectors = outputs.vectors.pop(node_id)
        key = key_of(vectors, options)
        earlier = _earlier(work, node_id, key)
        points = (
            with_new_quality(earlier, vectors) if earlier is not None else _embedded(node_id, vectors, options, report)
        )
        write_embedding(
            writer,
            Embedding(
                name=node_id,
                method=options.method,
                points=points.points,
                first=points.first,
                snapshots=points.snapshots,
                names=samples.names,
                labels=outputs.labels,
                predictions=outputs.predictions,
                probabilities=outputs.probabilities,
                thumbnails=outputs.thumbnails,
                vectors=points.vectors,
                quality=points.quality,
                settings=points.settings,
                key=key,
                mean=points.mean,
                basis=points.basis,
            ),
        )


@dataclass(frozen=True)
class LayerOutputs:
    """Outputs of layers for the embedded samples, with facts about these samples; names are those of `Embedding`.

    Attributes
    ----------
    vectors
        ``(M, D)``: the outputs of each layer, by node id.
    labels, predictions, probabilities
        ``(M,)`` each, or empty.
    thumbnails
        ``(M, h, w, 3)``; M is 0 if samples are no pictures.
    """

    vectors: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    thumbnails: NDArray[np.uint8]


def outputs_of(work: Work, samples: Samples, arrays: Sequence[Rows], report: Report) -> LayerOutputs:
    """Run the model on samples, and return the outputs of the layers that are embedded.

    Parameters
    ----------
    samples, arrays
        The samples, as they were read and as the model takes them.

    Raises
    ------
    ModelError
        If no layer matches, a layer has no numbers for each sample, or the outputs do not fit into memory.
    SampleError
        If there is not a label for each sample.
    """
    options = work.insights.embedding_options
    graph = work.program.graph
    nodes = _matching(graph, work.insights.embeddings)
    total = len(samples)
    if samples.labels is not None and len(samples.labels) != total:
        raise SampleError(f"There are {len(samples.labels)} labels for {total} samples; give one for each.")
    head = _head(graph, work.classes)
    asked = dict.fromkeys((*nodes, *([head] if head else [])))
    found: dict[str, list[NDArray[Any]]] = {node_id: [] for node_id in asked}
    for batch in work.program.batches(arrays, asked):
        report(Progress(stage="forward", done=batch.start, total=total))
        for node_id in asked:
            numbers = batch.numbers(node_id)
            if numbers is None:
                raise ModelError(f"{node_id} has no numbers for each sample, so it cannot be embedded.")
            if node_id in nodes and batch.start == 0:
                _check_room(graph.node(node_id), numbers.shape[1:], total, len(nodes), options)
            pooled = options.pooled and node_id in nodes
            found[node_id].append(flattened(numbers, graph.node(node_id).axes, pooled=pooled))
    predictions, probabilities = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    if head:
        scores = np.concatenate([s.reshape(len(s), -1) for s in found[head]])
        predictions = predicted_classes(scores)
        if _is_softmax(graph, head):
            probabilities = scores.max(axis=1)
    return LayerOutputs(
        vectors={node_id: np.concatenate(found.pop(node_id)) for node_id in nodes},
        labels=np.empty(0, dtype=np.int64) if samples.labels is None else samples.labels,
        predictions=predictions,
        probabilities=probabilities,
        thumbnails=thumbnails_of(samples),
    )


def _embedded(node_id: str, vectors: NDArray[np.float32], options: EmbeddingOptions, report: Report) -> EmbeddedPoints:
    try:
        return embed(vectors, options, lambda done, total: report(Progress(stage="embed", done=done, total=total)))
    except ModelError as error:
        raise ModelError(f"{node_id}: {error}") from None


def _earlier(work: Work, node_id: str, key: str) -> Embedding | None:
    """Return the embedding of the same outputs in the capture that is replaced; `None` if there is none."""
    if not (work.out.exists() and is_capture(work.out)):
        return None
    try:
        earlier = open_capture(work.out)
        found = earlier.embedding(node_id) if node_id in earlier.embeddings else None
    except CaptureError:  # of an unknown version, or damaged: it is replaced anyway
        return None
    return found if found is not None and found.key == key else None


def _matching(graph: ModelGraph, globs: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(node.id for node in graph)
    chosen: set[str] = set()
    for glob in globs:
        found = matching(glob, graph)
        if not found and by_kind(glob):
            raise ModelError(
                f"{lacks(glob, graph)}, whose outputs would be embedded; capture the model with --embed "
                f"LAYER, where LAYER is one of {', '.join(names)}, and show that capture."
            )
        if not found:
            raise ModelError(
                f"No layer is named {glob!r}, so it cannot be embedded; the layers are {', '.join(names)}."
            )
        chosen.update(found)
    return tuple(name for name in names if name in chosen)


def _check_room(node: LayerNode, shape: tuple[int, ...], total: int, nodes: int, options: EmbeddingOptions) -> None:
    numbers = channels_in(shape, node.axes) if options.pooled and len(shape) > 1 else math.prod(shape)
    needed = 4 * numbers * total
    if needed <= _MEMORY / nodes:
        return
    way = (
        "choose fewer samples"
        if options.pooled or len(shape) < 2
        else "average each feature map over its locations (pooled)"
    )
    raise ModelError(
        f"{node.id} has {numbers:,} outputs, which for {total:,} samples take {needed / 2**30:.1f} GiB of "
        f"memory, and {_MEMORY / nodes / 2**30:.1f} are free for it; {way}, or choose another layer."
    )


def _head(graph: ModelGraph, classes: tuple[str, ...] | None) -> str | None:
    """Return the output whose numbers are scores of classes; `None` if there is none."""
    vectors = [name for name in graph.outputs if len(graph.node(name).shape) == 1]
    name = next((n for n in reversed(vectors) if (graph.node(n).size or 0) > 1), None)
    if name is None:
        return None
    named = classes is not None and len(classes) == graph.node(name).size
    return name if named or _is_softmax(graph, name) else None


def head_for(
    graph: ModelGraph, classes: tuple[str, ...] | None, labels: NDArray[np.int64] | None
) -> tuple[str | None, bool]:
    """Return the output whose largest number is the predicted class, if any, and whether its numbers are probabilities.

    Parameters
    ----------
    labels
        Classes of some samples, ``(N,)``. If they are known, the only output vector is taken for scores of classes.
    """
    name = _head(graph, classes)
    vectors = [name for name in graph.outputs if len(graph.node(name).shape) == 1]
    if name is None and labels is not None and len(labels) and len(vectors) == 1:
        size = graph.node(vectors[0]).size or 0
        name = vectors[0] if size > max(1, int(labels.max())) and labels.min() >= 0 else None
    return name, name is not None and _is_softmax(graph, name)


def _is_softmax(graph: ModelGraph, name: str) -> bool:
    node = graph.node(name)
    return node.activation == "softmax" or node.kind == "Softmax"


def thumbnails_of(samples: Samples) -> NDArray[np.uint8]:
    """Return small copies of samples that are pictures, ``(M, h, w, 3)``, at most 28 pixels high; M is 0 for others."""
    shown = next(iter(samples.shown.values()), None)
    if shown is None:
        return np.empty((0, 1, 1, 3), dtype=np.uint8)
    height, width = shown.shape[1:3]
    if height <= _THUMBNAIL:
        return np.asarray(shown)
    size = (max(1, round(width * _THUMBNAIL / height)), _THUMBNAIL)

    def small() -> Iterator[NDArray[np.uint8]]:
        for part in ranges(shown):
            for picture in shown[part]:
                yield np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), dtype=np.uint8)

    return np.stack(list(small()))
