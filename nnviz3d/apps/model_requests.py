"""Requests to the model while a session runs: the pending request, and everything asked of each sample before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nnviz3d.apps.sample_runner import Answer, SampleRequest, SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.wanted_change import WantedChange
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.request import STAGES, Insights
from nnviz3d.data.targets import PREDICTED

_SLOW = ("import", "load", "trace")
"""Stages that a worker goes through only once."""
_UNSENT = SampleRequest("")
"""The request of what is not sent yet."""


NAME_IT = "name it beside the capture, --model MODEL"
"""The advice on a capture that is shown without its model."""


@dataclass(frozen=True)
class PendingRequest:
    """The request that the user waits for.

    Attributes
    ----------
    position
        Position of the sample.
    then
        Fields of `Selection` that are set when the answer arrives.
    words
        A sentence that says what the model does, without the sample's name at its end.
    perspective
        The perspective that is shown when the answer arrives; empty for the one that is shown.
    change
        Whether it was sent for nothing but other interventions in the shown sample's run.
    """

    position: int
    request: SampleRequest
    then: Mapping[str, Any] = field(default_factory=dict)
    words: str = "Running the model on"
    perspective: str = ""
    change: bool = False

    @property
    def interventions(self) -> tuple[Intervention, ...] | None:
        """The interventions of the run; `None` if the request leaves them as they are."""
        insights = self.request.insights
        named = not self.request.of_model and "interventions" in insights.model_fields_set
        return insights.interventions if named else None


class ModelRequests:
    """Sends requests, and knows which one is pending: always the newest.

    Parameters
    ----------
    runner
        Runs the model; without it no request can be sent.

    Attributes
    ----------
    pending
        The pending request; `None` if there is none, or if the user waits for it no longer.
    """

    def __init__(self, runner: SampleRunner | None) -> None:
        self._runner = runner
        self._asked: dict[str, Insights] = {}
        self._last: SampleRequest | None = None
        self.pending: PendingRequest | None = None

    @property
    def under_way(self) -> bool:
        """Whether the answer of the last request is still to arrive, even if the user waits for it no longer."""
        return self._last is not None

    def can_run(self, sample: Sample) -> bool:
        """Whether the model can be run on a sample."""
        return self._runner is not None and sample.source is not None

    def run(
        self,
        position: int,
        sample: Sample,
        more: Insights,
        then: Mapping[str, Any],
        words: str = PendingRequest.words,
        perspective: str = "",
    ) -> bool:
        """Request the first run on a sample; returns whether that is possible."""
        return self._send(sample, Insights(), more, PendingRequest(position, _UNSENT, then, words, perspective))

    def run_again(
        self,
        position: int,
        sample: Sample,
        found: SampleExplanations,
        more: Insights,
        then: Mapping[str, Any],
        words: str,
        perspective: str = "",
        *,
        change: bool = False,
    ) -> bool:
        """Request another run on a sample; returns whether that is possible.

        Parameters
        ----------
        found
            What the earlier run computed; the next run computes it too.
        more
            What the next run has to compute in addition.
        then, words, perspective, change
            As in `PendingRequest`.
        """
        targets = tuple(one.target.text for one in found.targets if one.slot != PREDICTED)
        before = Insights(targets=targets, gradients=found.has_gradients(), interventions=found.interventions)
        pending = PendingRequest(position, _UNSENT, then, words, perspective, change)
        return self._send(sample, before, more, pending)

    def run_for_model(
        self, position: int, sample: Sample, wanted: Insights, then: Mapping[str, Any], perspective: str
    ) -> bool:
        """Request what belongs to the model, with a sample as an example; returns whether that is possible."""
        if self._runner is None or sample.source is None:
            return False
        request = SampleRequest(sample.source, wanted, of_model=True, perspective=perspective)
        self._ask(PendingRequest(position, request, then, perspective=perspective), self._runner)
        return True

    def made_unchanged_run(self, sample: Sample) -> bool:
        """Whether the same worker made the unchanged run of a sample, so that a changed run can be compared with it.

        Numbers of another machine, another version or another batch differ by rounding, which is no change.
        """
        if self._runner is None or sample.source is None or sample.index is None:
            return False
        return self._runner.made(sample.index, sample.source)

    def run_changed(self, position: int, sample: Sample, more: Insights, then: Mapping[str, Any], words: str) -> bool:
        """Request a changed run alone of a sample that the model has been run on; returns whether that is possible."""
        if self._runner is None or sample.source is None:
            return False
        self.record(sample, more)
        request = SampleRequest(sample.source, more, changed_only=True)
        self._ask(PendingRequest(position, request, then, words, change=True), self._runner)
        return True

    def is_newest_change(self, request: SampleRequest) -> bool:
        """Whether no other interventions were asked for a request's sample since it was sent."""
        asked = self._asked.get(request.source)
        return asked is not None and asked.interventions == request.insights.interventions

    def record(self, sample: Sample, more: Insights) -> None:
        """Let later requests for a sample ask for this too, or no longer for what it replaces."""
        if sample.source is not None:
            self._asked[sample.source] = self._asked.get(sample.source, Insights()).plus(more)

    def expect(self, sample: Sample, more: Insights) -> None:
        """Let the model prepare for a changed run of a sample."""
        if self._runner is not None and sample.source is not None:
            self._runner.expect(SampleRequest(sample.source, more, changed_only=True))

    def stop(self) -> None:
        """Stop the last request, and its work."""
        if self._last is None or self._runner is None:
            return
        if not self._last.of_model:
            self._asked.pop(self._last.source, None)
        self.pending = self._last = None
        self._runner.stop()

    def _send(self, sample: Sample, before: Insights, more: Insights, pending: PendingRequest) -> bool:
        """Request a run on a sample, and let the user wait for it."""
        if self._runner is None or sample.source is None:
            return False
        # Includes what earlier requests asked for, so that their results are not lost if they are still under way.
        more = before.plus(self._asked.get(sample.source, Insights())).plus(more)
        self._asked[sample.source] = more
        self._ask(replace(pending, request=SampleRequest(sample.source, more)), self._runner)
        return True

    def _ask(self, pending: PendingRequest, runner: SampleRunner) -> None:
        self.pending, self._last = pending, pending.request
        runner.ask(pending.request)

    def finish(self, answer: Answer) -> PendingRequest | None:
        """Record an answer; returns the pending request if this is its answer, which is then no longer pending."""
        if answer.capture is None and not answer.request.of_model:
            self._asked.pop(answer.request.source, None)
        if answer.request == self._last:
            self._last = None
        pending = self.pending
        if pending is None or pending.request != answer.request:
            return None
        self.pending = None
        return pending

    def status(self, sample: Sample, change: WantedChange | None) -> str:
        """Return a sentence on the pending request and on the change that the user waits for; empty without both.

        Parameters
        ----------
        sample
            The sample of the pending request; without one, the sample that is shown.
        change
            The interventions that the shown sample's run lacks.
        """
        words, pending = self._words(sample.name), self.pending
        if change is None or (pending is not None and pending.change):
            return words
        if pending is None:
            return f"{change.words} {sample.name}"
        if pending.interventions == change.of(sample):
            return f"{words}, with interventions" if pending.interventions else words
        return f"{words}, then {change.words[0].lower()}{change.words[1:]} {sample.name}"

    def _words(self, name: str) -> str:
        """Return a sentence on the pending request for the sample of this name; empty if none is pending."""
        if self.pending is None or self._runner is None:
            return ""
        stage, share = self._runner.stage, self._runner.share
        if (self.pending.perspective or self.pending.request.of_model) and stage:
            return f"{STAGES[stage]} · {share:.0%}" if share is not None else STAGES[stage]
        words = f"{self.pending.words} {name}"
        return f"{STAGES[stage]}, then {words[0].lower()}{words[1:]}" if stage in _SLOW else words
