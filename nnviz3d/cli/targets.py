"""Opening of a command's target with its options, and the selection that the options make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnviz3d.options import Look, Model
from nnviz3d.options import selection_of as selection_of

if TYPE_CHECKING:
    from nnviz3d.apps.open_target import Opened
    from nnviz3d.apps.worker import Worker
    from nnviz3d.cluster.connection import ClusterOptions
    from nnviz3d.data.request import CaptureRequest, Finished, Invitation


def run_capture(request: CaptureRequest) -> Finished:
    """Run a capture in its process, with a progress bar."""
    from nnviz3d.apps.progress import capture_with_progress

    return capture_with_progress(request)


def capture_with_workers(request: CaptureRequest, where: ClusterOptions) -> Finished:
    """Run a capture on a cluster, with a progress bar."""
    from nnviz3d.apps.progress import CaptureBar
    from nnviz3d.cluster.capture_job import capture_on_cluster
    from nnviz3d.cluster.connection import MODELS, connected

    with CaptureBar.on_stderr() as bar, connected(where, MODELS) as cluster:
        return capture_on_cluster(request, cluster, bar.hear)


def open_target(
    target: str | None,
    model: Model,
    look: Look,
    run: Callable[[CaptureRequest], object],
    *,
    backward: bool = False,
    whole: bool = False,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
) -> AbstractContextManager[Opened]:
    """Return a context that opens the target of a command with its options.

    Parameters
    ----------
    backward, worker, invitation
        As for `opened`.
    whole
        Whether all samples of a model are captured, whatever the look needs.
    """
    from nnviz3d.apps.open_target import opened

    return opened(
        target,
        look.scene,
        model.options(),
        run,
        sample=look.sample,
        whole=whole or look.whole,
        groups=look.groups,
        backward=backward,
        wanted=look.wanted(),
        chosen=look.chosen(),
        worker=worker,
        invitation=invitation,
    )


@contextmanager
def open_live_target(target: str | None, model: Model, look: Look, live: Path | None) -> Iterator[Opened]:
    """Open the target of a command, with a worker that runs the model on further samples."""
    from nnviz3d.apps.progress import capture_with_progress
    from nnviz3d.apps.worker import ProcessConnection, SocketConnection, Worker
    from nnviz3d.data.json_lines import invitation_in

    invitation = None if live is None else invitation_in(live)
    connect = ProcessConnection if invitation is None else partial(SocketConnection, invitation.port, invitation.token)
    worker = Worker(connect)
    try:
        run = partial(capture_with_progress, worker=worker)
        with open_target(target, model, look, run, worker=worker, invitation=invitation) as found:
            yield found
    finally:
        worker.close()
