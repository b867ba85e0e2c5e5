"""Embed the outputs of layers for a data set that is too large for one process.

Workers run the model, and write the outputs by parts into arrays. Outputs that fit into memory are embedded as by one
process, with equal points. Larger ones are reduced by a PCA that is summed up by parts, some of them are embedded as
landmarks, and all others are placed among these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nnviz3d.analysis.embedding import EmbeddedPoints, embed, key_of
from nnviz3d.analysis.embedding_quality import JUDGED, judge
from nnviz3d.analysis.landmarks import choose
from nnviz3d.analysis.reduction import REDUCED, PartialSums, check_width, components, kept_variance, merged
from nnviz3d.cluster import tasks
from nnviz3d.cluster.capture_parts import CaptureParts, captured_parts
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.orders import RowsOrder
from nnviz3d.cluster.publishing import array_at
from nnviz3d.data.capabilities.embeddings import Embedding, EmbeddingOptions, write_embedding
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.request import CaptureRequest, Event, Progress
from nnviz3d.data.storage.address import store_at
from nnviz3d.data.storage.array_writer import GroupWriter
from nnviz3d.data.storage.schema import OUTPUTS
from nnviz3d.errors import ModelError

Floats = NDArray[np.float32]

MEMORY = 2**30
"""Bytes of outputs that are embedded as by one process, as in a capture without a cluster."""
LANDMARKS = 20_000
"""Samples that are embedded among more than fit into memory, if the user gives no number."""
_PART = 256
"""Samples that a worker runs at once."""
_ROWS = 8192
"""Vectors that are summed up or reduced at once. The number is fixed, because sums round by their parts."""
_THUMBNAILS = 2**28
"""Most bytes of all thumbnails, which a page keeps in memory."""


def dataset_request(request: CaptureRequest, graph: ModelGraph) -> CaptureRequest:
    """Return the request for the outputs of the data set that a capture embeds.

    Parameters
    ----------
    graph
        The model, with the sizes of the capture's samples, which those of the data set get too.
    """
    shapes = graph.input_shapes.values()
    known = tuple(tuple(n for n in shape if n is not None) for shape in shapes)
    fixed = all(None not in shape for shape in shapes)
    return request.model_copy(
        update={
            "inputs": request.insights.dataset or request.inputs,
            "outputs_only": True,
            "shapes": known if fixed else (),
        }
    )


def embed_on_cluster(
    job: Job, request: CaptureRequest, scratch: str, writer: GroupWriter, report: Callable[[Event], None]
) -> None:
    """Embed the outputs of every layer that a request names, and write the embeddings.

    Parameters
    ----------
    request
        A `dataset_request`.
    scratch
        Folder or address for the outputs, which every worker sees.
    writer
        Writes the embeddings.

    Raises
    ------
    ModelError
        If the outputs cannot be embedded.
    """
    zarr.open_group(store_at(scratch), mode="w", zarr_format=3)
    parts = captured_parts(job, request, scratch, _PART, report)
    nodes = parts.first["groups"][OUTPUTS]["nodes"]
    for number, node_id in enumerate(nodes):
        try:
            _embed_node(job, request, scratch, number, len(nodes), parts, node_id, writer, report)
        except ModelError as error:
            raise ModelError(f"{node_id}: {error}") from None


def _embed_node(
    job: Job,
    request: CaptureRequest,
    scratch: str,
    number: int,
    nodes: int,
    parts: CaptureParts,
    node_id: str,
    writer: GroupWriter,
    report: Callable[[Event], None],
) -> None:
    options = request.insights.embedding_options
    outputs = array_at(scratch, f"{OUTPUTS}/{number}")

    def placing(done: int, total: int) -> None:
        report(Progress(stage="embed", done=done, total=total))

    if outputs.nbytes <= MEMORY / nodes:
        vectors = np.asarray(outputs[...])
        points, key = embed(vectors, options, placing), key_of(vectors, options)
    else:
        points, key = _embedded_by_parts(job, scratch, number, outputs, options, placing)
    held = {name: _rows(scratch, name, parts) for name in ("labels", "predictions", "probabilities", "thumbnails")}
    if (held["labels"] == NO_LABEL).all():
        held["labels"] = held["labels"][:0]
    if held["thumbnails"].nbytes > _THUMBNAILS:
        held["thumbnails"] = held["thumbnails"][:0]
    write_embedding(
        writer,
        Embedding(
            name=node_id,
            method=options.method,
            points=points.points,
            first=points.first,
            snapshots=points.snapshots,
            names=tuple(parts.names),
            vectors=points.vectors,
            quality=points.quality,
            settings=points.settings,
            key=key,
            mean=points.mean,
            basis=points.basis,
            **held,
        ),
    )


def _rows(scratch: str, name: str, parts: CaptureParts) -> NDArray[Any]:
    """Read what is known of each sample, or return an empty array if it is not known."""
    if f"{OUTPUTS}/{name}" in parts.first["arrays"]:
        return np.asarray(array_at(scratch, f"{OUTPUTS}/{name}")[...])
    empty: dict[str, NDArray[Any]] = {
        "probabilities": np.empty(0, dtype=np.float32),
        "thumbnails": np.empty((0, 1, 1, 3), dtype=np.uint8),
    }
    return empty.get(name, np.empty(0, dtype=np.int64))


def _embedded_by_parts(
    job: Job,
    scratch: str,
    number: int,
    outputs: zarr.Array[Any],
    options: EmbeddingOptions,
    placing: Callable[[int, int], None],
) -> tuple[EmbeddedPoints, str]:
    """Reduce vectors by a PCA over parts, embed landmarks, and place all others among them."""
    count, width = outputs.shape
    path = f"{OUTPUTS}/{number}"
    orders = [
        RowsOrder(job=job.name, store=scratch, path=path, start=start, stop=min(start + _ROWS, count)).to_json()
        for start in range(0, count, _ROWS)
    ]
    variance: dict[str, float] = {}
    mean, basis = np.empty(0, dtype=np.float32), np.empty((0, 0), dtype=np.float32)
    if width > REDUCED:
        check_width(width)
        sums = merged(_sums(answer) for _, answer in job.answers(tasks.sum_rows, orders, in_order=True))
        mean, basis = components(sums)
        variance = {"variance": kept_variance(sums, basis)}
        _write(scratch, {f"{path}_mean": mean, f"{path}_basis": basis})
        found = [answer for _, answer in job.answers(tasks.reduce_rows, orders, in_order=True)]
        reduced = np.frombuffer(b"".join(found), dtype=np.float32).reshape(count, -1)
    else:
        reduced = np.asarray(outputs[...], dtype=np.float32)
    if options.method != "pca" and options.landmarks is None and count > LANDMARKS:
        options = replace(options, landmarks=LANDMARKS)

    def placed(landmarks: Floats, among: Floats, _vectors: Floats) -> Floats:
        """Let the workers place all vectors; the result is that of `place_among`."""
        _write(scratch, {f"{path}_landmarks": landmarks, f"{path}_points": among})
        rows: list[bytes] = []
        for number, answer in job.answers(tasks.place_rows, orders, in_order=True):
            rows.append(answer)
            placing(min((number + 1) * _ROWS, count), count)
        return np.frombuffer(b"".join(rows), dtype=np.float32).reshape(count, -1)

    points = embed(reduced, options, placing, placed)
    some = choose(count, JUDGED, options.seed)
    quality, judged = judge(np.asarray(outputs.oindex[some]), points.points[some], options.seed)
    settings = {**points.settings, "dimensions": width, "judged": judged}
    digest = hashlib.sha256(key_of(reduced, options).encode())
    digest.update(mean.tobytes() + basis.tobytes())
    made = replace(
        points,
        mean=mean,
        basis=basis,
        quality={**points.quality, **quality, **variance},
        settings=settings,
    )
    return made, digest.hexdigest()


def _write(store: str, arrays: Mapping[str, Floats]) -> None:
    """Write arrays for the workers."""
    for name, values in arrays.items():
        zarr.create_array(store_at(store), name=name, data=values, overwrite=True)


def _sums(answer: tuple[int, bytes, bytes]) -> PartialSums:
    count, mean, scatter = answer
    width = len(mean) // 8
    return PartialSums(count, np.frombuffer(mean), np.frombuffer(scatter).reshape(width, width))
