"""Opens what is to be looked at: a capture as it is, a model by capturing what is looked at first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from nnviz3d.apps.progress import place_with_progress
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.target import ModelOptions, Resolved, resolve
from nnviz3d.apps.temporary_folder import temporary_folder
from nnviz3d.apps.training_follower import TrainingFollower
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.graph import Shape
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import CaptureRequest, Insights, Invitation
from nnviz3d.data.sample_sources import expand
from nnviz3d.data.target_words import find_target
from nnviz3d.errors import CaptureError, ModelError, SampleError, SceneError, UserError
from nnviz3d.scene.spec import SceneSpec

NOTHING_MORE = Insights()


@dataclass(frozen=True)
class Opened:
    """A scene, an open capture, which of its samples is shown first, what else can be chosen, and who runs the model.

    Where the capture is still being written by a training, `following` looks how that goes on.
    """

    spec: SceneSpec
    capture: CaptureReader
    sample: int
    samples: tuple[Sample, ...] = ()
    runner: SampleRunner | None = None
    following: TrainingFollower | None = None


@contextmanager
def opened(
    target: str | None,
    scene: str | None,
    options: ModelOptions,
    run: Callable[[CaptureRequest], object],
    *,
    sample: int | None = None,
    whole: bool = False,
    backward: bool = False,
    wanted: Insights = NOTHING_MORE,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
    drawn: bool = True,
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
    backward
        Whether a backward pass is shown after the forward pass, also where the scene has none.
    wanted
        What is to be seen beyond one forward pass and what the scene itself needs. A ready capture that lacks it gives
        way to its model.
    worker
        Who runs the model on further samples while people look; closed at the end.
    invitation
        What the program that made a capture says of its live model.
    drawn
        Whether anything is drawn: a training that was recorded without probe samples can only be described.

    Raises
    ------
    UserError
        If there is no such target or sample, or it cannot be captured.
    """
    found = resolve(target, scene, options)
    if backward:
        found, wanted = replace(found, spec=found.spec.with_backward()), wanted.plus(Insights(gradients=True))
    if invitation is not None:
        found = replace(found, model=invitation.request.model)
    insights = _needed(found, wanted)
    if wanted.dataset:
        found = replace(found, spec=found.spec.untitled())  # the title describes other points
    with ExitStack() as stack:
        if found.capture is not None and (problem := lacking(open_capture(found.capture), wanted)):
            if found.model is None:
                raise UserError(problem)
            found = replace(found, capture=None)
        if found.capture is not None:
            capture: CaptureReader = open_capture(found.capture)
            if scene is not None:
                found = replace(found, spec=found.spec.with_methods_of(capture.methods))
            if found.beside:
                capture, shown = _with_more(found, capture, sample, run, stack)
            else:
                described = not drawn and not capture.committed and not sample
                shown = 0 if described else _wanted(sample, found, capture.committed, "capture")
            if scene is None and found.spec.source is None and capture.training is not None:
                found = replace(found, spec=found.spec.with_training())  # nobody said how to look at it
            if found.spec.embeds:
                place_with_progress(capture)
            if found.model is None or worker is None:
                goes_on = worker is not None and capture.training is not None and not capture.training.finished
                following = (
                    stack.enter_context(TrainingFollower(capture)) if goes_on and capture.path.is_dir() else None
                )
                yield Opened(found.spec, capture, shown, captured_samples(capture), following=following)
                return
        elif found.model is None:
            raise ValueError("`resolve` gave neither a capture nor a model.")
        folder = stack.enter_context(temporary_folder())
        request = found.options.wanting(insights).request(found.model, folder / "run.zarr")
        if invitation is not None:
            request = invitation.request.model_copy(update={"insights": insights})
            listed = tuple(Sample(name, None, source) for name, source in invitation.samples)
            samples = _placed(listed, {invitation.position: 0})
        elif found.capture is not None:
            choices = _listed(found.choices)
            named = {one.name: one.source for one in (*_there(found.options.inputs), *choices)}
            ready = tuple(replace(one, source=named.get(one.name)) for one in captured_samples(capture))
            names = {one.name for one in ready}
            samples = (*ready, *(one for one in choices if one.name not in names))
        else:
            position = found.sample if sample is None else sample
            run(request if whole else request.model_copy(update={"only": position}))
            capture = open_capture(request.out)
            # Which of an array's axes counts samples is known only now.
            shapes = {name: capture.graph.node(name).shape for name in capture.graph.inputs}
            sources = _listed(found.options.inputs or ("random",), shapes)
            shown = _wanted(sample, found, capture.committed, "input") if whole else 0
            places = {i: i for i in range(len(sources))} if whole else {position: 0}
            samples = _placed((*sources, *_listed(found.choices)), places)
        runner = None
        if worker is not None:
            runner = SampleRunner(worker, _template(request, capture), folder)
            stack.callback(runner.close)
        yield Opened(found.spec, capture, shown, samples, runner)


