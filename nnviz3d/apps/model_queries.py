"""Queries to the model while a session runs, and their answers: more samples, gradients and targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_requests import ModelRequests, PendingRequest
from nnviz3d.apps.sample_runner import Answer, SampleRunner
from nnviz3d.apps.samples import SampleList
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import Target
from nnviz3d.errors import UserError
from nnviz3d.scene.views.connections import EdgePick

_NOTHING: Mapping[str, Any] = {}


class ModelQueries:
    """Runs the model on samples of a session, and adds the answers to its scene.

    Parameters
    ----------
    frame
        The frame whose scene and selection the answers change.
    samples
        The samples of the session.
    runner
        Runs the model; without it no query is possible.

    Attributes
    ----------
    message
        A sentence for the user, such as why the model could not be run. The caller that shows it clears it.
    arrived
        The perspective that the last answer was asked for, until the caller that shows it clears it.
    refused
        The sentence by which the model refused a perspective, by its name.
    """

    def __init__(self, frame: FrameState, samples: SampleList, runner: SampleRunner | None) -> None:
        self._frame = frame
        self._samples = samples
        self._requests = ModelRequests(runner)
        self.runner = runner
        self.message = ""
        self.arrived = ""
        self.refused: dict[str, str] = {}

    @property
    def position(self) -> int | None:
        """The position of the sample that the pending query runs on."""
        return None if self._requests.pending is None else self._requests.pending.position

    @property
    def target(self) -> Target | None:
        """The target of the pending query."""
        return None if self._requests.pending is None else self._requests.pending.then.get("target")

    @property
    def quantity(self) -> Quantity | None:
        """The quantity of the pending query."""
        return None if self._requests.pending is None else self._requests.pending.then.get("quantity")

    @property
    def interventions(self) -> tuple[Intervention, ...] | None:
        """The interventions that the pending query asks for; `None` without a query, or if it leaves them as they are."""
        pending = self._requests.pending
        if pending is None or pending.request.of_model:
            return None
        if "interventions" not in pending.request.insights.model_fields_set:
            return None
        return pending.request.insights.interventions

    @property
    def busy(self) -> str:
        """A sentence that says what the pending query does; empty if there is none."""
        return "" if self.position is None else self._requests.status(self._samples[self.position].name)

    @property
    def perspective(self) -> str:
        """The perspective that the pending query computes; empty if there is none."""
        return "" if self._requests.pending is None else self._requests.pending.perspective

    @property
    def share(self) -> float | None:
        """The finished share of the current stage of the pending query, 0 to 1; `None` if it is not known."""
        return None if self._requests.pending is None or self.runner is None else self.runner.share

    @property
    def possible(self) -> bool:
        """Whether the model can be run again on the sample that is shown."""
        return self._requests.can_run(self._samples[self._samples.chosen])

    @property
    def can_ask(self) -> bool:
        """Whether there is a model to ask."""
        return self.runner is not None

    def run(self, position: int, more: Insights, then: Mapping[str, Any] = _NOTHING) -> None:
        """Run the model on a sample for the first time, and show the sample when the answer arrives.

        Parameters
        ----------
        then
            Fields of `Selection` that are set when the answer arrives.
        """
        self._requests.run(position, self._samples[position], more, then)

    def run_again(
        self,
        more: Insights,
        then: Mapping[str, Any],
        words: str,
        position: int | None = None,
        perspective: str = "",
    ) -> bool:
        """Run the model again on a sample; returns whether that is possible.

        Parameters
        ----------
        more
            What the run computes in addition to everything that is known of the sample.
        then
            Fields of `Selection` that are set when the answer arrives.
        words
            A sentence that says what the model does, without the sample's name at its end.
        position
            Position of the sample; by default the sample that is shown.
        perspective
            The perspective that is shown when the answer arrives.
        """
        position = self._samples.chosen if position is None else position
        sample = self._samples[position]
        if sample.index is None:
            return False
        found = self._frame.scene.context.capture.explanations(sample.index)
        return self._requests.run_again(position, sample, found, more, then, words, perspective)

    def run_changed(self, interventions: tuple[Intervention, ...], then: Mapping[str, Any], words: str) -> bool:
        """Run the model on the shown sample with interventions, or show it without any; returns whether that is possible.

        Only what depends on the changes is computed, unless another request is pending, the model may have been trained
        since the sample's unchanged run, or that run was not made in this session: then both runs are made.
        """
        position, more = self._samples.chosen, Insights(interventions=interventions)
        sample = self._samples[position]
        if sample.index is None or not self._requests.can_run_changed_only(sample):
            return self.run_again(more, then, words)
        if not interventions and self._requests.can_run(sample):
            self._requests.pending = None
            self._requests.record(sample, more)
            self._set_changed_run(sample.index, None)
            self._frame.select(**then)
            return True
        live = CaptureSeries.of(self._frame.scene.capture).first.provenance.sha256 is None
        if live or not self._requests.made_unchanged_run(sample):
            return self.run_again(more, then, words)
        return self._requests.run_changed(position, sample, more, then, words)

    def expect_changed(self, interventions: tuple[Intervention, ...]) -> None:
        """Let the model prepare for a run on the shown sample with interventions like these."""
        sample = self._samples[self._samples.chosen]
        if sample.index is not None and self._requests.pending is None:
            self._requests.expect(sample, Insights(interventions=interventions))

    def run_for_model(self, wanted: Insights, perspective: str, then: Mapping[str, Any] = _NOTHING) -> bool:
        """Ask for what belongs to the model, such as its features; returns whether that is possible.

        Parameters
        ----------
        perspective, then
            As for `run_again`.
        """
        position = self._samples.chosen
        return self._requests.run_for_model(position, self._samples[position], wanted, then, perspective)

    def stop(self) -> None:
        """Stop the pending query, and the work of the model for it."""
        self._requests.stop()

    def cancel(self) -> None:
        """Stop waiting for the pending query; its answer is stored but not shown."""
        self._requests.pending = None

    def poll(self) -> bool:
        """Take the answers that have arrived since the last call; returns whether there are any."""
        if self.runner is None:
            return False
        answers = self.runner.answers()
        for answer in answers:
            self._take(answer, self.runner)
        return bool(answers)

    def _take(self, answer: Answer, runner: SampleRunner) -> None:
        """Add an answer to the scene; show it if the user still waits for it."""
        frame = self._frame
        positions = self._samples.positions(answer.request.source)
        pending = self._requests.finish(answer)
        if answer.request.changed_only and answer.capture is not None:
            self._take_changed(answer.capture, pending)
            return
        if answer.capture is None:
            self.message = answer.problem if pending is not None else self.message
            if pending is not None and pending.perspective:
                self.refused[pending.perspective] = answer.problem
            return
        series = CaptureSeries.of(frame.scene.capture)
        if answer.request.of_model:
            self._take_of_model(series, answer.capture)
            if pending is not None:
                frame.select(**pending.then)
                self.arrived = pending.perspective
            return
        if not positions:  # the user has changed a drawing since
            for made in (answer.capture, answer.other):
                if made is not None:
                    made.path.unlink(missing_ok=True)
            return
        index = series.committed
        try:
            frame.scene = frame.scene.revised(series.plus(answer.capture, answer.other))
        except UserError as error:  # the model's file has changed since
            self.message = str(error)
            return
        runner.keep(index, answer)
        if answer.capture.provenance.sha256 is None and isinstance(frame.selection.pick, EdgePick):
            frame.select(pick=None)  # a live model may have been trained further, and the pick holds the old weight
        earlier = {old for position in positions if (old := self._samples.set_index(position, index)) is not None}
        for old in earlier:
            self._replace(old, index, runner)
        if pending is not None:
            self.arrived = pending.perspective
            frame.select_sample(index)
            target = pending.then.get("target")
            if target is None or self._explains(target):
                frame.select(**pending.then)
        self._free_disk(runner)

    def _take_changed(self, capture: CaptureReader, pending: PendingRequest | None) -> None:
        """Show the changed run of a sample, if the user still waits for it."""
        index = None if pending is None else self._samples[pending.position].index
        if pending is None or index is None:
            capture.path.unlink(missing_ok=True)
            return
        try:
            self._set_changed_run(index, capture)
        except UserError as error:  # the model's file has changed since
            self.message = str(error)
            return
        self._frame.select_sample(index)
        self._frame.select(**pending.then)

    def _set_changed_run(self, index: int, capture: CaptureReader | None) -> None:
        """Replace the changed run of a sample, and remove the one before from the disk."""
        series = CaptureSeries.of(self._frame.scene.capture)
        self._frame.scene = self._frame.scene.revised(series.with_changed_run(index, capture))
        before = series.changed.get(index)
        if before is not None:
            before.path.unlink(missing_ok=True)

    def _take_of_model(self, series: CaptureSeries, capture: CaptureReader) -> None:
        """Add what a capture holds of the model to the scene's numbers."""
        try:
            self._frame.scene = self._frame.scene.revised(series.with_model(capture))
        except UserError as error:  # the model's file has changed since
            self.message = str(error)

    def _explains(self, target: Target) -> bool:
        found = self._frame.scene.context.explanations(self._frame.selection.sample).targets
        return target in [one.target for one in found]

    def _replace(self, old: int, new: int, runner: SampleRunner) -> None:
        """Replace an earlier run of a sample by its newest run."""
        self._frame.replace_sample(old, new)
        if runner.keeps(old):
            self._remove(old, runner)

    def _free_disk(self, runner: SampleRunner) -> None:
        """Remove the oldest runs while all runs together take more disk space than allowed."""
        selection = self._frame.selection
        while (oldest := runner.oldest(besides=(selection.sample, selection.against))) is not None:
            self._samples.forget_index(oldest)
            self._remove(oldest, runner)

    def _remove(self, index: int, runner: SampleRunner) -> None:
        series = CaptureSeries.of(self._frame.scene.capture)
        self._frame.scene = self._frame.scene.revised(series.without(index))
        runner.forget(index)
        changed = series.changed.get(index)
        if changed is not None:
            changed.path.unlink(missing_ok=True)
