"""Open a target: a ready capture, a capture beside more input, a model, a live model, or a training that goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnviz3d.apps.attached_model import as_captured, attached_samples, check_attached
from nnviz3d.apps.comparison import Compared, Other, subtracting_models
from nnviz3d.apps.kept_answers import KeptAnswers
from nnviz3d.apps.origin import NO_ORIGIN, SceneOrigin
from nnviz3d.apps.progress import embed_with_progress
from nnviz3d.apps.sample_listing import available, uncaptured
from nnviz3d.apps.sample_runner import OtherModel, SampleRunner
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.target import DEFAULT, ModelOptions, ResolvedTarget, resolve
from nnviz3d.apps.training_follower import TrainingFollower
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capabilities import CAPABILITIES, uses_dataset
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.files.paths import user_path
from nnviz3d.data.files.sample_columns import read_sample_table
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.graph import head_of
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import NOTHING_MORE, CaptureRequest, Insights, Invitation
from nnviz3d.data.source_names import locate, named_parts
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import CaptureError, SceneError, UserError
from nnviz3d.scene.look_check import scene_of
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import GroupsChoice, SceneSpec

NO_CHOICES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Opened:
    """A scene and the open capture that it shows.

    Attributes
    ----------
    sample
        Index of the sample that is shown first.
    samples
        The samples that can be chosen.
    runner
        Runs the model on samples that were not captured; `None` if that is not possible.
    follower
        Follows the training that still writes the capture; `None` if there is none.
    trajectory
        The points of a recorded training at each step, if the scene shows them.
    origin
        What a scene file says to open the same again.
    dataset
        The data set that the user has named, of which a session computes embeddings and the like; empty: its samples.
    """

    spec: SceneSpec
    capture: CaptureReader
    sample: int
    samples: tuple[Sample, ...] = ()
    runner: SampleRunner | None = None
    follower: TrainingFollower | None = None
    trajectory: EmbeddingTrajectory | None = None
    origin: SceneOrigin = NO_ORIGIN
    dataset: tuple[Sample, ...] = ()

    def scene(self, selection: Selection, *, aspect: float) -> Scene:
        """Lay out the scene for pictures with this aspect; the groups around the selected layer are open.

        Raises
        ------
        SceneError
            If the scene cannot show the capture or the selection.
        """
        return scene_of(self.spec, self.capture, selection, aspect=aspect, trajectory=self.trajectory)


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
    groups: GroupsChoice | None = None,
    metadata: Path | None = None,
    wanted: Insights = NOTHING_MORE,
    chosen: Mapping[str, Any] = NO_CHOICES,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
    drawn: bool = True,
    other: Compared | None = None,
    side_by_side: bool = False,
) -> Iterator[Opened]:
    """Open a target: a capture as it is; a model is first captured into a temporary folder.

    Parameters
    ----------
    run
        Makes a capture and shows its progress.
    sample
        Index of the sample to show; by default the scene's.
    whole
        Whether all of a model's samples are captured, not only the one that is shown.
    backward
        Whether a backward pass is shown after the forward pass, even if the scene has none.
    groups
        Which groups of layers are closed at first; by default the scene's choice.
    metadata
        A table about the samples of the data set, in place of the scene's own.
    wanted
        What the user wants in addition to the forward pass and the needs of the scene. If a ready capture lacks it, the
        scene's model is captured instead.
    chosen
        Choices of the user that win over the look of a scene file, by the names of its fields.
    worker
        Runs the model on further samples while the scene is shown; closed at the end.
    invitation
        The live model that made the capture.
    drawn
        Whether the numbers are drawn: a training that was recorded without probe samples can only be described.
    other
        The model or capture with which the target is compared.
    side_by_side
        Whether its network is drawn below that of the target, in place of the difference.

    Raises
    ------
    UserError
        If there is no such target or sample, or it cannot be captured, or what it is compared with has other layers.
    """
    found = resolve(target, scene, options)
    if chosen.get("interventions") and not any(view.fills_blocks for view in found.spec.views):
        raise UserError(
            "--mute, --scale and --freeze have no effect on this scene; choose one that shows the numbers of layers, such "
            "as digits."
        )
    found = replace(found, spec=_with_table(found.spec.looking(chosen, groups), metadata, alone=worker is None))
    rival = None if other is None else other.found(found, DEFAULT if target is None else target)
    if rival is not None:
        found = replace(found, spec=found.spec.with_view("counterpart")) if side_by_side else found
        found = replace(found, spec=subtracting_models(found.spec), against=rival.name)
        if rival.runs and found.attached:
            raise UserError(
                f"--against {rival.name} is a model; name the model in place of {target}, so that both run: nnviz3d serve "
                f"{found.model} --against {rival.name}."
            )
        # Two models are run in the same way, on the same samples.
        found = replace(found, capture=None, beside=()) if rival.runs else found
    wanted = wanted.plus(found.spec.look.needs)
    whole = whole or (found.spec.look.quantity == "difference" and rival is None)
    if backward:
        found, wanted = replace(found, spec=found.spec.with_view("backward")), wanted.plus(Insights(gradients=True))
    later: tuple[str, ...] = ()
    if worker is not None and found.model is not None:
        later = wanted.dataset
        for source in later:  # what does not exist is refused before any work
            for part in (named_parts(source) or {"": source}).values():
                locate(part)
        if later and not uses_dataset(found.spec.needs()):
            wanted = wanted.model_copy(update={"dataset": ()})
    insights = _needed(found, wanted)
    if wanted.dataset:
        found = replace(found, spec=found.spec.untitled())  # the title describes other points
    if "method" in chosen and worker is None and not found.spec.needs().attributions:
        raise UserError(
            "--method has no effect on this scene; choose one that shows attribution maps: --scene decisions."
        )
    ready = _ready_capture(found, wanted)
    with ExitStack() as stack:
        opening = _Opening(found, insights, sample, run, worker, stack, rival)
        if ready is None:
            yield _with_dataset(opening.model(whole=whole), later)
            return
        if scene is not None:
            opening.spec = opening.spec.with_methods_of(attribution_methods(ready.stored))
        elif opening.spec.source is None and ready.training is not None:
            opening.spec = opening.spec.with_view("training")  # the default scene, because the user named none
        shown = opening.shown_of(ready, drawn=drawn)
        own = ready.committed
        if found.beside:
            ready, shown = opening.with_more(ready)
        trajectory = embed_with_progress(ready) if opening.spec.embeds else None
        if invitation is not None and worker is not None:
            found_ready = opening.live_model(ready, shown, invitation, worker)
        elif found.model is not None and worker is not None:
            found_ready = opening.capture_of_model(ready, shown, found.model, worker)
        else:
            found_ready = opening.capture(ready, shown)
        if rival is not None and rival.capture is not None:
            both = rival.beside(found_ready.capture, open_capture(rival.capture), str(found.capture))
            found_ready = replace(found_ready, capture=both)
        origin = found_ready.origin
        if invitation is None:
            origin = SceneOrigin.of(replace(found, spec=opening.spec), own, ready=True)
        yield _with_dataset(replace(found_ready, trajectory=trajectory, origin=origin), later)


def _with_dataset(found: Opened, inputs: tuple[str, ...]) -> Opened:
    """Return an open target with the data set that its session uses later."""
    return replace(found, dataset=uncaptured(inputs, found.capture.graph.input_shapes))


def _with_table(spec: SceneSpec, metadata: Path | None, *, alone: bool) -> SceneSpec:
    """Return a scene with a table about the samples, which is read before any work.

    Parameters
    ----------
    alone
        Whether no other scene of the same source can be shown later.
    """
    if metadata is not None:
        spec = spec.model_copy(update={"metadata": str(user_path(metadata).absolute())})
    if spec.metadata is None:
        return spec
    if metadata is not None and alone and not spec.embeds:
        raise UserError("--metadata has no effect on this scene; choose one that shows a data set: --scene embedding.")
    read_sample_table(spec.metadata)
    return spec


def _ready_capture(found: ResolvedTarget, wanted: Insights) -> CaptureReader | None:
    """Open the target's capture; `None` if the target is a model, or its model has to be captured anew.

    Raises
    ------
    UserError
        If the capture lacks what is wanted, and the target has no model.
    """
    if found.capture is None:
        return None
    capture = open_capture(found.capture)
    problem = lacking(capture, wanted)
    if found.attached and found.model is not None:
        check_attached(capture, found.model, found.options)
    if problem and (found.model is None or found.attached):
        raise UserError(problem)
    return None if problem else capture


class _Opening:
    """Opens one resolved target: one method for each kind.

    Parameters
    ----------
    insights
        Everything that is needed beyond the forward pass.
    stack
        Closes at the end what the methods open.
    rival
        The model or capture with which the target is compared.

    Attributes
    ----------
    spec
        The scene.
    """

    def __init__(
        self,
        found: ResolvedTarget,
        insights: Insights,
        sample: int | None,
        run: Callable[[CaptureRequest], object],
        worker: Worker | None,
        stack: ExitStack,
        rival: Other | None = None,
    ) -> None:
        self._rival = rival
        self.spec = found.spec
        self._found = found
        self._insights = insights
        self._sample = sample
        self._run = run
        self._worker = worker
        self._stack = stack

    def shown_of(self, capture: CaptureReader, *, drawn: bool) -> int:
        """Return the index of the sample of a ready capture that is shown; 0 if the capture is only described."""
        if self._found.beside or (not drawn and not capture.committed and not self._sample):
            return 0
        return _sample_shown(self._sample, self._found, capture.committed, "capture")

    def with_more(self, capture: CaptureReader) -> tuple[CaptureReader, int]:
        """Run the model on the input that is shown beside a ready capture; returns both, and the sample to show."""
        if self._found.model is None:
            raise ValueError("`resolve` gave no model to run on more input.")
        folder = self._stack.enter_context(temporary_folder())
        request = _template(self._found.options.request(self._found.model, folder / "beside.zarr"), capture)
        self._run(request.model_copy(update={"inputs": self._found.beside}))
        more = open_capture(request.out)
        shown = capture.committed + _sample_shown(self._sample, self._found, more.committed, "input")
        return CaptureSeries.of(capture).plus(more), shown

    def capture(self, capture: CaptureReader, shown: int) -> Opened:
        """Open a ready capture without its model; follow its training if that goes on."""
        training = capture.training
        follower = None
        if self._worker is not None and training is not None and not training.finished and capture.path.is_dir():
            follower = self._stack.enter_context(TrainingFollower(capture))
        return Opened(self.spec, capture, shown, captured_samples(capture), follower=follower)

    def capture_of_model(self, capture: CaptureReader, shown: int, model: str, worker: Worker) -> Opened:
        """Open a ready capture whose model can be run on the scene's other samples."""
        request, folder = self._request(model)
        if self._found.attached:
            request = as_captured(request, capture, folder)
            samples = attached_samples(capture, self._found.options.inputs)
        else:
            samples = self._choices_beside(capture)
        runner = self._runner(request, capture, worker, folder, KeptAnswers.of(capture))
        return Opened(self.spec, capture, shown, samples, runner)

    def _choices_beside(self, capture: CaptureReader) -> tuple[Sample, ...]:
        """Return the samples of a ready capture, with their sources if these exist, and then the scene's others."""
        choices = uncaptured(self._found.choices)
        named = {one.name: one.source for one in (*available(self._found.options.inputs), *choices)}
        ready = tuple(replace(one, source=named.get(one.name)) for one in captured_samples(capture))
        names = {one.name for one in ready}
        return (*ready, *(one for one in choices if one.name not in names))

    def live_model(self, capture: CaptureReader, shown: int, invitation: Invitation, worker: Worker) -> Opened:
        """Open the capture of one sample of a live model, which can be run on its other samples."""
        listed = tuple(Sample(name, None, source) for name, source in invitation.samples)
        request = invitation.request.model_copy(update={"insights": self._insights})
        folder = self._stack.enter_context(temporary_folder())
        runner = self._runner(request, capture, worker, folder)
        return Opened(self.spec, capture, shown, _with_indices(listed, {invitation.position: 0}), runner)

    def model(self, *, whole: bool) -> Opened:
        """Capture a model, only for the sample that is shown unless `whole`."""
        found = self._found
        if found.model is None:
            raise ValueError("`resolve` gave neither a capture nor a model.")
        position = found.sample if self._sample is None else self._sample
        request, folder = self._request(found.model)
        first = request if whole else request.model_copy(update={"only": position})
        self._run(first)
        capture: CaptureReader = open_capture(request.out)
        if self._rival is not None:
            capture = self._rival.beside(capture, self._rival.captured(first, folder), found.model)
        # The capture tells which axis of an input array counts the samples.
        sources = uncaptured(found.options.inputs or ("random",), capture.graph.input_shapes)
        shown = _sample_shown(self._sample, found, capture.committed, "input") if whole else 0
        indices = {i: i for i in range(len(sources))} if whole else {position: 0}
        samples = _with_indices((*sources, *uncaptured(found.choices)), indices)
        runner = None if self._worker is None else self._runner(request, capture, self._worker, folder)
        origin = SceneOrigin.of(replace(found, spec=self.spec), len(sources), ready=False)
        return Opened(self.spec, capture, shown, samples, runner, origin=origin)

    def _request(self, model: str) -> tuple[CaptureRequest, Path]:
        """Return a request for a model, and the temporary folder that it writes to."""
        folder = self._stack.enter_context(temporary_folder())
        return self._found.options.request(model, folder / "run.zarr", self._insights), folder

    def _runner(
        self,
        request: CaptureRequest,
        capture: CaptureReader,
        worker: Worker,
        folder: Path,
        kept: KeptAnswers | None = None,
    ) -> SampleRunner:
        answers, rival = head_of(capture.graph) is not None, self._rival
        template = _template(request, capture)
        other = None
        if rival is not None and rival.runs and rival.worker is not None:
            other = OtherModel(rival.worker, rival.request(template, template.out))
        keep = None if kept is None else kept.keep
        runner = SampleRunner(worker, template, folder, answers=answers, other=other, keep=keep)
        self._stack.callback(runner.close)
        return runner


