"""Queries to the model while a session runs, and their answers: more samples, gradients, targets and changed runs.

The newest query takes the place of the pending one. A change of the interventions is never lost by that: it stays
wanted until the shown sample's run has it, or the model refuses it. Another query for a sample takes the change along, and
after every other query it is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_requests import ModelRequests, PendingRequest
from nnviz3d.apps.sample_runner import Answer, SampleRequest, SampleRunner
from nnviz3d.apps.samples import Sample, SampleList
from nnviz3d.apps.wanted_change import WantedChange
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
    ready
        A perspective whose answer came after the user had asked for something else, until the caller that tells it
        clears it.
    refused
        The sentence by which the model refused a perspective, by its name.
    """

    def __init__(self, frame: FrameState, samples: SampleList, runner: SampleRunner | None) -> None:
        self._frame = frame
        self._samples = samples
        self._requests = ModelRequests(runner)
        self._change: WantedChange | None = None
        self.runner = runner
        self.message = ""
        self.arrived = ""
        self.ready = ""
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
        """The interventions that the model is asked for; `None` if it is asked for none, or leaves them as they are."""
        pending = self._requests.pending
        if self._change is not None:
            return self._change.of(self._samples[self._samples.chosen if pending is None else pending.position])
        return None if pending is None else pending.interventions

    @property
    def waits_for_change(self) -> bool:
        """Whether interventions were asked for that the shown sample's run lacks."""
        sample = self._samples[self._samples.chosen]
        if self._change is None or sample.index is None:
            return self._change is not None and bool(self._change.of(sample))
        found = self._frame.scene.context.capture.explanations(sample.index)
        return found.interventions != self._change.of(sample)

    @property
    def busy(self) -> str:
        """A sentence that says what the model does for the user; empty if nothing."""
        position = self._samples.chosen if self.position is None else self.position
        return self._requests.status(self._samples[position], self._change if self.waits_for_change else None)

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
        more, then = self._with_change(position, more, then)
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
            Position of the sample; by default the sample that is shown, or the one that is waited for in its place.
        perspective
            The perspective that is shown when the answer arrives.
        """
        pending = self._requests.pending
        if pending is not None and pending.request.of_model:
            pending = None
        if position is None:
            position = self._samples.chosen if pending is None else pending.position
        sample = self._samples[position]
        if pending is not None and pending.position == position and not pending.change:
            then = {**pending.then, **then}
        more, then = self._with_change(position, more, then)
        if sample.index is not None:
            found = self._frame.scene.context.capture.explanations(sample.index)
            return self._requests.run_again(position, sample, found, more, then, words, perspective)
        return pending is not None and self._requests.run(position, sample, more, then, words, perspective)

    def run_changed(self, interventions: tuple[Intervention, ...], then: Mapping[str, Any], words: str) -> bool:
        """Run the model on the shown sample with interventions, or show it without any; returns whether that is possible.

        Unless the pending query is another change of the same sample, it is answered first.
        """
        position, pending, before = self._samples.chosen, self._requests.pending, self._change
        sample = self._samples[position]
        if sample.index is None or not self._requests.can_run(sample):
            return False
        self._change = WantedChange(interventions, then, words)
        if before is not None and before.interventions == interventions and self._requests.under_way:
            if pending is not None and pending.change:
                self._requests.pending = replace(pending, then=then)
        elif pending is None or pending.change or (pending.request.of_model and not interventions):
            self._send_change(self._change, position)
        return True

    def _send_change(self, change: WantedChange, position: int) -> bool:
        """Ask for a sample's run with the wanted interventions; returns whether that is possible.

        Only what depends on the changes is computed, unless the model may have been trained since the sample's unchanged
        run, or that run was not made in this session: then both runs are made.
        """
        sample, pending = self._samples[position], self._requests.pending
        interventions = change.of(sample)
        more = Insights(interventions=interventions)
        if sample.index is None or not self._requests.can_run(sample):
            return False
        if not interventions:
            if pending is not None and pending.change:
                self._requests.pending = None
            self._requests.record(sample, more)
            self._set_changed_run(sample.index, None)
            self._select(change.then)
            # An answer that is under way may still bring the interventions back.
            self._change = replace(change, then=_NOTHING) if self._requests.under_way else None
            return True
        live = CaptureSeries.of(self._frame.scene.capture).first.provenance.sha256 is None
        if live or not self._requests.made_unchanged_run(sample):
            found = self._frame.scene.context.capture.explanations(sample.index)
            return self._requests.run_again(position, sample, found, more, change.then, change.words, change=True)
        return self._requests.run_changed(position, sample, more, change.then, change.words)

    def settle(self) -> bool:
        """Ask again for a change that the last answers left out; returns whether the picture may have changed."""
        change, position = self._change, self._samples.chosen
        if change is None or self._requests.pending is not None or self._requests.under_way:
            return False
        if not self.waits_for_change:
            self._change = None
            self._select(change.then)
            return bool(change.then)
        if not self._send_change(change, position):
            self._change = None
        return True

    def _with_change(
        self, position: int, more: Insights, then: Mapping[str, Any]
    ) -> tuple[Insights, Mapping[str, Any]]:
        """Return a query for a sample with the wanted change in it; one with other interventions replaces the change."""
        if self._change is None:
            return more, then
        wanted = self._change.of(self._samples[position])
        if "interventions" in more.model_fields_set and more.interventions != wanted:
            self._change = None
            return more, then
        return more.plus(Insights(interventions=wanted)), {**self._change.then, **then}

    def _select(self, then: Mapping[str, Any]) -> None:
        """Set fields of the selection, except a quantity that the shown sample does not have."""
        self._frame.select(**then)
        self._frame.select_sample(self._frame.selection.sample)

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

    def asks_for(self, wanted: Insights) -> bool:
        """Whether the pending query asks for exactly this."""
        return self._requests.pending is not None and self._requests.pending.request.insights == wanted

    def stop(self) -> None:
        """Stop what `busy` tells of first: the pending query or the wanted change, and the work of the model for it."""
        pending = self._requests.pending
        if pending is None and not self.waits_for_change:
            return
        if pending is None or pending.change:
            self._change = None
        self._requests.stop()
        self.settle()

    def cancel(self, *, other_look: bool = False) -> None:
        """Stop waiting for the pending query; its answer is stored but not shown. A change stays wanted.

        Parameters
        ----------
        other_look
            Whether the user has chosen what the cells show: the change does not replace that when it arrives.
        """
        self._requests.pending = None
        if other_look and self._change is not None:
            self._change = replace(self._change, then=_NOTHING)

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
        if pending is not None and pending.change:
            self._change = None
        if answer.request.changed_only and answer.capture is not None:
            self._take_changed(answer.request, answer.capture, pending)
            return
        if answer.capture is None:
            self.message = answer.problem if pending is not None else self.message
            if answer.problem and not answer.request.of_model:
                self._samples.refuse(answer.request.source, answer.problem)
            if pending is not None and pending.perspective:
                self.refused[pending.perspective] = answer.problem
            return
        series = CaptureSeries.of(frame.scene.capture)
        if answer.request.of_model:
            self.message = answer.kept or self.message
            self._take_of_model(series, answer.capture)
            if pending is not None:
                frame.select(**pending.then)
                self.arrived = pending.perspective
            else:
                self.ready = answer.request.perspective
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
                self._select(pending.then)
            if not self.waits_for_change:
                self._change = None  # its fields of the selection were those of this query
        self._free_disk(runner)

    def _take_changed(self, request: SampleRequest, capture: CaptureReader, pending: PendingRequest | None) -> None:
        """Store the newest changed run of a sample; show it if the user still waits for it."""
        sample = self._sample_of_change(request)
        if sample is None or sample.index is None:
            capture.path.unlink(missing_ok=True)
            return
        try:
            self._set_changed_run(sample.index, capture)
        except UserError as error:  # the model's file has changed since
            capture.path.unlink(missing_ok=True)
            self.message = str(error)
            return
        if pending is not None:
            self._frame.select_sample(sample.index)
            self._frame.select(**pending.then)

    def _sample_of_change(self, request: SampleRequest) -> Sample | None:
        """Return the sample of a changed run, unless another one was asked for since, or its unchanged run is gone."""
        if not self._requests.is_newest_change(request):
            return None
        listed = [self._samples[position] for position in self._samples.positions(request.source)]
        return next((one for one in listed if self._requests.made_unchanged_run(one)), None)

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
