"""What the window and the browser share: a scene, the renderer that shows it, a clock, and what is selected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnviz3d.apps.model_requests import Wishes
from nnviz3d.apps.sample_runner import Answer, Live
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.training_follower import Following
from nnviz3d.apps.unfolding import Unfolding
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import LOSS, Explained, Target
from nnviz3d.errors import UserError
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.context import SceneContext, head_of, is_classifier, two_classes
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import EdgePick, Selection

_GRADIENTS = Insights(gradients=True)
_FINDING = "Finding the gradients for"


class Session:
    """One looking at one scene. Nothing is drawn until `draw` is called, on the thread that owns the window.

    Parameters
    ----------
    scene
        What is shown.
    renderer
        Where. The caller renders.
    samples
        What can be chosen; by default what the capture holds.
    live
        Who runs the model on samples that were not captured.
    following
        Who looks how far the training is that is shown, if it goes on.
    selection
        What is selected at first.

    Attributes
    ----------
    t
        The moment that is shown, in seconds; at first the end, where all is revealed.
    playing, speed
        Whether `advance` moves the clock, and how many scene seconds pass in one second.
    message
        A sentence that people should read now, such as why a sample could not be run; whoever shows it empties it.
    """

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        *,
        samples: Sequence[Sample] = (),
        live: Live | None = None,
        following: Following | None = None,
        selection: Selection | None = None,
    ) -> None:
        self.scene = scene
        self.renderer = renderer
        self.t = scene.duration
        self.playing = False
        self.speed = 1.0
        self.selection = self._drawn = selection or Selection()
        self.message = ""
        self._unfolding = Unfolding()
        self._stepped_to: int | None = None
        self._samples = list(samples or captured_samples(scene.context.capture))
        self._wishes = Wishes(live)
        self.live = live
        self._following = following
        if following is not None:
            following.prepare(self._prepare)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What can be chosen."""
        return tuple(self._samples)

    @property
    def chosen(self) -> int:
        """The position, in `samples`, of what is shown."""
        shown = self.selection.sample
        return next((i for i, sample in enumerate(self._samples) if sample.index == shown), 0)

    @property
    def wanted(self) -> int | None:
        """The position of what the model is being run on, to be shown next."""
        return None if self._wishes.waiting is None else self._wishes.waiting.position

    @property
    def busy(self) -> str:
        """A sentence that says what is waited for, or nothing."""
        return "" if self.wanted is None else self._wishes.busy(self._samples[self.wanted].name)

    @property
    def training(self) -> str:
        """How far the training is that is followed, in a few words; empty if none is."""
        return "" if self._following is None else self._following.words

    def select(self, **changes: Any) -> None:
        """Change what is selected: the fields of `Selection` by name."""
        self.selection = replace(self.selection, **changes)

    @property
    def context(self) -> SceneContext:
        """What the views stand on now: of a training, with the numbers of the step that is shown."""
        return self.scene.as_of(self.t, self.selection).context

    @property
    def place(self) -> int | None:
        """Which recorded step of a training is shown, 0 to S - 1; `None` without one."""
        training, step = self.scene.context.capture.training, self.scene.step(self.t, self.selection)
        return None if training is None or step is None else training.recorded(step)

    def train(self, place: int | None) -> None:
        """Look at a recorded step of a training, 0 to S - 1; `None` leaves it to the clock.

        So does the step that the clock is at: who comes back to the last one sees the next one too when it is there.
        """
        training = self.scene.context.capture.training
        if training is not None:
            step = None if place is None else int(training.steps[place])
            self.select(step=None if step == self.scene.step(self.t, replace(self.selection, step=None)) else step)

    @property
    def targets(self) -> tuple[Explained, ...]:
        """What was explained of the sample that is shown, the model's own answer first; the loss is nobody's score."""
        found = self.scene.context.explanations(self.selection.sample).targets
        return tuple(one for one in found if one.target != LOSS)

    def explain(self, target: Target | None) -> None:
        """Look at another target, `None` for the model's own answer: at once if it was explained, else when it has been.

        Raises
        ------
        UserError
            If it was not explained, and there is no model to ask.
        """
        if target is None or self._explains(target):
            self._wishes.waiting = None
            self.select(target=target)
            return
        context = self.scene.context
        named = context.capture.classes is not None and is_classifier(context.capture, target.output)
        words = (
            f"Explaining class {context.name_of(target)!r} for"
            if named
            else f"Explaining {context.name_of(target)} for"
        )
        if not self._ask(Insights(targets=(target.text,)), {"target": target}, words):
            plain = target.output == head_of(context.graph) and two_classes(context.capture, target.output) is None
            option = target.index if plain else target.text
            raise UserError(
                f"{context.capture.path.name} does not explain {context.name_of(target)}; capture the model with "
                f"--class {option}."
            )

    def show(self, quantity: Quantity) -> None:
        """Let the cells show another quantity: at once, or when the gradients that it takes have been computed."""
        needs = quantity in OF_GRADIENTS and not self.scene.context.has_gradients(self.selection)
        if not needs or not self._ask(_GRADIENTS, {"quantity": quantity}, _FINDING):
            self._wishes.waiting = None
            self.select(quantity=quantity)

    @property
    def sought(self) -> Target | None:
        """The target that the model is being asked for."""
        return None if self._wishes.waiting is None else self._wishes.waiting.then.get("target")

    @property
    def sought_quantity(self) -> Quantity | None:
        """The quantity that the model is being asked for."""
        return None if self._wishes.waiting is None else self._wishes.waiting.then.get("quantity")

    @property
    def asks(self) -> bool:
        """Whether the model can be asked for more of the sample that is shown."""
        return self._wishes.can(self._samples[self.chosen])

    def _has_gradients(self, sample: int) -> bool:
        return self.scene.context.capture.explanations(sample).has_gradients()

    def _explains(self, target: Target) -> bool:
        return target in [found.target for found in self.targets]

    def _ask(self, more: Insights, then: Mapping[str, Any], words: str, position: int | None = None) -> bool:
        """Have the model run once more on a sample, by default the one that is shown; returns whether it can be."""
        position = self.chosen if position is None else position
        sample = self._samples[position]
        if sample.index is None:
            return False
        found = self.scene.context.capture.explanations(sample.index)
        return self._wishes.run_again(position, sample, found, more, then, words)

    @property
    def unfolded(self) -> str | None:
        """The layer that is unfolded, or about to be."""
        if self._unfolding.moving:
            return self._unfolding.wanted
        layer, share = self.scene.channels.unfolded(self.t, self.selection)
        return layer if share > 0 else None

    def unfold(self, layer: str | None) -> None:
        """Let a layer's channels come out of their block in the next second, or go back; `None` lets none be unfolded."""
        self._unfolding.start(layer)

    def drawn(self) -> None:
        """Take note that what is selected could be drawn."""
        self._drawn = self.selection

    def revert(self) -> bool:
        """Select again what could be drawn last, for what cannot be drawn is not selected; returns whether that differs."""
        differs = self.selection != self._drawn
        self._unfolding.stop()
        self.selection = self._drawn
        return differs

    # Samples.

    def choose(self, position: int) -> None:
        """Look at another sample: at once if the model has been run on it, else when it has, which `poll` tells."""
        self._stepped_to = None
        self._choose(position)

    def _choose(self, position: int) -> None:
        sample = self._samples[position]
        if sample.index is not None:
            lacking = self.selection.quantity in OF_GRADIENTS and not self._has_gradients(sample.index)
            if not lacking or not self._ask(_GRADIENTS, {}, _FINDING, position):
                self._wishes.waiting = None
                self._show(sample.index)
        else:
            target = self.selection.target
            more = Insights(
                targets=() if target is None else (target.text,), gradients=self.selection.quantity in OF_GRADIENTS
            )
            self._wishes.run(position, sample, more)

    def _show(self, sample: int) -> None:
        """Select a sample that there is; one that was not explained by the selected target shows its own answer."""
        before, against = self.selection.sample, self.selection.against
        self.select(sample=sample, against=before if against == sample else against)
        self.selection = self._explained(self.selection)

    def _explained(self, selection: Selection) -> Selection:
        """Return a selection without its target if its sample was not explained by that."""
        known = {found.target for found in self.scene.context.capture.explanations(selection.sample).targets}
        return selection if selection.target in known else replace(selection, target=None)

    def step(self, by: int) -> None:
        """Choose the next or the previous sample, around the ends.

        Each press continues from the sample that the last press tried, even if that sample cannot be shown; otherwise
        the user could not get past it. A sample that is chosen from the list and cannot be shown changes nothing: the
        next press continues from the visible sample.
        """
        current = self._stepped_to
        if current is None:
            current = self.chosen if self.wanted is None else self.wanted
        self._stepped_to = (current + by) % len(self._samples)
        self._choose(self._stepped_to)

    def add(self, sample: Sample) -> int:
        """Take in one more sample; returns its position."""
        self._samples.append(sample)
        return len(self._samples) - 1

    def tell(self, told: Callable[[], None]) -> None:
        """Call this, in another thread, whenever `poll`, `busy` or `training` has something new."""
        for source in (self.live, self._following):
            if source is not None:
                source.tell(told)

    def poll(self) -> bool:
        """Take what the model and who follows its training have said since the last call; returns whether they have."""
        news = None if self._following is None else self._following.news()
        if news is not None:
            self._go_on(news)
        answers = [] if self.live is None else self.live.answers()
        for answer in answers:
            if self.live is not None:
                self._take(answer, self.live)
        return news is not None or bool(answers)

    def _prepare(self, capture: CaptureReader) -> Scene:
        """Read what a training has come to, in the thread that follows it: whoever draws it then has it ready."""
        scene = self.scene.revised(capture)
        with contextlib.suppress(UserError):  # the drawing will say so
            scene.at(self.t, self.selection)
        return scene

    def _go_on(self, scene: Scene) -> None:
        """Show what a training has come to. Whatever was chosen stays chosen."""
        before, after = (one.context.capture.step_records for one in (self.scene, scene))
        if isinstance(self.selection.pick, EdgePick) and before != after:
            self.select(pick=None)  # it holds the weight that the connection had
        self.scene = scene

    def _take(self, answer: Answer, live: Live) -> None:
        # The same picture may be listed twice.
        positions = [i for i, sample in enumerate(self._samples) if sample.source == answer.wish.source]
        waiting = self._wishes.take(answer)
        if answer.capture is None:
            # Of a sample that nobody waits for any more nobody wants to hear.
            self.message = answer.problem if waiting is not None else self.message
            return
        series = CaptureSeries.of(self.scene.context.capture)
        index = series.committed
        try:
            self.scene = self.scene.revised(series.plus(answer.capture))
        except UserError as error:  # the model's file has changed since
            self.message = str(error)
            return
        live.keep(index, answer.capture.path)
        if answer.capture.provenance.sha256 is None and isinstance(self.selection.pick, EdgePick):
            self.select(pick=None)  # a live model may have been trained on, and the pick holds the weight it had
        earlier = {old for position in positions if (old := self._samples[position].index) is not None}
        for position in positions:
            self._samples[position] = replace(self._samples[position], index=index)
        for old in earlier:
            self._replace(old, index, live)
        if waiting is not None:
            self._show(index)
            target = waiting.then.get("target")
            if target is None or self._explains(target):
                self.select(**waiting.then)
        self._forget(live)

    def _replace(self, old: int, new: int, live: Live) -> None:
        """Look at the numbers of a sample's last run wherever those of an earlier run were looked at."""
        self.selection, self._drawn = (
            self._explained(
                replace(
                    one,
                    sample=new if one.sample == old else one.sample,
                    against=new if one.against == old else one.against,
                )
            )
            for one in (self.selection, self._drawn)
        )
        if live.keeps(old):
            self.scene = self.scene.revised(CaptureSeries.of(self.scene.context.capture).without(old))
            live.forget(old)

    def _forget(self, live: Live) -> None:
        """Let go of the samples that were run longest ago, once what was run takes more of the disk than it may."""
        while (oldest := live.oldest(besides=(self.selection.sample, self.selection.against))) is not None:
            self.scene = self.scene.revised(CaptureSeries.of(self.scene.context.capture).without(oldest))
            self._samples = [replace(s, index=None) if s.index == oldest else s for s in self._samples]
            live.forget(oldest)

    # Time.

    @property
    def moving(self) -> bool:
        """Whether `advance` changes the picture."""
        return self.playing or self._unfolding.moving

    def play(self) -> None:
        """Let the clock run, from the start if it is at the end."""
        self._follow_scene()
        if self.t >= self.scene.duration:
            self.t = 0.0
        self.playing = True

    def pause(self) -> None:
        """Stop the clock where it is."""
        self.playing = False

    def seek(self, t: float) -> None:
        """Go to a moment, in seconds."""
        self._follow_scene()
        self._go(t)

    def _go(self, t: float) -> None:
        self.t = min(max(t, 0.0), self.scene.duration)

    def _follow_scene(self) -> None:
        """Leave to the scene what it does in the course of time: to unfold layers, and to go through a training."""
        if self.scene.timeline.training is not None:
            self.select(step=None)
        if self.scene.channels.duration > 0:
            self._unfolding.stop()
            self.select(unfold=None, unfolded=1.0)

    def advance(self, seconds: float) -> bool:
        """Let so many real seconds pass; returns whether the picture changes. At the end the clock stops."""
        unfolds = self._unfolding.moving
        if unfolds:
            now = self.scene.channels.unfolded(self.t, self.selection)
            layer, share = self._unfolding.after(seconds, *now)
            self.select(unfold=layer, unfolded=share)
        if not self.playing:
            return unfolds
        self._go(self.t + seconds * self.speed)
        if self.t >= self.scene.duration:
            self.playing = False
        return True

    # The picture.

    def home(self) -> CameraPose:
        """Return the scene's own view of this moment, for the window's shape."""
        width, height = self.renderer.size
        return self.scene.camera(self.t, aspect=width / height)

    def draw(self) -> None:
        """Make the window equal to this moment and this selection."""
        self.renderer.draw(self.scene.at(self.t, self.selection))
