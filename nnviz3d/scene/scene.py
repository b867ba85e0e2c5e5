"""A scene file built against a capture: heavy work once, then a pure function of time and selection."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.selectors import matching
from nnviz3d.data.training import StepRecords
from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import MARGINS, CameraPose, between, default_view, direction, fit
from nnviz3d.scene.context import SceneContext, head_of
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.headline import headline
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.primitives import DrawList, Panel, Primitive, TextRow
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.spec import Keyframe, SceneSpec
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import Pickable, View
from nnviz3d.scene.views import build_view
from nnviz3d.scene.views.blocks import BlocksView
from nnviz3d.scene.views.channels import ChannelsView
from nnviz3d.scene.views.health import HealthView
from nnviz3d.scene.views.legends import NAMED_CELLS
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.training import place_of

_NAMES = 0.085
"""Width of a class's name and score as a share of the scene's."""
_FLATTER, _NARROWER = (1.2, 1.4, 2, 2.8, 4, 8, 16), (0.85, 0.72, 0.62, 0.53, 0.45, 0.38)
"""How much flatter a network may be laid out where something stands above it, or narrower where it stands on a side."""
_BELOW_CURVE = replace(MARGINS, top=0.2)
"""What is left free where a training's curve stands in a corner."""
_MOMENTS = 4
"""Steps of a training that are kept ready to be drawn, besides the last."""
_AS_WIDE = 0.94
"""Of layouts that fill a picture's width nearly alike, the least flat is taken."""