def _needed(found: Resolved, wanted: Insights) -> Insights:
    """Return all that is needed to see what is wanted; a scene of points that names no data set is made of its input."""
    if wanted.dataset and not found.spec.embeds:
        raise UserError(
            "--dataset is what a scene of points is made of, and this one shows none; add --scene embedding."
        )
    dataset = wanted.dataset or found.options.inputs if found.spec.embeds else ()
    needs = found.spec.needs()
    if wanted.attributions:  # maps that the user asks for replace the scene's own
        needs = needs.model_copy(update={"attributions": ()})
    return wanted.plus(needs).plus(Insights(dataset=dataset))


def _with_more(
    found: Resolved,
    capture: CaptureReader,
    sample: int | None,
    run: Callable[[CaptureRequest], object],
    stack: ExitStack,
) -> tuple[CaptureReader, int]:
    """Run the model on what is to be seen beside a ready capture; returns both together, and which sample is shown."""
    if found.model is None:
        raise ValueError("`resolve` gave no model to run on more input.")
    folder = stack.enter_context(temporary_folder())
    request = _template(found.options.request(found.model, folder / "beside.zarr"), capture)
    run(request.model_copy(update={"inputs": found.beside}))
    more = open_capture(request.out)
    return CaptureSeries.of(capture).plus(more), capture.committed + _wanted(sample, found, more.committed, "input")


def lacking(capture: CaptureReader, wanted: Insights) -> str:
    """Say in one sentence what a capture does not hold of what is wanted; nothing, if it holds all."""
    name = capture.path.name
    if wanted.dataset:
        return f"{name} is a ready capture; capture the model anew with --dataset, or name the model itself."
    if wanted.gradients and not capture.has_gradients():
        return f"{name} holds no gradients; capture the model with --gradients."
    missing = [method for method in wanted.attributions if method not in capture.methods]
    if missing:
        known = f" (it holds {', '.join(capture.methods)})" if capture.methods else ""
        return f"{name} holds no map by {missing[0]}{known}; capture the model with --attribution {missing[0]}."
    for word in wanted.targets:
        try:
            explained = explains(capture, word)
        except ModelError as error:
            return str(error)
        if not explained:
            return f"{name} does not explain {word!r}; capture the model with --class {word}."
    return ""


def explains(capture: CaptureReader, word: str) -> bool:
    """Whether a capture explains any of its samples by the target that a word names.

    Raises
    ------
    ModelError
        If the model has no such target.
    """
    target = find_target(word, capture.graph, capture.classes)
    known = {found.target for sample in range(capture.committed) for found in capture.explanations(sample).targets}
    return bool(known) if target is None else target in known


def _listed(inputs: tuple[str, ...], shapes: Mapping[str, Shape] | None = None) -> tuple[Sample, ...]:
    """List the samples that inputs hold; none of them has been captured."""
    return tuple(Sample(one.name, None, one.source) for one in expand(inputs, shapes=shapes)) if inputs else ()


def _there(inputs: tuple[str, ...]) -> tuple[Sample, ...]:
    """List the samples that inputs hold; none, if they are not there any more: a ready capture does without."""
    try:
        return _listed(inputs)
    except SampleError:
        return ()


def _placed(samples: tuple[Sample, ...], places: Mapping[int, int]) -> tuple[Sample, ...]:
    """Say of some samples, by position, which of the capture's they are."""
    return tuple(replace(one, index=places.get(i)) for i, one in enumerate(samples))


def _template(request: CaptureRequest, capture: CaptureReader) -> CaptureRequest:
    """Return the request of which others differ only in their sample, which is brought to the shapes of the first."""
    shapes = tuple(capture.activation_shape(name) for name in capture.graph.inputs if capture.has_activations(name))
    fits = len(shapes) == len(capture.graph.inputs)
    insights = request.insights.plus(_held(capture)).of_samples
    shapes = shapes if fits else ()
    return request.model_copy(update={"inputs": (), "shapes": shapes, "transient": True, "insights": insights})


def _held(capture: CaptureReader) -> Insights:
    """Return what a capture tells of its first sample, the classes aside, so that further samples tell the same."""
    found = capture.explanations(0)
    layers = {layer for method in capture.methods for layer in found.attribution_layers(method)}
    return Insights(
        gradients=capture.has_gradients(),
        attributions=capture.methods,
        layers=tuple(sorted(layers - set(capture.graph.inputs))),
        attention=any(capture.has_attention(node.id) for node in capture.graph),
    )


def _wanted(sample: int | None, found: Resolved, count: int, holder: str) -> int:
    """Return which sample is shown; a scene's mistake is told as the scene's, not the command line's."""
    if not count:
        raise CaptureError(
            "The training was recorded without probe samples, so there are no numbers to be drawn; nnviz3d inspect prints "
            "its layers and faults. TrainingRecorder(..., probes=(x, y)) records some, if the model can be traced."
        )
    holds = f"{holder} holds {count} sample{'s' * (count != 1)}"
    if sample is None and found.sample >= count:
        raise SceneError(f"The scene's source.sample is {found.sample}, but its {holds}, counted from 0.")
    if sample is not None and not 0 <= sample < count:
        raise UserError(f"--sample: there is no sample {sample}; the {holds}, from 0.")
    return found.sample if sample is None else sample
