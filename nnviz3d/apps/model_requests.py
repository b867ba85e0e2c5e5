"""What the model is asked for while people look: what they wait for, and all that was asked of a sample before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnviz3d.apps.sample_runner import Answer, Live, Wish
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.worker import STAGES
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import PREDICTED

_SLOW = ("import", "load", "trace")
"""Stages that a kept worker goes through once."""


@dataclass(frozen=True)
class Waiting:
    """What people wait for.

    Attributes
    ----------
    position
        Of the sample.
    then
        What is selected when the answer is there: fields of `Selection`.
    words
        A sentence that says what is done, but for the sample's name.
    """

    position: int
    wish: Wish
    then: Mapping[str, Any] = field(default_factory=dict)
    words: str = "Running the model on"


class Wishes:
    """Asks, and tells what is waited for. Only the newest wish is waited for.

    Parameters
    ----------
    live
        Who runs the model; without, nothing can be asked.

    Attributes
    ----------
    waiting
        What is waited for; `None` if nothing is, or nothing any more.
    """

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._asked: dict[str, Insights] = {}
        self.waiting: Waiting | None = None

    def can(self, sample: Sample) -> bool:
        """Whether the model can be run on a sample."""
        return self._live is not None and sample.source is not None

    def run(self, position: int, sample: Sample, more: Insights) -> bool:
        """Have the model run on a sample for the first time; returns whether it can be."""
        return self._ask(position, sample, more, {}, Waiting.words)

    def run_again(
        self,
        position: int,
        sample: Sample,
        found: SampleExplanations,
        more: Insights,
        then: Mapping[str, Any],
        words: str,
    ) -> bool:
        """Have the model run once more on a sample; returns whether it can be.

        Parameters
        ----------
        found
            What the earlier run tells, which the next has to tell too.
        more
            What it has to tell beyond that.
        then, words
            As `Waiting` has them.
        """
        targets = tuple(one.target.text for one in found.targets if one.slot != PREDICTED)
        before = Insights(targets=targets, gradients=found.has_gradients())
        return self._ask(position, sample, before.plus(more), then, words)

    def _ask(self, position: int, sample: Sample, more: Insights, then: Mapping[str, Any], words: str) -> bool:
        if self._live is None or sample.source is None:
            return False
        # What was asked for and is on its way is not to be lost again.
        more = self._asked.get(sample.source, Insights()).plus(more)
        self._asked[sample.source] = more
        self.waiting = Waiting(position, Wish(sample.source, more), then, words)
        self._live.ask(self.waiting.wish)
        return True

    def take(self, answer: Answer) -> Waiting | None:
        """Take note of an answer; returns what was waited for if this is it, and then nothing is waited for any more."""
        if answer.capture is None:
            self._asked.pop(answer.wish.source, None)
        waiting = self.waiting
        if waiting is None or waiting.wish != answer.wish:
            return None
        self.waiting = None
        return waiting

    def busy(self, name: str) -> str:
        """Return a sentence that says what is waited for of the sample of this name, or nothing."""
        if self.waiting is None or self._live is None:
            return ""
        return f"{STAGES[self._live.stage]} for {name}" if self._live.stage in _SLOW else f"{self.waiting.words} {name}"
