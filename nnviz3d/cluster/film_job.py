"""Record a film on a cluster: each worker draws ranges of its frames, and this program puts the film together in order.

Every process draws equal pixels, so that the film does not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nnviz3d.apps.film.frame_range import FilmPlan, FilmScene
from nnviz3d.apps.film.record import Progress, check_film, film_rate, film_size, sink_of
from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.cluster import tasks
from nnviz3d.cluster.connection import Connected
from nnviz3d.cluster.drawing_process import decompressed
from nnviz3d.cluster.jobs import Job
from nnviz3d.cluster.orders import FramesOrder, portable
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import UserError
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.tours.make_tour import TourKind

_TOGETHER = 8
"""Frames of one order."""


def record_on_cluster(
    spec: SceneSpec,
    capture: CaptureReader,
    out: Path,
    cluster: Connected,
    *,
    tour: TourKind | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    seconds: float | None = None,
    selection: Selection | None = None,
    trajectory: EmbeddingTrajectory | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Record a film, whole or not at all; the frames are those of `record`, with the same parameters.

    Parameters
    ----------
    cluster
        The cluster; its workers have to see the capture.

    Raises
    ------
    UserError
        If the film cannot be recorded, a worker does not see the capture, or the system refuses to write the film.
    """
    check_film(out, size=size, fps=fps, seconds=seconds)
    even, rate = film_size(out, size), film_rate(out, fps)
    film = FilmScene(
        spec,
        capture,
        selection or Selection(),
        tour=tour,
        size=even,
        fps=rate,
        seconds=seconds,
        trajectory=trajectory,
    )
    plan = film.plan()
    if plan is None:
        raise UserError(
            "Other processes would not draw the same frames, because the capture is still being written or the selection "
            "was made by a program; record it without --cluster and --workers."
        )
    count = len(film.moments)
    try:
        sink = sink_of(out, film, rate)
        try:
            needed = [number for number in range(count) if sink.needs(number)]
            _draw(plan, needed, sink, cluster, lambda done: progress(count - len(needed) + done, count))
            sink.finish()
        except BaseException:
            sink.discard()
            raise
    except OSError as error:
        raise UserError(f"Cannot write {out}: {error.strerror or error}.") from None


def _draw(
    plan: FilmPlan, needed: Sequence[int], sink: FrameSink, cluster: Connected, progress: Callable[[int], None]
) -> None:
    """Draw the needed frames, and write them in order."""
    text = plan.model_copy(update={"captures": tuple(map(portable, plan.captures))}).to_json()
    ranges = [tuple(needed[k : k + _TOGETHER]) for k in range(0, len(needed), _TOGETHER)]
    done = 0
    with Job(cluster) as job:
        orders = [FramesOrder(job=job.name, plan=text, numbers=numbers).to_json() for numbers in ranges]
        for place, frames in job.answers(tasks.draw_frames, orders, in_order=True):
            for number, data in zip(ranges[place], frames, strict=True):
                sink.write(number, decompressed(data, plan.size))
                done += 1
                progress(done)
