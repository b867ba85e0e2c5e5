"""Tasks of a cluster's workers: functions of this module that take JSON, and are called by their names.

Dask sends the name of a function and a text, never code or objects of nnviz3d. An answer holds one of three keys:
``done`` with the result, ``refused`` with a sentence for the user, ``crashed`` with the traceback of a bug.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.worker import Worker
from nnviz3d.cluster.frame_drawer import CompressedFrame, FrameDrawer
from nnviz3d.cluster.orders import CaptureOrder, FramesOrder, RowsOrder, found_here
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.errors import Nnviz3dError, UserError

Answer = dict[str, Any]
_STOPPING = 15.0
"""Seconds that a running order has to end."""
_INTERVAL = 0.05
"""Seconds between two checks whether it has ended."""


class _Processes:
    """The processes in which one worker runs models and draws frames; each is kept for the next order.

    Attributes
    ----------
    doing
        The job of the order that is carried out; empty if there is none.
    """

    def __init__(self) -> None:
        self.one_at_a_time = threading.Lock()
        self._lock = threading.Lock()
        self._models: Worker | None = None
        self._drawing: FrameDrawer | None = None
        self._stopped: set[str] = set()
        self.doing = ""

    def models(self, job: str) -> Worker:
        """Return the capture process of this worker, which keeps its model."""
        with self._lock:
            self.check(job)
            if self._models is None:
                self._models = Worker()
            return self._models

    def drawing(self, job: str) -> FrameDrawer:
        """Return the drawing process of this worker, which keeps its film."""
        with self._lock:
            self.check(job)
            if self._drawing is None or not self._drawing.alive:
                self._drawing = FrameDrawer()
            return self._drawing

    def check(self, job: str) -> None:
        """Refuse an order of a job that was stopped."""
        if job in self._stopped:
            raise UserError("The work was stopped.")

    def stop(self, job: str) -> None:
        """End all processes at once, and refuse further orders of the job."""
        with self._lock:
            self._stopped.add(job)
            models, self._models = self._models, None
            drawing, self._drawing = self._drawing, None
        if models is not None:
            models.close()
        if drawing is not None:
            drawing.end()


_processes = _Processes()


def has_package(name: str) -> bool:
    """Whether a package is installed on this worker; it is not imported."""
    return importlib.util.find_spec(name) is not None


async def stop(job: str) -> None:
    """Stop a job on this worker: end its processes, and wait until a running order has ended, so that it writes no more."""
    _processes.stop(job)
    ends = time.monotonic() + _STOPPING
    while _processes.doing == job and time.monotonic() < ends:
        await asyncio.sleep(_INTERVAL)


def capture_part(order_json: str) -> Answer:
    """Run a model on some samples, and write their rows into the arrays of the capture.

    Parameters
    ----------
    order_json
        JSON of `CaptureOrder`.
    """
    order = CaptureOrder.from_json(order_json)

    def work() -> str:
        # Zarr is imported by the first part alone: workers that draw do not need it.
        from nnviz3d.cluster.publishing import publish

        with temporary_folder() as folder:
            # Only the first part holds what belongs to the model, such as its weights.
            part = folder / ("part.zarr" if order.first else "part.zarr.zip")
            request = order.request.model_copy(update={"out": part, "transient": not order.first})
            notices: list[str] = []

            def hear(event: Any) -> None:
                _processes.check(order.job)
                if getattr(event, "event", "") == "notice":
                    notices.append(event.text)

            finished = _processes.models(order.job).run(request, hear)
            total = order.total or finished.total or finished.samples
            published = publish(part, order, total, lambda: _processes.check(order.job))
        return json.dumps({"part": published, "notices": notices, "total": total, "samples": finished.samples})

    return _answer(order.job, work)


def draw_frames(order_json: str) -> Answer:
    """Draw frames of a film; the result is the list of the packed frames, each as a `CompressedFrame`.

    Parameters
    ----------
    order_json
        JSON of `FramesOrder`.
    """
    order = FramesOrder.from_json(order_json)

    def work() -> list[CompressedFrame]:
        plan = json.loads(order.plan)
        plan["captures"] = [found_here(path) for path in plan["captures"]]
        return _processes.drawing(order.job).draw(json.dumps(plan), order.ending, order.numbers)

    return _answer(order.job, work)


def sum_rows(order_json: str) -> Answer:
    """Sum up some vectors for a PCA; the result is the count, the mean and the scatter matrix as bytes of float64.

    Parameters
    ----------
    order_json
        JSON of `RowsOrder`.
    """
    order = RowsOrder.from_json(order_json)

    def work() -> tuple[int, bytes, bytes]:
        from nnviz3d.analysis.reduction import partial_sums
        from nnviz3d.cluster.publishing import rows_of

        sums = partial_sums(rows_of(order))
        return sums.count, sums.mean.tobytes(), sums.scatter.tobytes()

    return _answer(order.job, work)


def reduce_rows(order_json: str) -> Answer:
    """Reduce some vectors to their principal components; the result is ``(n, k)`` as bytes of float32.

    The mean and the basis are arrays beside that of the vectors.

    Parameters
    ----------
    order_json
        JSON of `RowsOrder`.
    """
    order = RowsOrder.from_json(order_json)

    def work() -> bytes:
        return _reduced(order).tobytes()

    return _answer(order.job, work)


def place_rows(order_json: str) -> Answer:
    """Reduce some vectors, and place them among landmarks; the result is ``(n, d)`` as bytes of float32.

    The landmarks and their points are arrays beside that of the vectors.

    Parameters
    ----------
    order_json
        JSON of `RowsOrder`.
    """
    order = RowsOrder.from_json(order_json)

    def work() -> bytes:
        from nnviz3d.analysis.landmarks import place_among

        return place_among(_beside(order, "landmarks"), _beside(order, "points"), _reduced(order)).tobytes()

    return _answer(order.job, work)


def _reduced(order: RowsOrder) -> NDArray[np.float32]:
    """Read some vectors, and reduce them if there is a PCA for them."""
    from nnviz3d.analysis.reduction import REDUCED, reduced_by
    from nnviz3d.cluster.publishing import rows_of

    rows = rows_of(order)
    return rows if rows.shape[1] <= REDUCED else reduced_by(rows, _beside(order, "mean"), _beside(order, "basis"))


def _beside(order: RowsOrder, name: str) -> NDArray[np.float32]:
    """Read an array beside that of the vectors."""
    from nnviz3d.cluster.publishing import array_at

    return np.asarray(array_at(order.store, f"{order.path}_{name}")[...])


def _answer(job: str, work: Callable[[], Any]) -> Answer:
    """Do one work at a time, and return its answer."""
    with _processes.one_at_a_time:
        _processes.doing = job
        try:
            _processes.check(job)
            return {"done": work()}
        except UserError as error:
            return {"refused": str(error)}
        except Nnviz3dError as error:
            return {"crashed": str(error)}
        except Exception:  # noqa: BLE001 - the program that asked shows any error in full
            return {"crashed": traceback.format_exc()}
        finally:
            _processes.doing = ""
