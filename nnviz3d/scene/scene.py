"""A scene built from a scene file and a capture: prepared once, then a pure function of time and selection."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.files.sample_columns import read_sample_table
from nnviz3d.data.grouped_capture import with_groups, without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training import StepRecords
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import CameraPose, Margins
from nnviz3d.scene.camera_poses import CameraPoses
from nnviz3d.scene.context import SceneContext, Setting
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.folding import grouping_of, opened_at_first, own_layers
from nnviz3d.scene.heading import Heading
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.memo import Memo
from nnviz3d.scene.primitives import Callout, DrawList, Panel, Primitive
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.spec import Keyframe, SceneSpec
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import (
    Beside,
    FillsBlocks,
    Foreground,
    Labelling,
    MarksLayers,
    OwnPlace,
    Pickable,
    RepeatsCells,
    View,
)
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views import BY_KIND
from nnviz3d.scene.views.blocks import BlocksView

_FLATTER, _NARROWER = (1.2, 1.4, 2, 2.8, 4, 8, 16), (0.85, 0.72, 0.62, 0.53, 0.45, 0.38)
"""Factors of the network's aspect that are tried: flatter if a view draws above it, narrower if a view draws beside it."""
_MOMENTS = 4
"""Number of scenes of earlier training steps that are kept."""
_AS_WIDE = 0.94
"""Layouts of at least this share of the greatest width count as equally wide; the least flat one of them is used."""


V = TypeVar("V", bound=View)