def _needed(found: ResolvedTarget, wanted: Insights) -> Insights:
    """Return what the user wants and the scene needs; without a data set, the samples of the input take its place."""
    needs = found.spec.needs()
    if wanted.dataset and not uses_dataset(needs):
        raise UserError("--dataset has no effect on this scene; choose one that shows a data set: --scene embedding.")
    dataset = wanted.dataset or found.options.inputs if uses_dataset(needs) else ()
    if wanted.attributions:  # maps that the user asks for replace the scene's own
        needs = needs.model_copy(update={"attributions": ()})
    return wanted.plus(needs).plus(Insights(dataset=dataset))


def lacking(capture: CaptureReader, wanted: Insights) -> str:
    """Return one sentence on what a capture lacks of a request; nothing if it lacks nothing."""
    missing = (capability.missing(capture, wanted) for capability in reversed(CAPABILITIES))
    return next(filter(None, missing), "")


def _with_indices(samples: tuple[Sample, ...], indices: Mapping[int, int]) -> tuple[Sample, ...]:
    """Return samples with their indices in the capture, given by position."""
    return tuple(replace(one, index=indices.get(i)) for i, one in enumerate(samples))


def _template(request: CaptureRequest, capture: CaptureReader) -> CaptureRequest:
    """Return a request for further samples, without the sample; they get the shapes of the first samples."""
    shapes = tuple(capture.activation_shape(name) for name in capture.graph.inputs if capture.has_activations(name))
    fits = len(shapes) == len(capture.graph.inputs)
    insights = request.insights.plus(_held(capture)).of_samples
    shapes = shapes if fits else ()
    return request.model_copy(update={"inputs": (), "shapes": shapes, "transient": True, "insights": insights})


def _held(capture: CaptureReader) -> Insights:
    """Return the request that gives further samples everything that a capture holds of its first one, targets aside."""
    return Insights(**{name: value for one in CAPABILITIES for name, value in one.held(capture).items()})


def _sample_shown(sample: int | None, found: ResolvedTarget, count: int, holder: str) -> int:
    """Return the index of the sample to show; an error names its origin, the scene or the command line."""
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
