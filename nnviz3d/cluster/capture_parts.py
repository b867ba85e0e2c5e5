"""Run a model on many samples by parts, and put their results together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import zarr

from nnviz3d.cluster import tasks
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.orders import CaptureOrder
from nnviz3d.cluster.publishing import PART
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.request import CaptureRequest, Event, Notice, Progress
from nnviz3d.data.storage.axis_names import write_words
from nnviz3d.errors import CaptureError, UserError

_SHARED = ("model", "sha256", "preprocessing", "preprocessing_reason", "versions", "seed")
"""Entries of the provenance that are equal in all parts."""


def captured_parts(
    job: Job, request: CaptureRequest, store: str, size: int, report: Callable[[Event], None]
) -> CaptureParts:
    """Let the workers capture all parts into the arrays of a store.

    Parameters
    ----------
    store
        Folder or address of the store.
    size
        Number of samples of a part, a power of two.
    report
        Receives progress, counted in samples, and the notices of the first part.

    Raises
    ------
    UserError, WorkerCrashed
        As `Job.answers`.
    """
    order = CaptureOrder(job=job.name, request=_part(request, 0, size), store=store)
    first = job.answer(tasks.capture_part, order.to_json())
    total, done = int(first["total"]), int(first["samples"])
    for text in first["notices"]:
        report(Notice(text=text))
    parts = CaptureParts(first["part"], total, size)
    report(Progress(stage="forward", done=done, total=total))
    rest = [
        CaptureOrder(job=job.name, request=_part(request, start, size), store=store, total=total).to_json()
        for start in range(size, total, size)
    ]
    for number, answer in job.answers(tasks.capture_part, rest):
        parts.add(number + 1, answer["part"])
        done += int(answer["samples"])
        report(Progress(stage="forward", done=done, total=total))
    return parts


def _part(request: CaptureRequest, start: int, size: int) -> CaptureRequest:
    """Return the request for the samples from a number on; only the first part asks for what belongs to the model."""
    insights = request.insights if start == 0 or request.outputs_only else request.insights.of_samples
    return request.model_copy(update={"part": (start, start + size), "insights": insights})


class CaptureParts:
    """Results of the parts of a capture, which are put together in the order of the samples.

    Parameters
    ----------
    first
        The result of `publish` for the first part.
    total
        Number of samples of the capture.
    size
        Number of samples of a part.

    Attributes
    ----------
    graph
        The architecture.
    """

    def __init__(self, first: Mapping[str, Any], total: int, size: int = PART) -> None:
        self.total = total
        self.graph = ModelGraph.from_json(first["root"]["graph"])
        self._size = size
        self._results: dict[int, Mapping[str, Any]] = {0: first}

    @property
    def names(self) -> list[str]:
        """The name of each sample."""
        return [name for one in self._in_order() for name in one["root"]["provenance"]["samples"]]

    @property
    def first(self) -> Mapping[str, Any]:
        """The result of the first part."""
        return self._results[0]

    def _in_order(self) -> list[Mapping[str, Any]]:
        return [self._results[number] for number in sorted(self._results)]

    def add(self, number: int, result: Mapping[str, Any]) -> None:
        """Add a part, and refuse it if it is of another model or another run than the first one."""
        first, root = self._results[0]["root"], result["root"]
        for name in _SHARED:
            mine, its = (one["provenance"].get(name) for one in (first, root))
            if mine != its:
                raise UserError(
                    f"The workers do not agree: the {name.replace('_', ' ')} of samples from {self._size * number} on is "
                    f"{its}, and of the first samples {mine}. Give all workers the same model file and versions."
                )
        if root["graph"] != first["graph"] or root["classes"] != first["classes"]:
            raise CaptureError(
                f"The layers' shapes or the classes differ between the first samples and samples {self._size * number} and "
                "following; samples of one capture need one shape."
            )
        self._results[number] = result

    def write(self, store: Any) -> None:
        """Write what all parts together give; the number of complete samples is written last."""
        results = self._in_order()
        first = results[0]
        for path in first["words"]:
            rows = [row for one in results for row in one["words"][path]]
            write_words(StoreGroupWriter(store), path, rows)
        provenance = dict(first["root"]["provenance"])
        provenance["samples"] = self.names
        provenance["sample_notes"] = [note for one in results for note in one["root"]["provenance"]["sample_notes"]]
        provenance["notes"] = list(
            dict.fromkeys(note for one in results for note in one["root"]["provenance"]["notes"])
        )
        root = zarr.open_group(store, mode="r+")
        root.update_attributes({**first["root"], "provenance": provenance, "committed": 0, "complete": False})
        root.update_attributes({"committed": self.total, "complete": True})


class StoreGroupWriter:
    """A `GroupWriter` for a Zarr store."""

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
