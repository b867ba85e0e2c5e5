"""A session: one user looking at one scene, in the window or in the browser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nnviz3d.apps.choices import Choices
from nnviz3d.apps.clock import Clock
from nnviz3d.apps.comparison import with_counterpart_of
from nnviz3d.apps.dead_channels import DeadChannelFinder
from nnviz3d.apps.differences import DifferencePlaces
from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.groups import Groups
from nnviz3d.apps.guided_tour import GuidedTour
from nnviz3d.apps.interventions import Interventions
from nnviz3d.apps.keyframes import Keyframes
from nnviz3d.apps.layouts import Layouts
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.origin import NO_ORIGIN, SceneOrigin
from nnviz3d.apps.painting import Painting
from nnviz3d.apps.perspectives import Perspectives, State
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample, SampleList
from nnviz3d.apps.training_control import TrainingControl
from nnviz3d.apps.training_follower import TrainingFollower
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.apps.unfolding import Unfolding
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import NOTHING_MORE, Insights
from nnviz3d.errors import UserError
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.connections import EdgePick


class Session:
    """One user looking at one scene. `draw` draws it, on the thread that owns the window.

    Parameters
    ----------
    scene
        The scene.
    renderer
        Receives what `draw` draws. The caller renders.
    samples
        The samples that can be chosen; by default those that the capture holds.
    dataset
        The data set, of which embeddings and the like are computed; by default the samples that can be chosen.
    runner
        Runs the model on samples that were not captured.
    follower
        Follows the training that the capture shows, if it goes on.
    selection
        The first selection.
    origin
        What a scene file says to open the same again.

    Attributes
    ----------
    origin
        As above.
    keyframes
        The camera's keyframes, which the user adds and removes.
    clock
        The time of the scene, and the recorded step of a training.
    tour
        The tour that leads through the network.
    unfolding
        The layer that the user unfolds.
    groups
        The groups of layers, which are opened and closed.
    layouts
        The scene for pictures of any shape.
    perspectives
        The scenes of the same source among which the user switches.
    samples
        The samples, and which of them is shown.
    queries
        Queries to the model for samples, gradients and targets that no capture holds.
    choices
        The quantity, target, method and other sample that are shown, and what else can be chosen.
    training_control
        Requests to the followed training.
    interventions
        The interventions of the shown sample's changed run, and requests for other ones.
    differences
        The places at which the shown difference is largest.
    dead
        The dead channels of all layers, as far as they were looked for.
    painting
        Paint over the shown sample's picture, and drawings.
    """

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        *,
        samples: Sequence[Sample] = (),
        dataset: Sequence[Sample] = (),
        runner: SampleRunner | None = None,
        follower: TrainingFollower | None = None,
        selection: Selection | None = None,
        origin: SceneOrigin = NO_ORIGIN,
    ) -> None:
        self.renderer = renderer
        self.origin = origin
        self._at_saved_pose = True
        self._frame = FrameState(scene, selection or Selection())
        self.unfolding = Unfolding(self._frame)
        self.clock = Clock(self._frame, self.unfolding)
        self.tour = GuidedTour(self._frame, self.clock)
        self.groups = Groups(self._frame)
        self.layouts = Layouts(self._frame)
        self.keyframes = Keyframes(self._frame)
        self.samples = SampleList(self._frame, samples, dataset)
        self.queries = ModelQueries(self._frame, self.samples, runner)
        self.choices = Choices(self._frame, self.samples, self.queries)
        self.perspectives = Perspectives(self._frame, self.samples, self.queries)
        self.interventions = Interventions(self._frame, self.samples, self.queries)
        self.differences = DifferencePlaces(self._frame, self.groups, self.choices)
        self.dead = DeadChannelFinder(self._frame, self.samples, self.queries)
        self.training_control = TrainingControl(follower)
        self.painting = Painting(self._frame, self.samples, self.queries, self.interventions, self._run)
        self._last_tried: int | None = None
        self._follower = follower
        if follower is not None:
            follower.prepare(self._prepare)

    @staticmethod
    def of(found: Opened, scene: Scene, renderer: Renderer, selection: Selection) -> Session:
        """Return the session of an open target, whose scene is laid out."""
        return Session(
            scene,
            renderer,
            samples=found.samples,
            dataset=found.dataset,
            runner=found.runner,
            follower=found.follower,
            selection=selection,
            origin=found.origin,
        )

    @property
    def scene(self) -> Scene:
        """The scene, with all samples and training steps that have arrived."""
        return self._frame.scene

    @property
    def selection(self) -> Selection:
        """The current selection."""
        return self._frame.selection

    @property
    def context(self) -> SceneContext:
        """The context of the views; for a training, with the numbers of the current training step."""
        return self._frame.context

    @property
    def training_status(self) -> str:
        """The state of the followed training in a few words; empty if there is none."""
        return "" if self._follower is None else self._follower.status

    @property
    def moving(self) -> bool:
        """Whether `advance` changes the picture."""
        return self.clock.playing or self.unfolding.moving or self.tour.moving

    def select(self, **changes: Any) -> None:
        """Change fields of the selection, given by name."""
        self._frame.select(**changes)

    def show(self, scene: Scene, selection: Selection, t: float) -> None:
        """Show another selection in this scene or in one with other groups open, at a time in seconds."""
        self.unfolding.stop()
        self.queries.cancel(other_look=True)
        self.clock.pause()
        self._last_tried = None
        self._frame.show(scene, selection, t)

    def look_at(self, perspective: str) -> None:
        """Show another perspective, by its name: at once, or when the model has computed it.

        Raises
        ------
        UserError
            If it cannot be shown; then nothing changes.
        """
        if perspective == self.perspectives.current:
            self.queries.cancel()
            return
        if self.perspectives.availability(perspective).state is State.COMPUTABLE:
            self.perspectives.compute(perspective)
            return
        self._enter(perspective)
        self.queries.cancel(other_look=True)

    def _enter(self, perspective: str) -> None:
        """Show a perspective that the capture holds."""
        self.perspectives.show(perspective)
        self.unfolding.stop()
        self.clock.pause()
        self.leave_saved_pose()
        self._last_tried = None

    def choose(self, position: int) -> None:
        """Show another sample: at once if the model has been run on it, else when `poll` receives the answer."""
        self._last_tried = None
        self._choose(position)

    def choose_changed(self, position: int, interventions: tuple[Intervention, ...], quantity: Quantity | None) -> None:
        """Run the model for the first time on a sample, with interventions, and show a quantity of it."""
        self._last_tried = None
        self._run(position, interventions, {"quantity": quantity})

    def choose_next(self, by: int = 1) -> None:
        """Choose the sample that is `by` positions further, around the ends.

        Each call continues from the sample that the last call tried, even if that sample cannot be shown; otherwise
        the user could not get past it. A sample that is chosen from the list and cannot be shown changes nothing: the
        next call continues from the visible sample.
        """
        current = self._last_tried
        if current is None:
            current = self.samples.chosen if self.queries.position is None else self.queries.position
        self._last_tried = (current + by) % len(self.samples)
        self._choose(self._last_tried)

    def _choose(self, position: int) -> None:
        sample = self.samples[position]
        gradients = self.selection.quantity in OF_GRADIENTS
        if sample.index is None:
            self._run(position)
            return
        if self.interventions.follow(position):
            return
        needs = self.perspectives.lacks_of_sample(sample.index)
        if needs != NOTHING_MORE and self.queries.run_again(needs, {}, "Running the model on", position):
            return
        lacking = gradients and not self.scene.context.capture.explanations(sample.index).has_gradients()
        if not lacking or not self.choices.find_gradients({}, position):
            self.queries.cancel()
            self._frame.select_sample(sample.index)

    def _run(
        self,
        position: int,
        interventions: tuple[Intervention, ...] | None = None,
        then: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Run the model on a sample for the first time, and show it when the answer arrives.

        Parameters
        ----------
        interventions
            By default those of the shown sample.
        then
            As for `ModelQueries.run`.
        """
        selection = self.selection
        targets = () if selection.target is None else (selection.target.text,)
        needs = self.scene.spec.needs().of_samples
        listed = self.interventions.going_to(position) if interventions is None else interventions
        gradients = selection.quantity in OF_GRADIENTS
        wanted = Insights(targets=targets, gradients=gradients).plus(needs).plus(Insights(interventions=listed))
        self.queries.run(position, wanted, then)

    def on_news(self, call: Callable[[], None]) -> None:
        """Call a function, in another thread, whenever `poll`, `queries.busy` or `training_status` has news."""
        for source in (self.queries.runner, self._follower):
            if source is not None:
                source.on_news(call)

    def poll(self) -> bool:
        """Take what the model and the training have delivered since the last call; returns whether there is any."""
        news = None if self._follower is None else self._follower.news()
        if news is not None:
            self._continue_training(news)
        arrived = self.queries.poll()
        if self.queries.arrived:
            self._show_arrived()
        if self.queries.ready:
            self._tell_ready()
        settled = self.queries.settle()
        return arrived or news is not None or settled

    def _show_arrived(self) -> None:
        """Show the perspective whose numbers have arrived."""
        perspective, self.queries.arrived = self.queries.arrived, ""
        try:
            self._enter(perspective)
        except UserError as error:
            self.queries.message = str(error)

    def _tell_ready(self) -> None:
        """Say that a perspective can be shown: the user asked for something else while it was computed."""
        name, self.queries.ready = self.queries.ready, ""
        title = self.perspectives.title(name)
        self.queries.message = f"{title} is ready; choose it to see it. {self.queries.message}".rstrip()

    def _prepare(self, capture: CaptureReader) -> Scene:
        """Build the scene of a longer training; runs in the thread that follows it, so that drawing does not wait."""
        trajectory = trajectory_of(capture, self.scene.context.trajectory) if self.scene.spec.embeds else None
        scene = self.scene.revised(with_counterpart_of(capture, self.scene.capture), trajectory)
        with contextlib.suppress(UserError):  # drawing reports it
            scene.at(self.clock.t, self.selection)
        return scene

    def _continue_training(self, scene: Scene) -> None:
        """Show a longer training; the selection stays."""
        if scene.spec.views != self.scene.spec.views:  # the perspective was changed since `_prepare` began
            scene = self._prepare(scene.capture)
        before, after = (one.context.capture.step_records for one in (self.scene, scene))
        if isinstance(self.selection.pick, EdgePick) and before != after:
            self.select(pick=None)  # the pick holds the connection's earlier weight
        self._frame.scene = scene.with_keyframes(self.keyframes.all)  # some may be new since `_prepare` began

    def advance(self, seconds: float) -> bool:
        """Let some real seconds pass; returns whether the picture changes."""
        unfolds, leads = self.unfolding.advance(seconds), self.tour.advance(seconds)
        return self.clock.advance(seconds) or unfolds or leads

    def home(self) -> CameraPose:
        """Return `own_pose` for the window's shape."""
        width, height = self.renderer.size
        return self.own_pose(width / height)

    def own_pose(self, aspect: float, layout: Scene | None = None) -> CameraPose:
        """Return the pose of the scene at the current time, which is shown until the user moves the camera.

        It is at first the pose that was saved with the scene, and after `leave_saved_pose` the one in which everything is
        visible, or that of the keyframes. During a tour it is the tour's.

        Parameters
        ----------
        aspect
            Width over height of the picture.
        layout
            The scene for the picture's shape; by default `scene`.
        """
        self.tour.follow()
        if self.tour.on:
            return self.tour.pose(aspect, layout)
        scene, t = layout or self.scene, self.clock.t
        return scene.first_pose(t, aspect=aspect) if self._at_saved_pose else scene.camera(t, aspect=aspect)

    def leave_saved_pose(self) -> None:
        """Let the camera return to the scene's own view, not to the pose that was saved with it."""
        self._at_saved_pose = False

    def draw(self, layout: Scene | None = None) -> None:
        """Update the renderer to the current time and selection.

        Parameters
        ----------
        layout
            As for `picture`.
        """
        self.renderer.draw(self.picture(layout))

    def picture(self, layout: Scene | None = None) -> DrawList:
        """Return the picture of the current time and selection.

        Parameters
        ----------
        layout
            The scene for the picture's shape, one of `layouts`; by default `scene`.
        """
        return (layout or self.scene).at(self.clock.t, self.selection)

    def mark_drawn(self) -> None:
        """Record that the current selection could be drawn."""
        self._frame.mark_drawn()

    def revert(self) -> bool:
        """Restore the last selection that could be drawn; returns whether that changes the selection."""
        self.unfolding.stop()
        return self._frame.revert()
