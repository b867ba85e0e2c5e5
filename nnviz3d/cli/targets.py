"""Opening of a command's target with its options, and the selection that the options make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nnviz3d.options import Look, Model
from nnviz3d.options import selection_of as selection_of

if TYPE_CHECKING:
    from nnviz3d.apps.compared_notices import ComparedNotices
    from nnviz3d.apps.comparison import Compared
    from nnviz3d.apps.open_target import Opened
    from nnviz3d.apps.worker import Worker
    from nnviz3d.apps.worker_connections import Connection
    from nnviz3d.cluster.connection import ClusterOptions
    from nnviz3d.data.request import CaptureRequest, Finished, Invitation


class Run(Protocol):
    """A function that makes a capture with a progress bar; `ComparedNotices`, if it gets any, take the notices."""

    def __call__(self, request: CaptureRequest, compared: ComparedNotices | None = None) -> Finished:
        """Make a capture."""


@contextmanager
def capturing(target: str | None, beside: Callable[[], Sequence[Callable[[], object]]] = tuple) -> Iterator[Run]:
    """Yield a function that makes the captures of a command, with a progress bar, and ends their process.

    If the target names a model, the process starts at once, so that it imports TensorFlow while this one imports the rest.

    Parameters
    ----------
    beside
        Returns other work of this process during a capture; see `Worker.run`.
    """
    from nnviz3d.data.model_sources import names_model

    worker = new_worker()
    try:
        if target is not None and names_model(target):
            worker.start()

        def run(request: CaptureRequest, compared: ComparedNotices | None = None) -> Finished:
            from nnviz3d.apps.progress import capture_with_progress

            done = capture_with_progress(request, worker=worker, beside=beside(), compared=compared)
            worker.finish()
            return done

        yield run
    finally:
        worker.close()


def new_worker() -> Worker:
    """Return the worker of a command, whose process is not started yet."""
    from nnviz3d.apps.worker import Worker

    return Worker()


def capture_with_workers(request: CaptureRequest, where: ClusterOptions) -> Finished:
    """Run a capture on a cluster, with a progress bar."""
    from nnviz3d.apps.progress import CaptureBar
    from nnviz3d.cluster.capture_job import capture_on_cluster
    from nnviz3d.cluster.connection import MODELS, connected

    with CaptureBar.on_stderr() as bar, connected(where, MODELS) as cluster:
        return capture_on_cluster(request, cluster, bar.hear)


@contextmanager
def open_target(
    target: str | None,
    model: Model,
    look: Look,
    run: Run,
    *,
    backward: bool = False,
    whole: bool = False,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
    of_capture: str | None = None,
) -> Iterator[Opened]:
    """Open the target of a command with its options, and the model or capture with which it is compared.

    Parameters
    ----------
    of_capture
        The model of a target that is a ready capture.
    backward, worker, invitation
        As for `opened`.
    whole
        Whether all samples of a model are captured, whatever the look needs.
    """
    from nnviz3d.apps.open_target import opened

    wanted = look.wanted()
    with (
        _compared(look.other, live=worker is not None) as (other, notices),
        opened(
            target,
            look.scene,
            model.options(of_capture),
            partial(run, compared=notices),
            sample=look.sample,
            whole=whole or look.whole,
            groups=look.groups,
            backward=backward,
            metadata=look.metadata,
            wanted=wanted,
            chosen=look.chosen(),
            worker=worker,
            invitation=invitation,
            other=other,
            side_by_side=look.side_by_side,
        ) as found,
    ):
        yield found


@contextmanager
def _compared(name: str | None, *, live: bool) -> Iterator[tuple[Compared | None, ComparedNotices | None]]:
    """Yield the model or capture that is compared, and what takes the notices of both models if it is a model.

    Parameters
    ----------
    live
        Whether a worker runs the model on further samples, too.
    """
    from nnviz3d.data.model_sources import names_model

    if name is None:
        yield None, None
        return
    from nnviz3d.apps.compared_notices import ComparedNotices
    from nnviz3d.apps.comparison import Compared

    worker = new_worker()
    notices = None
    try:
        if names_model(name):
            worker.start()  # imports TensorFlow while the target is captured
            notices = ComparedNotices(name)

        def run(request: CaptureRequest) -> None:
            from nnviz3d.apps.progress import capture_with_progress

            capture_with_progress(request, worker=worker, compared=notices)
            _release(notices)
            if not live:
                worker.finish()

        yield Compared(name, run, worker if live else None), notices
    finally:
        try:
            _release(notices)  # those of a target whose counterpart could not be run
        finally:
            worker.close()


def _release(notices: ComparedNotices | None) -> None:
    """Print the notices that are held back."""
    if notices is not None:
        from rich.console import Console

        from nnviz3d.apps.progress import print_notice

        notices.release(partial(print_notice, Console(stderr=True)))


@contextmanager
def open_live_target(
    target: str | None,
    model: Model,
    look: Look,
    live: Path | None,
    *,
    ready: bool = True,
    beside: Callable[[], Sequence[Callable[[], object]]] = tuple,
    of_capture: str | None = None,
) -> Iterator[Opened]:
    """Open the target of a command, with a worker that runs the model on further samples.

    Parameters
    ----------
    of_capture
        As for `open_target`.
    live
        The file with the address of a program that answers for its live model.
    ready
        Whether the worker loads and compiles the model at once, and not when the first sample is asked for.
    beside
        As for `capturing`.
    """
    from nnviz3d.apps.worker import Worker
    from nnviz3d.apps.worker_connections import ProcessConnection, SocketConnection
    from nnviz3d.data.model_sources import names_model

    connect: Callable[[], Connection] = ProcessConnection
    invitation = None
    if live is not None:
        from nnviz3d.data.json_lines import invitation_in

        invitation = invitation_in(live)
        connect = partial(SocketConnection, invitation.port, invitation.token)
    worker = Worker(connect)
    try:
        if invitation is None and target is not None and names_model(target):
            worker.start()

        def run(request: CaptureRequest, compared: ComparedNotices | None = None) -> Finished:
            from nnviz3d.apps.progress import capture_with_progress

            return capture_with_progress(request, worker=worker, beside=beside(), compared=compared)

        with open_target(
            target, model, look, run, worker=worker, invitation=invitation, of_capture=of_capture
        ) as found:
            if ready and invitation is None and found.runner is not None:
                example = next((one.source for one in found.samples if one.source is not None), None)
                if example is not None:
                    found.runner.prepare(example)
            yield found
    finally:
        worker.close()
