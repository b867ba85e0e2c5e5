"""Drawing of a film on a cluster: each worker draws ranges of its frames. The film does not depend on their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.drawing import FrameDrawing, Frames
from nnviz3d.apps.film.frame_range import FilmScene
from nnviz3d.cluster import tasks
from nnviz3d.cluster.connection import Connected
from nnviz3d.cluster.frame_drawer import decompressed
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.orders import FramesOrder, portable
from nnviz3d.errors import UserError

_TOGETHER = 8
"""Frames of one order."""


def drawing_on(cluster: Connected) -> Callable[[FilmScene, str], FrameDrawing]:
    """Return the `draws` of `record` that draws on a cluster, whose workers have to see the capture."""
    return lambda film, ending: ClusterDrawing(film, ending, cluster)


class ClusterDrawing:
    """Draws the frames of one film on a cluster; a `FrameDrawing`.

    Parameters
    ----------
    ending
        Ending of the film's name; nothing for a folder. The frames are packed for its format.

    Raises
    ------
    UserError
        If other processes could not draw the film.
    """

    def __init__(self, film: FilmScene, ending: str, cluster: Connected) -> None:
        plan = film.plan()
        if plan is None:
            raise UserError(
                "Other processes would not draw the same frames, because the capture is still being written or the "
                "selection was made by a program; record it without --cluster and --workers."
            )
        self._plan = plan.model_copy(update={"captures": tuple(map(portable, plan.captures))}).to_json()
        self._ending = ending
        self._cluster = cluster
        self._jobs = ExitStack()

    def frames(self, numbers: Sequence[int], check: Callable[[], object]) -> Frames:
        """Yield packed frames by their numbers and in their order.

        Raises
        ------
        UserError
            If a worker does not see the capture or cannot draw the film, or the cluster is lost.
        WorkerCrashed
            If a worker fails by a bug.
        """
        ranges = [tuple(numbers[k : k + _TOGETHER]) for k in range(0, len(numbers), _TOGETHER)]
        job = self._jobs.enter_context(Job(self._cluster))
        orders = [
            FramesOrder(job=job.name, plan=self._plan, ending=self._ending, numbers=some).to_json() for some in ranges
        ]
        for place, frames in job.answers(tasks.draw_frames, orders, in_order=True, check=check):
            for number, frame in zip(ranges[place], frames, strict=True):
                yield number, decompressed(*frame)

    def developed(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the packed frame."""
        return raw

    def close(self) -> None:
        """Stop the job on all workers, and end their processes."""
        self._jobs.close()
