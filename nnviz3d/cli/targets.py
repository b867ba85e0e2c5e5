"""Opening of a command's target with its options, and the selection that the options make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnviz3d.errors import UserError
from nnviz3d.options import Look, Model

if TYPE_CHECKING:
    from nnviz3d.apps.open_target import Opened
    from nnviz3d.apps.worker import Worker
    from nnviz3d.data.reader import CaptureReader
    from nnviz3d.data.request import CaptureRequest, Finished, Invitation
    from nnviz3d.scene.selection import Selection


def run_capture(request: CaptureRequest) -> Finished:
    """Run a capture in its process, with a progress bar."""
    from nnviz3d.apps.progress import capture_with_progress

    return capture_with_progress(request)


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


def selection_of(look: Look, found: Opened) -> Selection:
    """Return the selection that the options request.

    Raises
    ------
    UserError
        If an option names something that the capture does not hold.
    """
    from nnviz3d.data.target_words import find_target
    from nnviz3d.scene.colors import colormap
    from nnviz3d.scene.selection import Selection

    capture = found.capture
    if look.layer is not None and look.layer not in capture.graph:
        names = ", ".join(node.id for node in capture.graph)
        raise UserError(f"--layer: there is no layer {look.layer!r}; the model has {names}.")
    if look.threshold is not None and not 0 <= look.threshold <= 1:
        raise UserError(f"--threshold is a share of the colour range, 0 to 1; got {look.threshold:g}.")
    if look.colormap is not None:
        colormap(look.colormap)
    if look.against is not None and not 0 <= look.against < capture.committed:
        last = capture.committed - 1
        raise UserError(f"--against: there is no sample {look.against}; the capture holds samples 0 to {last}.")
    if look.step is not None:
        _check_step(look.step, capture)
    return Selection(
        found.sample,
        look.layer,
        look.threshold,
        look.colormap,
        look.normalize,
        look.ranking,
        quantity=look.quantity,
        against=look.against,
        target=None if look.class_ is None else find_target(look.class_, capture.graph, capture.classes),
        method=look.method,
        step=look.step,
    )


def _check_step(step: int, capture: CaptureReader) -> None:
    """Refuse a training step that was not recorded."""
    training = capture.training
    if training is None or not len(training):
        raise UserError(
            f"--step: {capture.path.name} holds no recorded training; record one with nnviz3d.TrainingRecorder."
        )
    first, last = training.steps[0], training.steps[-1]
    if not first <= step <= last:
        raise UserError(
            f"--step: there is no step {step:,}; the training was recorded from step {first:,} to {last:,}."
        )
