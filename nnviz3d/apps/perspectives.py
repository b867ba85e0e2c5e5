"""The perspectives of a session: bundled scenes that show the same source, each with what it shows of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from glob import escape
from shlex import quote
from typing import Any

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.open_target import lacking
from nnviz3d.apps.samples import SampleList
from nnviz3d.apps.target import scene_named
from nnviz3d.data.capabilities import CAPABILITIES, uses_dataset, without_labels
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.capture_series import own_capture
from nnviz3d.data.model_sources import names_model
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import NOTHING_MORE, Insights
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec, default_scene
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views.points.embedding import EmbeddingView


@dataclass(frozen=True)
class Perspective:
    """One way to look at a network.

    Attributes
    ----------
    name
        Its name for programs.
    title, words
        Its name for users, and what it shows, in a few words.
    scene
        The bundled scene that shows it; empty for the scene that the session began with, if it is none of these.
    """

    name: str
    title: str
    words: str
    scene: str = ""


PERSPECTIVES = (
    Perspective("network", "Network", "The layers, and how they are connected", "structure"),
    Perspective("neurons", "Neurons", "Each neuron as a ball, its strongest weights as lines", "nodes"),
    Perspective("filters", "Filters", "The weights of a convolution, filter by filter", "kernels"),
    Perspective("activations", "Activations", "Each layer's numbers for the sample, from input to output", "digits"),
    Perspective("features", "Features", "Pictures that drive the channels of a layer most", "features"),
    Perspective("examples", "Examples", "The samples that activate each channel of a layer most", "examples"),
    Perspective("gradients", "Gradients", "Which numbers would raise the score of a class", "gradients"),
    Perspective("decisions", "Decisions", "Where in the sample the decision comes from", "decisions"),
    Perspective("attention", "Attention", "Which tokens attend to which", "attention"),
    Perspective("embedding", "Embedding", "All samples as points: alike for the network is near", "embedding"),
    Perspective("training", "Training", "How weights, activations and loss changed, step by step", "training"),
    Perspective("histograms", "Histograms", "How a layer's weights spread, step by step", "histograms"),
    Perspective("landscape", "Landscape", "The loss around the weights that were learned", "landscape"),
)
"""All perspectives, in the order of the bar."""
_NO_LOOK: Mapping[str, Any] = {"threshold": None, "normalize": None, "ranking": None}
"""The fields of a selection that each perspective keeps for itself, as they are at first: one threshold, scale or ranking
does not suit what another perspective shows."""
SIDE_BY_SIDE = Perspective("side_by_side", "Side by side", "Both models, one below the other, seen by one camera")
"""The perspective of a session that compares two models; its scene is the default one with the other network below."""


class State(StrEnum):
    """Whether a perspective can be shown."""

    HELD = "held"
    COMPUTABLE = "computable"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Availability:
    """Whether a perspective can be shown.

    Attributes
    ----------
    reason
        One sentence on why it cannot be shown, or on why the model has refused to compute it; else empty.
    """

    state: State
    reason: str = ""


class Perspectives:
    """Switches a frame among the perspectives. The selection stays, as far as it means something in the other scene.

    Parameters
    ----------
    frame
        The frame whose scene is replaced.
    samples
        The samples of the session, which are also the data set of what is computed from one.
    queries
        Queries to the model for what the capture does not hold.

    Attributes
    ----------
    all
        The perspectives, in order.
    current, first
        The one that is shown, and the one that the session began with.
    """

    def __init__(self, frame: FrameState, samples: SampleList, queries: ModelQueries) -> None:
        self._frame = frame
        self._samples = samples
        self._queries = queries
        first = frame.scene.spec
        self._specs = {one.name: scene_named(one.scene).elsewhere() for one in PERSPECTIVES}
        self.all: tuple[Perspective, ...] = PERSPECTIVES
        if frame.scene.context.counterpart is not None:
            after = 1 + [one.name for one in PERSPECTIVES].index("activations")
            self.all = (*PERSPECTIVES[:after], SIDE_BY_SIDE, *PERSPECTIVES[after:])
            self._specs[SIDE_BY_SIDE.name] = default_scene().with_view("counterpart")
        shown = next((one.name for one in self.all if _shows_the_same(self._specs[one.name], first)), None)
        if shown is None:
            shown = "scene"
            self.all = (Perspective(shown, "Scene", "The scene that was opened"), *self.all)
        shared = {"source": first.source, "metadata": first.metadata}
        self._specs = {
            **{name: spec.model_copy(update=shared) for name, spec in self._specs.items()},
            shown: first,
        }
        self.current = self.first = shown
        self._scenes: dict[str, Scene] = {}
        self._own_looks: dict[str, Mapping[str, Any]] = {}
        self._opened = frame.scene.context.opened
        self._failed: dict[str, tuple[CaptureReader, str]] = {}
        self._known: tuple[tuple[object, ...], Mapping[str, Availability]] = ((), {})

    def title(self, name: str) -> str:
        """Return the name of a perspective for users."""
        return next(one.title for one in self.all if one.name == name)

    def availability(self, name: str) -> Availability:
        """Return whether a perspective can be shown."""
        capture, sample = self._frame.scene.capture, self._frame.selection.sample
        # The reader itself is kept, not only its identity, which another one could get.
        key = (capture, sample, self.current, self._samples.dataset, tuple(self._queries.refused.items()))
        if len(self._known[0]) != len(key) or any(
            a is not b and a != b for a, b in zip(self._known[0], key, strict=True)
        ):
            self._known = (key, {one.name: self._found(one.name, capture) for one in self.all})
        return self._known[1][name]

    def lacks_of_sample(self, sample: int) -> Insights:
        """Return what the scene needs of a sample, if its capture lacks any of it; else nothing."""
        needs = self._frame.scene.spec.needs().of_samples
        return needs if lacking(own_capture(self._frame.scene.capture, sample), needs) else NOTHING_MORE

    def _found(self, name: str, capture: CaptureReader) -> Availability:
        spec = self._specs[name]
        if name == self.current:
            return Availability(State.HELD)
        never = "" if capture.training is not None else spec.lacks_training(f"The capture of {capture.graph.name}")
        never = never or next(filter(None, (view.cannot_show(capture) for view in spec.views)), "")
        needs = spec.needs()
        lacks = lacking(own_capture(capture, self._frame.selection.sample), needs.of_samples)
        lacks = lacks or _lacks_of_model(spec, capture)
        if not never and lacks:
            asked = needs.plus(self._dataset(needs))
            never = next(filter(None, (one.impossible(capture, asked) for one in CAPABILITIES)), "")
            if self._queries.possible:
                never = never or ("" if self._samples.has_labels else without_labels(needs))
                if not never:
                    return Availability(State.COMPUTABLE, self._queries.refused.get(name, ""))
            never = never or f"{lacks}{self._way(capture)}"
        failed = self._failed.get(name)
        if not never and failed is not None and failed[0] is capture:
            never = failed[1]
        return Availability(State.IMPOSSIBLE if never else State.HELD, never)

    def _way(self, capture: CaptureReader) -> str:
        """Return one sentence on how a click can compute what a capture lacks; nothing if no file holds its model."""
        if self._queries.can_ask:
            return " The file of this sample is not known; name it with --input, or choose another sample."
        model = capture.provenance.model
        command = f"nnviz3d serve {quote(str(capture.path))} --model {quote(model)}"
        return f" If you name its model, {command}, a click computes it." if names_model(model) else ""

    def _dataset(self, needs: Insights) -> Insights:
        """Return the data set of a request."""
        return Insights(dataset=self._samples.dataset) if uses_dataset(needs) else NOTHING_MORE

    def compute(self, name: str) -> None:
        """Ask the model for what a perspective needs; the queries say when it has arrived."""
        spec, capture = self._specs[name], self._frame.scene.capture
        needs = spec.needs()
        title = self.title(name)
        if _lacks_of_model(spec, capture):
            self._queries.run_for_model(needs.of_model.plus(self._dataset(needs)), name)
        else:
            self._queries.run_again(needs.of_samples, {}, f"Computing {title.lower()} for", perspective=name)

    def embed(self, layer: str, dataset: tuple[str, ...]) -> bool:
        """Ask the model to embed a layer's outputs for a data set; returns whether that is possible.

        They are shown in the perspective of embeddings when they arrive.
        """
        wanted = Insights(embeddings=(escape(layer),), dataset=dataset)
        capture = self._frame.scene.capture
        if not self._queries.possible:
            raise UserError(f"There is no model to run on the samples; {NAME_IT}.")
        never = next(filter(None, (one.impossible(capture, wanted) for one in CAPABILITIES)), "")
        if never:
            raise UserError(never)
        return self._queries.run_for_model(wanted, "embedding", {"embedding": layer})

    def show(self, name: str) -> None:
        """Show another perspective that the capture holds, with everything visible.

        Raises
        ------
        UserError
            If it cannot be shown; then nothing changes.
        """
        if name == self.current:
            return
        found = self.availability(name)
        if found.state is not State.HELD:
            raise UserError(found.reason or "The capture does not hold this.")
        frame = self._frame
        capture, grouping = frame.scene.capture, frame.scene.context.grouping
        if grouping is not None and grouping.everything:
            self._opened = frame.scene.context.opened
        try:
            scene = self._scene(name, capture)
            selection = replace(carried(frame.selection, scene), **self._own_looks.get(name, _NO_LOOK))
            scene.at(scene.duration, selection)
        except UserError as error:
            self._failed[name], self._known = (capture, _plain(error)), ((), {})
            raise UserError(_plain(error)) from None
        self._scenes[self.current] = frame.scene
        self._own_looks[self.current] = {field: getattr(frame.selection, field) for field in _NO_LOOK}
        self.current = name
        frame.show(scene, selection, scene.duration)
        frame.mark_drawn()

    def _scene(self, name: str, capture: CaptureReader) -> Scene:
        """Return the scene of a perspective for a capture, with the same groups of layers open."""
        context, found = self._frame.scene.context, self._scenes.get(name)
        if found is None:
            spec = self._specs[name].with_methods_of(attribution_methods(capture.stored))
            found = Scene.build(spec, capture, aspect=context.aspect, trajectory=context.trajectory)
        elif not _same(found.capture, capture):
            found = found.revised(capture, context.trajectory)
        grouping = found.context.grouping
        return found if grouping is None else found.with_open(self._opened & grouping.everything)


def carried(selection: Selection, scene: Scene) -> Selection:
    """Return a selection for another scene of the same source, without what belongs to the earlier one alone.

    Sample, layer, target, pick and training step stay, and so do colours. What the cells and channels show, their scale and
    their threshold are as the other scene says.
    """
    cloud, methods = scene.find(EmbeddingView), attribution_methods(scene.capture.stored)
    embeddings = () if cloud is None else cloud.names
    graph = {None, *(node.id for node in scene.context.graph)}
    return replace(
        selection,
        layer=scene.shown(selection.layer),
        pick=selection.pick if selection.pick is None or selection.pick.of_layer in graph else None,
        method=selection.method if selection.method in methods else None,
        embedding=selection.embedding if selection.embedding in embeddings else None,
        quantity=None,
        against=None,
        unfold=None,
        unfolded=1.0,
        channel_order=None,
        channel_pictures=None,
        **_NO_LOOK,
    )


def _lacks_of_model(spec: SceneSpec, capture: CaptureReader) -> str:
    """Return one sentence on what a scene needs of a model and a capture lacks; nothing if it lacks nothing."""
    lacks = lacking(capture, spec.needs().of_model)
    return lacks or next(filter(None, (view.lacks(capture) for view in spec.views)), "")


def _same(one: CaptureReader, other: CaptureReader) -> bool:
    """Whether two readers hold the same numbers; a scene of a training has a reader of its own."""
    recorded = one.training is not None and one.training is other.training
    return one is other or (recorded and one.committed == other.committed)


def _shows_the_same(spec: SceneSpec, other: SceneSpec) -> bool:
    """Whether two scenes have views of the same kinds, which show the same quantity and the same pictures."""
    shown = [{_content(view) for view in one.views} for one in (spec, other)]
    automatic = {_content(view) for view in other.views if view.training == "automatic"}
    return shown[0] == shown[1] - automatic


def _content(view: ViewSpec) -> tuple[str, object, object]:
    return view.kind, getattr(view, "quantity", None), getattr(view, "show", None)


def _plain(error: UserError) -> str:
    """Return an error's sentence without the place in a scene file, which the user of a perspective has not written."""
    text = str(error)
    place, colon, rest = text.partition(": ")
    is_place = isinstance(error, SceneError) and colon and place.replace("_", "").replace(".", "").isidentifier()
    if place.startswith("views[") or is_place:
        return rest or text
    return text
