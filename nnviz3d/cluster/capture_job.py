"""Capture many samples on a cluster: each worker runs the model on some of them, and writes their rows.

Results do not depend on the number of workers: samples are divided at fixed numbers, which no batch of a model crosses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import zarr

from nnviz3d.cluster.capture_parts import StoreGroupWriter, captured_parts
from nnviz3d.cluster.connection import Connected
from nnviz3d.cluster.destination import destination_of
from nnviz3d.cluster.embedding_job import dataset_request, embed_on_cluster
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.publishing import PART
from nnviz3d.data.capabilities import uses_dataset
from nnviz3d.data.files.paths import exists, user_path
from nnviz3d.data.request import CaptureRequest, Event, Finished, Progress
from nnviz3d.data.source_names import in_folder
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.address import store_at


def capture_on_cluster(
    request: CaptureRequest, cluster: Connected, report: Callable[[Event], None] = lambda event: None
) -> Finished:
    """Capture a model on a cluster.

    Parameters
    ----------
    request
        The request; every worker has to find the files that it names.
    report
        Receives progress, counted in samples, and notices.

    Raises
    ------
    UserError
        If a worker refuses the request, or the capture cannot be written.
    WorkerCrashed
        If a worker fails by a bug.
    """
    request = with_absolute_paths(request)
    embedded = bool(request.insights.embeddings)
    alone = request.insights.model_copy(update={"embeddings": ()})
    if uses_dataset(alone) and not alone.dataset:
        # What belongs to the model is computed with the first part, which has only some of the samples.
        alone = alone.model_copy(update={"dataset": request.inputs})
    with destination_of(request.out) as out, Job(cluster) as job:
        report(Progress(stage="load", done=0))
        store = store_at(out.store)
        zarr.open_group(store, mode="w", zarr_format=3, attributes={"format": schema.FORMAT, "complete": False})
        parts = captured_parts(job, request.model_copy(update={"insights": alone}), out.store, PART, report)
        if embedded:
            embed_on_cluster(job, dataset_request(request, parts.graph), out.scratch, StoreGroupWriter(store), report)
        parts.write(store)
        out.finish()
    return Finished(out=request.out, samples=parts.total, nodes=len(parts.graph), seconds={})


def with_absolute_paths(request: CaptureRequest) -> CaptureRequest:
    """Return a request with absolute paths, because workers have other working folders."""
    here = Path.cwd()

    def absolute(name: str) -> str:
        path = user_path(name)
        return str(path.absolute()) if exists(path) else name

    insights = request.insights.model_copy(
        update={"dataset": tuple(in_folder(here, source) for source in request.insights.dataset)}
    )
    return request.model_copy(
        update={
            "model": absolute(request.model),
            "inputs": tuple(in_folder(here, source) for source in request.inputs),
            "weights": None if request.weights is None else absolute(request.weights),
            "architecture": None if request.architecture is None else absolute(request.architecture),
            "classes": None if request.classes is None else request.classes.absolute(),
            "insights": insights,
        }
    )
