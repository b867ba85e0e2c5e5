"""Capture many samples on a cluster: each worker runs the model on some of them, and writes their rows.

Results do not depend on the number of workers: samples are parted at fixed numbers, which no batch of a model crosses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zarr

from nnviz3d.cluster import tasks
from nnviz3d.cluster.connection import Connected
from nnviz3d.cluster.destination import destination_of
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.orders import CaptureOrder
from nnviz3d.cluster.publishing import PART
from nnviz3d.data.files.paths import exists, user_path
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.request import CaptureRequest, Event, Finished, Notice, Progress
from nnviz3d.data.source_names import in_folder
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.address import store_at
from nnviz3d.data.storage.axis_names import write_words
from nnviz3d.errors import CaptureError, UserError

_SHARED = ("model", "sha256", "preprocessing", "preprocessing_reason", "versions", "seed")
"""What the provenances of all parts have to agree on."""
_TOTALS = "totals"
"""The attribute of a group of connections that lists a number for each sample."""


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
    request = anywhere(request)
    with destination_of(request.out) as out, Job(cluster) as job:
        report(Progress(stage="load", done=0))
        store = store_at(out.store)
        zarr.open_group(store, mode="w", zarr_format=3, attributes={"format": schema.FORMAT, "complete": False})
        order = CaptureOrder(job=job.name, request=_part(request, 0), store=out.store)
        first = job.answer(tasks.capture_part, order.to_json())
        total = int(first["total"])
        for text in first["notices"]:
            report(Notice(text=text))
        parts = CaptureParts(first["part"])
        rest = [
            CaptureOrder(job=job.name, request=_part(request, start), store=out.store, total=total)
            for start in range(PART, total, PART)
        ]
        done = int(first["samples"])
        report(Progress(stage="forward", done=done, total=total))
        for number, answer in job.answers(tasks.capture_part, [one.to_json() for one in rest]):
            parts.add(number + 1, answer["part"])
            done += int(answer["samples"])
            report(Progress(stage="forward", done=done, total=total))
        parts.write(store, total)
        out.finish()
    nodes = len(ModelGraph.from_json(first["part"]["root"]["graph"]))
    return Finished(out=request.out, samples=total, nodes=nodes, seconds={})


def anywhere(request: CaptureRequest) -> CaptureRequest:
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


def _part(request: CaptureRequest, start: int) -> CaptureRequest:
    """Return the request for the samples from a number on; only the first part asks for what belongs to the model."""
    insights = request.insights if start == 0 else request.insights.of_samples
    return request.model_copy(update={"part": (start, start + PART), "insights": insights})


class CaptureParts:
    """What the parts of a capture tell, to be put together in their order."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        self._told: dict[int, Mapping[str, Any]] = {0: first}

    def add(self, number: int, told: Mapping[str, Any]) -> None:
        """Add a part, and refuse it if it is of another model or another run than the first one."""
        first, root = self._told[0]["root"], told["root"]
        for name in _SHARED:
            mine, its = (one["provenance"].get(name) for one in (first, root))
            if mine != its:
                raise UserError(
                    f"The workers do not agree: the {name.replace('_', ' ')} of samples {PART * number} and following is "
                    f"{its}, and of the first samples {mine}. Give all workers the same model file and versions."
                )
        if root["graph"] != first["graph"] or root["classes"] != first["classes"]:
            raise CaptureError(
                f"The layers' shapes or the classes differ between the first samples and samples {PART * number} and "
                "following; samples of one capture need one shape."
            )
        self._told[number] = told

    def write(self, store: Any, total: int) -> None:
        """Write what the parts tell together; the number of complete samples is written last."""
        told = [self._told[number] for number in sorted(self._told)]
        first = told[0]
        for path, attributes in first["groups"].items():
            if _TOTALS in attributes:
                together = [value for one in told for value in one["groups"][path][_TOTALS]]
                zarr.open_group(store, path=path, mode="r+").update_attributes({_TOTALS: together})
        for path in first["words"]:
            rows = [row for one in told for row in one["words"][path]]
            write_words(_Groups(store), path, rows)
        provenance = dict(first["root"]["provenance"])
        provenance["samples"] = [name for one in told for name in one["root"]["provenance"]["samples"]]
        provenance["sample_notes"] = [note for one in told for note in one["root"]["provenance"]["sample_notes"]]
        provenance["notes"] = list(dict.fromkeys(note for one in told for note in one["root"]["provenance"]["notes"]))
        root = zarr.open_group(store, mode="r+")
        root.update_attributes({**first["root"], "provenance": provenance, "committed": 0, "complete": False})
        root.update_attributes({"committed": total, "complete": True})


class _Groups:
    """The writer of groups and whole arrays of a capture."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Make a group and its missing parents."""
        parts = path.split("/")
        for length in range(1, len(parts)):
            zarr.open_group(self._store, path="/".join(parts[:length]), mode="a", zarr_format=3)
        zarr.open_group(self._store, path=path, mode="a", zarr_format=3, attributes=dict(attributes or {}))

    def whole(self, path: str, values: Any) -> None:
        """Write a whole array."""
        zarr.create_array(self._store, name=path, data=values, overwrite=True)
