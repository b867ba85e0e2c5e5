"""Opens what is to be looked at: a capture as it is, a model by capturing what is looked at first."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nnviz3d.apps.live import Live
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.source import ModelOptions, Resolved, resolve
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.graph import Shape
from nnviz3d.data.request import CaptureRequest, Invitation
from nnviz3d.data.sources import expand
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.spec import SceneSpec


@dataclass(frozen=True)
class Opened:
    """A scene, an open capture, which of its samples is shown first, what else can be chosen, and who runs the model."""

    spec: SceneSpec
    capture: Capture
    sample: int
    samples: tuple[Sample, ...] = ()
    live: Live | None = None


@contextmanager
def opened(
    target: str | None,
    scene: str | None,
    options: ModelOptions,
    run: Callable[[CaptureRequest], object],
    *,
    sample: int | None = None,
    whole: bool = False,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
) -> Iterator[Opened]:
    """Open what a target shows; a model is first captured into a temporary folder.

    Parameters
    ----------
    run
        Makes a capture, with whatever progress it shows.
    sample
        Which of the samples is wanted; by default the scene's.
    whole
        Whether all of a model's samples are captured, not only the wanted one.
    worker
        Who runs the model on further samples while people look; closed at the end.
    invitation
        What the program that made a capture says of its live model.

    Raises
    ------
    UserError
        If there is no such target or sample, or it cannot be captured.
    """
    found = resolve(target, scene, options)
    if invitation is not None:
        found = replace(found, model=invitation.request.model)
    with ExitStack() as stack:
        if found.capture is not None:
            capture = open_capture(found.capture)
            shown = _wanted(sample, found, capture.committed, "capture")
            if found.model is None or worker is None:
                yield Opened(found.spec, capture, shown, captured_samples(capture))
                return
        elif found.model is None:
            raise ValueError("`resolve` gave neither a capture nor a model.")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nnviz3d-", ignore_cleanup_errors=True)))
        request = found.options.request(found.model, folder / "run.zarr")
        if invitation is not None:
            request = invitation.request
            listed = tuple(Sample(name, None, source) for name, source in invitation.samples)
            samples = _placed(listed, {invitation.position: 0})
        elif found.capture is not None:
            ready = captured_samples(capture)
            names = {one.name for one in ready}
            samples = (*ready, *(one for one in _listed(found.choices) if one.name not in names))
        else:
            wanted = found.sample if sample is None else sample
            run(request if whole else request.model_copy(update={"only": wanted}))
            capture = open_capture(request.out)
            # Which of an array's axes counts samples is known only now.
            shapes = {name: capture.graph.node(name).shape for name in capture.graph.inputs}
            sources = _listed(found.options.inputs or ("random",), shapes)
            shown = _wanted(sample, found, capture.committed, "input") if whole else 0
            places = {i: i for i in range(len(sources))} if whole else {wanted: 0}
            samples = _placed((*sources, *_listed(found.choices)), places)
        live = None
        if worker is not None:
            live = Live(worker, _template(request, capture), folder)
            stack.callback(live.close)
        yield Opened(found.spec, capture, shown, samples, live)


def _listed(inputs: tuple[str, ...], shapes: Mapping[str, Shape] | None = None) -> tuple[Sample, ...]:
    """List the samples that inputs hold; none of them has been captured."""
    return tuple(Sample(one.name, None, one.source) for one in expand(inputs, shapes=shapes)) if inputs else ()


def _placed(samples: tuple[Sample, ...], places: Mapping[int, int]) -> tuple[Sample, ...]:
    """Say of some samples, by position, which of the capture's they are."""
    return tuple(replace(one, index=places.get(i)) for i, one in enumerate(samples))


def _template(request: CaptureRequest, capture: Capture) -> CaptureRequest:
    """Return the request of which others differ only in their sample, which is brought to the shapes of the first."""
    shapes = tuple(capture.activation_shape(name) for name in capture.graph.inputs if capture.has_activations(name))
    fits = len(shapes) == len(capture.graph.inputs)
    return request.model_copy(update={"inputs": (), "shapes": shapes if fits else (), "transient": True})


def _wanted(sample: int | None, found: Resolved, count: int, holder: str) -> int:
    """Return which sample is shown; a scene's mistake is told as the scene's, not the command line's."""
    holds = f"{holder} holds {count} sample{'s' * (count != 1)}"
    if sample is None and found.sample >= count:
        raise SceneError(f"The scene's source.sample is {found.sample}, but its {holds}, counted from 0.")
    if sample is not None and not 0 <= sample < count:
        raise UserError(f"--sample: there is no sample {sample}; the {holds}, from 0.")
    return found.sample if sample is None else sample