@runtime_checkable
class OwnPlace(Protocol):
    """A view that shows something else than the network, and fills the picture in its place.

    Attributes
    ----------
    extent
        ``(n, 3)`` world coordinates that a picture has to hold.
    angles
        Azimuth and elevation to look from, in degrees.
    """

    extent: NDArray[np.float64]
    angles: tuple[float, float]

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to hold, ``(n, 3)``; none if it is not shown."""
        ...


@runtime_checkable
class Beside(Protocol):
    """A view that draws beside the network too: the network is laid out so that both fill the picture.

    Any view may have this attribute; the scene asks for nothing else, and knows none of these views by name.

    Attributes
    ----------
    extent_beside
        ``(n, 3)`` world coordinates that a picture of everything has to hold besides the network; none if it fits there.
    """

    extent_beside: NDArray[np.float64]


class Scene:
    """What a scene file shows of a capture. Make one with `Scene.build`.

    Attributes
    ----------
    context
        The capture and its layout.
    duration
        Seconds until nothing changes any more.
    channels
        What unfolds layers.
    cloud
        What shows embeddings, if the scene does.
    """

    def __init__(self, spec: SceneSpec, context: SceneContext) -> None:
        self.spec = spec
        self.context = context
        self._moments: dict[StepRecords, Scene] = {}
        self._views = [_build(number, spec, context) for number in range(len(spec.views))]
        self._own = next((view for view in self._views if isinstance(view, OwnPlace)), None)
        for view in self._views:
            if self._own is not None and isinstance(view, HealthView):
                view.around = self._own.around
        self.cloud = next((view for view in self._views if isinstance(view, EmbeddingView)), None)
        unfolding = (view for view in self._views if isinstance(view, ChannelsView))
        self.channels = next(unfolding, None) or ChannelsView(None, context, spec)
        self._beside = [
            view.extent_beside for view in self._views if isinstance(view, Beside) and len(view.extent_beside)
        ]
        kinds = {str(view.kind): built for view, built in zip(spec.views, self._views, strict=True)}
        kinds["channels"] = self.channels
        self._pickable: dict[str, Pickable] = {kind: view for kind, view in kinds.items() if isinstance(view, Pickable)}
        blocks = [] if self._own is not None else [BlocksView(context, tuple(self._pickable.values()))]
        self._describing: list[Pickable] = [*self._pickable.values(), *blocks]
        self._marks: tuple[Selection, tuple[Primitive, ...]] = (Selection(), ())
        ends = [view.duration for view in self._views] + [frame.at for frame in spec.camera.keyframes]
        self.duration = max(ends, default=0.0)
        for number, frame in enumerate(spec.camera.keyframes):
            self._points(frame.target, f"camera.keyframes[{number}].target")

    @staticmethod
    def build(spec: SceneSpec, capture: CaptureReader, *, aspect: float = 16 / 9) -> Scene:
        """Lay out and prepare everything that does not depend on time.

        Parameters
        ----------
        spec, capture
            What to show, of what.
        aspect
            Width over height of the picture that the layout should fill.

        Raises
        ------
        SceneError
            If the scene names layers that the capture lacks.
        """
        if "activations" in spec.requires() and not any(capture.has_activations(node.id) for node in capture.graph):
            raise SceneError(
                f"{capture.path.name} holds no activations, which the scene shows; capture the model again."
            )
        capture = at_step(capture)
        named = f"this capture of {capture.graph.name}"
        spec = spec.without_training(named) if capture.training is None else spec.with_health()
        headroom = max((view.headroom for view in spec.views), default=0.0)
        scene = Scene(spec, SceneContext.build(capture, aspect=aspect, headroom=headroom))
        if not scene._beside:
            return scene
        # What stands beside the network needs room too, so the network itself has to fill a picture of another aspect.
        highest = max(row.top for row in scene.context.plan.rows)
        above = min(points[:, 1].min() for points in scene._beside) >= highest
        contexts = (
            SceneContext.build(capture, aspect=aspect, headroom=headroom, flatter=share)
            for share in (_FLATTER if above else _NARROWER)
        )
        others = [scene, *(found for found in (Scene(spec, context) for context in contexts) if found._beside)]
        shares = [found._width(aspect) for found in others]
        # Of those that are as wide the narrowest network, too, is the least flat one.
        ordered = zip(others, shares, strict=True) if above else zip(others[::-1], shares[::-1], strict=True)
        return next(found for found, share in ordered if share >= _AS_WIDE * max(shares))

    def revised(self, capture: CaptureReader) -> Scene:
        """Return this scene of other numbers, such as a series that has become longer: all blocks stand where they did.

        Parameters
        ----------
        capture
            Of the same model, each layer of the shape that it has here.
        """
        return Scene(self.spec, self.context.revised(at_step(capture)))

    def step(self, t: float, selection: Selection) -> int | None:
        """Return the recorded step of a training that is shown: the chosen one, or the clock's; `None` without one."""
        training = self.context.capture.training
        place = None if training is None else place_of(training, self.timeline, t, selection)
        return None if training is None or place is None else int(training.steps[place])

    def as_of(self, t: float, selection: Selection) -> Scene:
        """Return this scene with the numbers of the training's step that is shown; itself, if they are its own."""
        step, capture = self.step(t, selection), self.context.capture
        shown = None if step is None or capture.training is None else capture.training.records_at(step)
        if shown is None or shown == capture.step_records:
            return self
        if shown not in self._moments:
            for oldest in [*self._moments][: max(len(self._moments) - _MOMENTS + 1, 0)]:
                del self._moments[oldest]
            self._moments[shown] = Scene(self.spec, self.context.revised(at_step(capture, step)))
        return self._moments[shown]

    @property
    def timeline(self) -> Timeline:
        """The moments of the forward pass, the backward pass and the training."""
        return Timeline.of(self.spec, self.context.ranks)

    def at(self, t: float, selection: Selection | None = None) -> DrawList:
        """Return the picture at `t` seconds; arrays that did not change are the same objects as before."""
        selection = selection or Selection()
        return self.as_of(t, selection)._at(t, selection)

    def _at(self, t: float, selection: Selection) -> DrawList:
        # What is picked is marked by one view alone; for all others nothing changes.
        unmarked = replace(selection, pick=None)
        found: list[Primitive] = []
        for view in self._views:
            if view is not self.channels:
                found.extend(view.at(t, unmarked))
        if self._own is None:
            found = [*self.channels.recede(found, t, unmarked), *self.channels.at(t, unmarked)]
        found.extend(self._marked(t, selection))
        return DrawList(tuple(self._titled(found, selection.sample)))

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return what a hit means; `None` if it means nothing.

        Parameters
        ----------
        hit
            On a primitive of this scene. If a training is shown, ask the scene that `as_of` returns.
        """
        source = hit.primitive.source
        view = None if source is None else self._pickable.get(source.view)
        return None if view is None else view.pick(hit, selection)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the description of a pick for the selected sample and target; `None` if the sample lacks it."""
        found = (view.describe(pick, selection) for view in self._describing)
        return next((facts for facts in found if facts is not None), None)

    def _marked(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the marks of the pick; where blocks are shown, the same objects until the pick or its numbers change."""
        pick = selection.pick
        if pick is None:
            return ()
        # The words and marks depend on nothing else.
        key = Selection(
            selection.sample,
            selection.layer,
            against=selection.against,
            target=selection.target,
            statistic=selection.statistic,
            pick=pick,
        )
        if self._own is not None or self._marks[0] != key:
            found = (view.mark(pick, t, selection) for view in self._describing)
            self._marks = (key, next((marks for marks in found if marks), ()))
        return self._marks[1]

    def title(self, sample: int) -> str:
        """Return the heading above the picture: the scene's title, or the model's name if the title is not true."""
        capture = self.context.capture
        name = capture.sample_name(sample) if sample < capture.committed else ""
        return headline(self.spec, self.context.graph.name, name)

    def _titled(self, found: Iterable[Primitive], sample: int) -> Iterable[Primitive]:
        heading = TextRow(self.title(sample), "title")
        titled = False
        for primitive in found:
            if isinstance(primitive, Panel) and primitive.name == "title":
                titled = True
                yield Panel("title", "top-left", (heading, *primitive.rows))
            else:
                yield primitive
        if not titled:
            yield Panel("title", "top-left", (heading, TextRow(self.context.capture.provenance.model, "quiet")))

    def camera(self, t: float, *, aspect: float) -> CameraPose:
        """Return the pose at `t` seconds for a picture of this aspect.

        Between keyframes the eye's direction, its distance and its target move together, eased at both ends.
        """
        frames = self.spec.camera.keyframes
        if not frames:
            return self.overview(aspect=aspect)
        later = next((i for i, frame in enumerate(frames) if frame.at > t), len(frames))
        if later in (0, len(frames)):
            return self._pose(frames[min(later, len(frames) - 1)], aspect)
        before, after = frames[later - 1], frames[later]
        share = (t - before.at) / (after.at - before.at)
        return between(self._pose(before, aspect), self._pose(after, aspect), share * share * (3 - 2 * share))

    def overview(self, *, aspect: float) -> CameraPose:
        """Return the pose that fills a picture of this aspect with everything, whatever the keyframes say."""
        azimuth, elevation = default_view(len(self.context.plan.rows)) if self._own is None else self._own.angles
        camera = self.spec.camera
        still = Keyframe(
            azimuth=azimuth if camera.azimuth is None else camera.azimuth,
            elevation=elevation if camera.elevation is None else camera.elevation,
        )
        return self._pose(still, aspect)

    def _width(self, aspect: float) -> float:
        """Say how wide the network is seen when everything is; in no unit, to be compared."""
        pose = self.overview(aspect=aspect)
        left, right = self.context.plan.bounds_x
        return (right - left) / math.dist(pose.position, pose.target)

    @property
    def blocks(self) -> bool:
        """Whether the network's blocks are shown, and not something else in their place."""
        return self._own is None

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to hold, ``(n, 3)``; none if it is not shown."""
        return self.context.plan.corners([layer]) if self._own is None else self._own.around(layer)

    def extent(self) -> NDArray[np.float64]:
        """Return the points that a picture of everything has to hold, ``(n, 3)`` world coordinates."""
        return self._points("all", "camera")

    def _pose(self, frame: Keyframe, aspect: float) -> CameraPose:
        points = self._points(frame.target, "camera")
        if frame.distance is None:
            margins = MARGINS if self.timeline.training is None else _BELOW_CURVE
            return fit(points, frame.azimuth, frame.elevation, aspect=aspect, margins=margins)
        low, high = points.min(axis=0), points.max(axis=0)
        center = (low + high) / 2
        eye = center + direction(frame.azimuth, frame.elevation) * float(np.linalg.norm(high - low)) * frame.distance
        return CameraPose(tuple(map(float, eye)), tuple(map(float, center)))  # type: ignore[arg-type]

    def _points(self, target: str, where: str) -> NDArray[np.float64]:
        plan = self.context.plan
        if target == "all" and self._own is not None:
            return self._own.extent
        if target == "all":
            return np.concatenate([plan.corners(), self._room_for_scores(), *self._beside])
        node = target.removeprefix("layer:")
        if node != target:
            node = next(iter(matching(node, self.context.graph)), node)
        if node == target or node not in plan.placements:
            names = ", ".join(plan.placements)
            raise SceneError(f"{where}: expected 'all' or 'layer:NODE', got {target!r}; nodes are {names}.")
        points = self.around(node)
        if not len(points):
            raise SceneError(f"{where}: {node!r} is not visible in this scene; use 'all' instead of {target!r}.")
        return points

    def _room_for_scores(self) -> NDArray[np.float64]:
        """Return points beside the class scores, where their names stand at a constant size on the screen, if they do."""
        plan, head = self.context.plan, head_of(self.context.graph)
        named = head is not None and plan.placements[head].grid.count <= NAMED_CELLS
        if head is None or not named or "activations" not in self.spec.requires():
            return np.empty((0, 3))
        low, high = plan.bounds_x
        beside = plan.corners([head])
        beside[:, 0] += _NAMES * (high - low)
        return beside


def _build(number: int, spec: SceneSpec, context: SceneContext) -> View:
    try:
        return build_view(spec.views[number], context, spec)
    except SceneError as error:
        raise SceneError(f"views[{number}].{error}") from None
