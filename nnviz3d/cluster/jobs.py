"""Jobs on a cluster: hand out orders, collect the answers, and stop everything when the program is interrupted."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from nnviz3d.apps.worker_connections import WorkerCrashed
from nnviz3d.cluster import tasks
from nnviz3d.cluster.connection import Connected
from nnviz3d.errors import UserError

_AHEAD = 2
"""Orders that are handed out for each thread of the cluster: one is carried out, another one waits."""
_INTERVAL = 1.0
"""Seconds between two checks of the workers."""
_WITHOUT_WORKERS = 60.0
"""Seconds without any worker after which the job is given up."""
_STOPPING = 25.0
"""Seconds that the workers have to stop."""


class Job:
    """A context for the orders of one job; leaving it stops the job on all workers, and ends their processes.

    Parameters
    ----------
    cluster
        The cluster.

    Attributes
    ----------
    name
        The name that each order of the job repeats.
    """

    def __init__(self, cluster: Connected) -> None:
        self.name = secrets.token_hex(8)
        self._cluster = cluster
        self._futures: dict[Any, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._futures:
            self._cluster.client.cancel(list(self._futures), force=True)
        try:
            self._cluster.on_all(tasks.stop, self.name, patience=_STOPPING)
        except (OSError, TimeoutError, RuntimeError, ValueError):
            if not self._lost():
                raise

    def answer(self, task: Callable[[str], tasks.Answer], order: str) -> Any:
        """Carry out one order, and return the result."""
        return next(self.answers(task, [order]))[1]

    def answers(
        self,
        task: Callable[[str], tasks.Answer],
        orders: Sequence[str],
        *,
        in_order: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> Iterator[tuple[int, Any]]:
        """Carry out orders, and yield the number and the result of each as they come.

        The order of a worker that was killed is carried out again by another one.

        Parameters
        ----------
        in_order
            Whether results are yielded by their numbers. Orders are then handed out as results are taken, so that results
            that wait for an earlier one take little memory.
        check
            Called at least once a second; an error that it raises ends the work.

        Raises
        ------
        UserError
            If a worker refuses an order, or the cluster is lost.
        WorkerCrashed
            If an order fails by a bug.
        """
        waiting: dict[int, Any] = {}
        handed = taken = 0
        seen = time.monotonic()
        while taken < len(orders):
            check()
            threads = self._cluster.threads
            seen = time.monotonic() if threads else seen
            self._check_alive(threads, time.monotonic() - seen)
            while handed < len(orders) and handed - taken < max(threads, 1) * _AHEAD:
                future = self._cluster.client.submit(
                    task, orders[handed], key=f"nnviz3d-{self.name}-{secrets.token_hex(4)}", pure=False
                )
                self._futures[future] = handed
                handed += 1
            waiting.update(self._finished())
            ready = ([taken] if taken in waiting else []) if in_order else list(waiting)
            while ready:
                number = ready.pop(0)
                yield number, waiting.pop(number)
                taken += 1
                if in_order and taken in waiting:
                    ready.append(taken)

    def _finished(self) -> Iterator[tuple[int, Any]]:
        """Wait a moment for answers, and return those that came."""
        from distributed import wait
        from distributed.client import CancelledError

        try:
            with self._cluster.client.as_current():
                done = wait(list(self._futures), timeout=_INTERVAL, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return
        except CancelledError:  # the scheduler has ended
            raise self._scheduler_ended() from None
        for future in done:
            number = self._futures.pop(future)
            yield number, self._result(future)

    def _result(self, future: Any) -> Any:
        if future.status in ("cancelled", "lost"):
            raise self._scheduler_ended()
        if future.status == "error":
            error = future.exception()
            if type(error).__name__ == "KilledWorker":
                raise UserError(
                    "A part of the work ended the worker that did it, several times in a row; most likely the worker needs "
                    "more memory than its machine has. Its log says more."
                )
            raise WorkerCrashed(f"A worker failed: {type(error).__name__}: {error}")
        answer: tasks.Answer = future.result()
        if "refused" in answer:
            raise UserError(answer["refused"])
        if "crashed" in answer:
            raise WorkerCrashed(f"A worker failed.\n{answer['crashed']}")
        done = answer["done"]
        return json.loads(done) if isinstance(done, str) else done

    def _check_alive(self, threads: int, idle: float) -> None:
        if self._lost():
            raise self._scheduler_ended()
        if threads == 0 and (idle > _WITHOUT_WORKERS or self._cluster.has_ended):
            raise UserError(
                f"All workers of the cluster ({self._cluster.where}) have ended; nothing was written. Start workers, and "
                f"the command again.{self._cluster.last_output}"
            )

    def _lost(self) -> bool:
        return str(self._cluster.client.status) != "running"

    def _scheduler_ended(self) -> UserError:
        return UserError(
            f"The scheduler at {self._cluster.where} no longer answers, so the work cannot be finished; nothing was "
            "written. Start it, and the command again."
        )
