"""Requests to the model while a session runs: the pending request, and everything asked of each sample before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnviz3d.apps.sample_runner import Answer, SampleRequest, SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.request import STAGES, Insights
from nnviz3d.data.targets import PREDICTED

_SLOW = ("import", "load", "trace")
"""Stages that a worker goes through only once."""


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
    """

    position: int
    request: SampleRequest
    then: Mapping[str, Any] = field(default_factory=dict)
    words: str = "Running the model on"
    perspective: str = ""


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
        self.pending: PendingRequest | None = None

    def can_run(self, sample: Sample) -> bool:
        """Whether the model can be run on a sample."""
        return self._runner is not None and sample.source is not None

    def run(self, position: int, sample: Sample, more: Insights, then: Mapping[str, Any]) -> bool:
        """Request the first run on a sample; returns whether that is possible."""
        return self._send(position, sample, Insights(), more, then, PendingRequest.words)

    def run_again(
        self,
        position: int,
        sample: Sample,
        found: SampleExplanations,
        more: Insights,
        then: Mapping[str, Any],
        words: str,
        perspective: str = "",
    ) -> bool:
        """Request another run on a sample; returns whether that is possible.

        Parameters
        ----------
        found
            What the earlier run computed; the next run computes it too.
        more
            What the next run has to compute in addition.
        then, words, perspective
            As in `PendingRequest`.
        """
        targets = tuple(one.target.text for one in found.targets if one.slot != PREDICTED)
        before = Insights(targets=targets, gradients=found.has_gradients(), interventions=found.interventions)
        return self._send(position, sample, before, more, then, words, perspective)

    def run_for_model(
        self, position: int, sample: Sample, wanted: Insights, then: Mapping[str, Any], perspective: str
    ) -> bool:
        """Request what belongs to the model, with a sample as an example; returns whether that is possible."""
        if self._runner is None or sample.source is None:
            return False
        request = SampleRequest(sample.source, wanted, of_model=True)
        self.pending = PendingRequest(position, request, then, perspective=perspective)
        self._runner.ask(request)
        return True

    def can_run_changed_only(self, sample: Sample) -> bool:
        """Whether a changed run alone can be requested without replacing a pending request of another kind or sample."""
        pending = self.pending
        return pending is None or (pending.request.changed_only and pending.request.source == sample.source)

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
        self.pending = PendingRequest(position, request, then, words)
        self._runner.ask(request)
        return True

    def record(self, sample: Sample, more: Insights) -> None:
        """Let later requests for a sample ask for this too, or no longer for what it replaces."""
        if sample.source is not None:
            self._asked[sample.source] = self._asked.get(sample.source, Insights()).plus(more)

    def expect(self, sample: Sample, more: Insights) -> None:
        """Let the model prepare for a changed run of a sample."""
        if self._runner is not None and sample.source is not None:
            self._runner.expect(SampleRequest(sample.source, more, changed_only=True))

    def stop(self) -> None:
        """Stop the pending request, and its work."""
        if self.pending is None or self._runner is None:
            return
        if not self.pending.request.of_model:
            self._asked.pop(self.pending.request.source, None)
        self.pending = None
        self._runner.stop()

    def _send(
        self,
        position: int,
        sample: Sample,
        before: Insights,
        more: Insights,
        then: Mapping[str, Any],
        words: str,
        perspective: str = "",
    ) -> bool:
        if self._runner is None or sample.source is None:
            return False
        # Includes what earlier requests asked for, so that their results are not lost if they are still under way.
        more = before.plus(self._asked.get(sample.source, Insights())).plus(more)
        self._asked[sample.source] = more
        self.pending = PendingRequest(position, SampleRequest(sample.source, more), then, words, perspective)
        self._runner.ask(self.pending.request)
        return True

    def finish(self, answer: Answer) -> PendingRequest | None:
        """Record an answer; returns the pending request if this is its answer, which is then no longer pending."""
        if answer.capture is None and not answer.request.of_model:
            self._asked.pop(answer.request.source, None)
        pending = self.pending
        if pending is None or pending.request != answer.request:
            return None
        self.pending = None
        return pending

    def status(self, name: str) -> str:
        """Return a sentence on the pending request for the sample of this name; empty if none is pending."""
        if self.pending is None or self._runner is None:
            return ""
        stage, share = self._runner.stage, self._runner.share
        if (self.pending.perspective or self.pending.request.of_model) and stage:
            return f"{STAGES[stage]} · {share:.0%}" if share is not None else STAGES[stage]
        words = f"{self.pending.words} {name}"
        return f"{STAGES[stage]}, then {words[0].lower()}{words[1:]}" if stage in _SLOW else words