class Scene:
    """The picture of a capture by a scene file. Make one with `Scene.build`.

    Attributes
    ----------
    context
        The capture and its layout.
    duration
        Seconds after which nothing changes.
    """

    def __init__(self, spec: SceneSpec, context: SceneContext) -> None:
        self.spec = spec
        self.context = context
        self._moments: dict[StepRecords, Scene] = {}
        self.timeline = Timeline.of(spec.views, context.ranks)
        named = {view.kind: _build(number, view, self) for number, view in enumerate(spec.views)}
        always = {
            kind: view.build(None, context, self.timeline)
            for kind, view in BY_KIND.items()
            if view.always and kind not in named
        }
        by_kind = named | always
        self._views = tuple(by_kind.values())
        self._own = next((view for view in self._views if isinstance(view, OwnPlace)), None)
        self._foreground = [view for view in self._views if isinstance(view, Foreground)]
        for view in self._views:
            if self._own is not None and isinstance(view, MarksLayers):
                view.points_of = self._own.around
            if isinstance(view, RepeatsCells):
                view.blocks = next((found for found in self._views if isinstance(found, FillsBlocks)), None)
        self._beside = [
            view.extent_beside for view in self._views if isinstance(view, Beside) and len(view.extent_beside)
        ]
        self._labelled = [view.label_extent for view in self._views if isinstance(view, Labelling)]
        self._by_kind: dict[str, View] = by_kind
        blocks = [] if self._own is not None else [BlocksView(context, self._views)]
        self._describing: list[Pickable] = [*self._views, *blocks]
        self._marks: tuple[object, tuple[Primitive, ...]] = (None, ())
        ends = [view.duration for view in self._views] + [frame.at for frame in spec.camera.keyframes]
        self.duration = max(ends, default=0.0)
        self._heading = Heading(spec, context)
        self._margins: dict[float, Margins] = {}
        self.poses.check()

    @staticmethod
    def build(
        spec: SceneSpec,
        capture: CaptureReader,
        *,
        aspect: float = 16 / 9,
        trajectory: EmbeddingTrajectory | None = None,
        opened: frozenset[str] | None = None,
    ) -> Scene:
        """Lay out and prepare everything that does not depend on time.

        Parameters
        ----------
        spec, capture
            The scene file and the numbers to show.
        aspect
            Width over height of the picture that the layout should fill, unless the scene file says another one.
        trajectory
            The points of a recorded training at each step; by default those that the capture holds.
        opened
            The groups of layers that are open; by default the scene file's choice.

        Raises
        ------
        SceneError
            If the scene names layers that the capture lacks.
        SampleError
            If the table about the samples cannot be read, or has another number of lines than an embedding has samples.
        """
        if "activations" in spec.requires() and not any(capture.has_activations(node.id) for node in capture.graph):
            raise SceneError(
                f"{capture.path.name} holds no activations, which the scene shows; capture the model again."
            )
        aspect = spec.layout.aspect or aspect
        capture = at_step(capture)
        named = f"this capture of {capture.graph.name}"
        spec = spec.without_training(named) if capture.training is None else spec.with_automatic()
        grouping = grouping_of(spec, capture)
        opened = opened_at_first(spec, grouping) if opened is None else opened & grouping.everything
        shown = with_groups(capture, grouping, opened)
        headroom = max((view.headroom for view in spec.views), default=0.0)
        setting = Setting(
            filled=any(view.fills_blocks for view in spec.views),
            explains=any(view.explains for view in spec.views),
            azimuth=spec.camera.azimuth,
            elevation=spec.camera.elevation,
            table=None if spec.metadata is None else read_sample_table(spec.metadata),
        )
        memo = Memo()

        def laid_out(flatter: float = 1.0) -> Scene:
            context = SceneContext.build(
                shown, aspect=aspect, headroom=headroom, flatter=flatter, filled=setting.filled
            )
            context = replace(context, setting=setting, memo=memo, trajectory=trajectory)
            return Scene(spec, replace(context, grouping=grouping, opened=opened))

        try:
            scene = laid_out()
        except SceneError:
            if grouping.everything <= opened:
                raise
            # A view may need a layer in a closed group; if not, its error lists the layers of the open network.
            return Scene.build(spec, capture, aspect=aspect, trajectory=trajectory, opened=grouping.everything)
        if not scene._beside:
            return scene
        # Things beside the network need room too, so the network itself has to fill a picture of another aspect.
        highest = max(row.top for row in scene.context.plan.rows)
        lowest = min(row.bottom for row in scene.context.plan.rows)
        above = min(points[:, 1].min() for points in scene._beside) >= highest
        above = above or max(points[:, 1].max() for points in scene._beside) <= lowest  # or all of it is below
        shares = _FLATTER if above else _NARROWER
        others = [scene, *(found for found in map(laid_out, shares) if found._beside)]
        widths = [found._width(aspect) for found in others]
        # Among equally wide layouts the first one in this order is the least flat.
        ordered = zip(others, widths, strict=True) if above else zip(others[::-1], widths[::-1], strict=True)
        return next(found for found, width in ordered if width >= _AS_WIDE * max(widths))

    def revised(self, capture: CaptureReader, trajectory: EmbeddingTrajectory | None = None) -> Scene:
        """Return this scene for another capture, such as a longer series.

        All blocks keep their placements, unless a view now shows more of a layer that is in a closed group.

        Parameters
        ----------
        capture
            A capture of the same model, with layers of the same shapes.
        trajectory
            The points of a longer training; by default those of this scene.
        """
        context, capture = self.context, at_step(capture)
        if context.hidden and not own_layers(self.spec, capture).isdisjoint(context.hidden):
            course = trajectory or context.trajectory
            return Scene.build(self.spec, capture, aspect=context.aspect, trajectory=course, opened=context.opened)
        return Scene(self.spec, context.revised(capture, trajectory))

    @property
    def capture(self) -> CaptureReader:
        """The capture with all nodes, those inside closed groups too."""
        return without_groups(self.context.capture)

    def with_open(self, opened: frozenset[str]) -> Scene:
        """Return this scene laid out anew with other groups open; itself if these are open."""
        if opened == self.context.opened:
            return self
        context = self.context
        return Scene.build(self.spec, self.capture, aspect=context.aspect, trajectory=context.trajectory, opened=opened)

    def with_aspect(self, aspect: float) -> Scene:
        """Return this scene laid out anew for a picture with another width over height."""
        context = self.context
        return Scene.build(self.spec, self.capture, aspect=aspect, trajectory=context.trajectory, opened=context.opened)

    def shown(self, layer: str | None) -> str | None:
        """Return a layer, or the closed group that stands for it; `None` if neither is shown."""
        graph, grouping = self.context.graph, self.context.grouping
        names = () if layer is None else (layer, *(() if grouping is None else grouping.around(layer)))
        return next((name for name in names if name in graph), None)

    def showing(self, layer: str | None) -> Scene:
        """Return this scene with the groups around a layer open, so that the layer is shown."""
        grouping = self.context.grouping
        if layer is None or grouping is None:
            return self
        return self.with_open(self.context.opened | set(grouping.around(layer)))

    def with_keyframes(self, keyframes: tuple[Keyframe, ...]) -> Scene:
        """Return this scene with other keyframes of the camera: the same picture at each time, and another duration.

        Parameters
        ----------
        keyframes
            In order of time.
        """
        found = copy(self)
        found.spec = self.spec.filmed(keyframes)
        found.duration = max(
            [*(view.duration for view in self._views), *(frame.at for frame in keyframes)], default=0.0
        )
        return found

    def step(self, t: float, selection: Selection) -> int | None:
        """Return the shown recorded step: the selected one, or the clock's; `None` without a training."""
        training = self.context.capture.training
        index = None if training is None else self.timeline.recorded_index(training, t, selection.step)
        return None if training is None or index is None else int(training.steps[index])

    def as_of(self, t: float, selection: Selection) -> Scene:
        """Return this scene with the numbers of the shown training step; itself if it already has them."""
        step, capture = self.step(t, selection), self.capture
        shown = None if step is None or capture.training is None else capture.training.records_at(step)
        if shown is None or shown == capture.step_records:
            return self
        if shown not in self._moments:
            for oldest in [*self._moments][: max(len(self._moments) - _MOMENTS + 1, 0)]:
                del self._moments[oldest]
            self._moments[shown] = Scene(self.spec, self.context.revised(at_step(capture, step)))
        return self._moments[shown]

    def find(self, view: type[V]) -> V | None:
        """Return the scene's view of a class; `None` if it has none."""
        return next((found for found in self._views if isinstance(found, view)), None)

    def get(self, view: type[V]) -> V:
        """Return the scene's view of a class; every scene must have such a view."""
        found = self.find(view)
        if found is None:
            raise LookupError(f"The scene has no {view.__name__}.")
        return found

    def at(self, t: float, selection: Selection | None = None) -> DrawList:
        """Return the picture at `t` seconds; unchanged arrays are the same objects as before."""
        selection = selection or Selection()
        return self.as_of(t, selection)._at(t, selection)

    def _at(self, t: float, selection: Selection, *, noted: bool = True) -> DrawList:
        # One view marks the pick; the primitives of the others do not depend on it.
        unmarked = replace(selection, pick=None)
        found: list[Primitive] = []
        for view in self._views:
            if view not in self._foreground:
                found.extend(view.at(t, unmarked))
        if self._own is None:
            for view in self._foreground:
                found = [*view.recede(found, t, unmarked), *view.at(t, unmarked)]
        found.extend(self._marked(t, selection))
        note = self._heading.note_on_change(selection) if noted else ()
        return DrawList(tuple(self._heading.on(found, selection.sample, note)))

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return what a hit means; `None` if it means nothing.

        Parameters
        ----------
        hit
            A hit on a primitive of this scene. If a training is shown, call `pick` of the scene that `as_of` returns.
        """
        source = hit.primitive.source
        view = None if source is None else self._by_kind.get(source.view)
        return None if view is None else view.pick(hit, selection)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the description of a pick for the selected sample and target; `None` if the sample lacks it."""
        found = (view.describe(pick, selection) for view in self._describing)
        return next((facts for facts in found if facts is not None), None)

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames, lines and callout of a pick at `t` seconds; empty if nothing of it is shown."""
        found = (view.mark(pick, t, selection) for view in self._describing)
        return next((marks for marks in found if marks), ())

    def explain(self, pick: Pick, selection: Selection) -> tuple[Primitive, ...]:
        """Return what shows on which numbers a pick depends, such as its receptive field; may be empty."""
        found = (view.explain(pick, selection) for view in self._describing)
        return next((shown for shown in found if shown), ())

    def _marked(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the marks of the pick; if blocks are shown, the same objects until the pick or its numbers change."""
        pick = selection.pick
        if pick is None:
            return ()
        # Marks do not depend on the look of the cells. Unchanged marks are not uploaded again.
        look = replace(selection, threshold=None, colormap=None, normalize=None, ranking=None)
        unfolded = next((found for view in self._foreground if (found := view.unfolded(t, selection))[1] > 0), None)
        key = (look, unfolded)
        if self._own is not None or self._marks[0] != key:
            marks = self.mark(pick, t, selection)
            if unfolded is None:
                marks = (*self.explain(pick, selection), *marks) if marks else ()
            elif isinstance(pick, CellPick) and pick.layer != unfolded[0]:
                marks = tuple(mark for mark in marks if not isinstance(mark, Callout))  # it would cover the tiles
            self._marks = (key, marks)
        return self._marks[1]

    def title(self, sample: int) -> str:
        """Return the heading above the picture: the scene's title, or the model's name if the title does not fit."""
        return self._heading.title(sample)

    @property
    def poses(self) -> CameraPoses:
        """The poses of the camera."""
        return CameraPoses(
            self.spec.camera,
            self.context,
            self._own,
            [*self._labelled, *self._beside],
            self._heading,
            self.timeline.training is not None,
            self._panels,  # a stored reference to the scene itself would keep it in memory until garbage is collected
            self._margins,
        )

    def camera(self, t: float, *, aspect: float) -> CameraPose:
        """Return the scene's own pose at `t` seconds for a picture with this aspect, by its keyframes."""
        return self.poses.at(t, aspect)

    def first_pose(self, t: float, *, aspect: float) -> CameraPose:
        """Return the pose of a picture: the one that was saved with the scene, or else that of `camera`."""
        saved = self.spec.camera.pose
        return self.camera(t, aspect=aspect) if saved is None else saved.pose(aspect)

    @property
    def first_time(self) -> float:
        """The time in seconds at which the scene is shown first: the saved one, or else the end."""
        saved = self.spec.look.time
        return self.duration if saved is None else min(saved, self.duration)

    def overview(self, *, aspect: float) -> CameraPose:
        """Return the pose that fits everything into a picture with this aspect; keyframes are ignored."""
        return self.poses.overview(aspect)

    def _width(self, aspect: float) -> float:
        """Return the apparent width of the network when everything is visible; unitless, only for comparing layouts."""
        pose = self.overview(aspect=aspect)
        left, right = self.context.plan.bounds_x
        return (right - left) / math.dist(pose.position, pose.target)

    @property
    def blocks(self) -> bool:
        """Whether the network's blocks are shown; otherwise another view fills the picture."""
        return self._own is None

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to contain, ``(n, 3)``; none if it is not shown."""
        return self.poses.around(layer)

    def extent(self) -> NDArray[np.float64]:
        """Return the points that a picture of everything has to contain, ``(n, 3)`` world coordinates."""
        return self.poses.points("all", "camera")

    def _panels(self) -> tuple[Panel, ...]:
        """Return the panels at the end of the scene, whose texts are about the same in all layouts."""
        capture = self.context.capture

        def find() -> tuple[Panel, ...]:
            shown = self._at(self.duration, Selection(), noted=False).primitives if capture.committed else ()
            return tuple(one for one in shown if isinstance(one, Panel))

        return self.context.memo.get(capture, "panels", find)


def _build(number: int, spec: ViewSpec, scene: Scene) -> View:
    try:
        return BY_KIND[spec.kind].build(spec, scene.context, scene.timeline)
    except SceneError as error:
        raise SceneError(f"views[{number}].{error}") from None
