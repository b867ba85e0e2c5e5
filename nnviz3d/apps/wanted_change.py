"""The interventions that the user waits for, and the part of them that a sample can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnviz3d.apps.samples import Sample
from nnviz3d.data.capabilities.interventions import Intervention


@dataclass(frozen=True)
class WantedChange:
    """Interventions that were asked for, until the shown sample's run has them.

    Attributes
    ----------
    interventions
        All of them; none is a run without a change.
    then
        Fields of `Selection` that are set when the run arrives.
    words
        A sentence that says what the model does, without the sample's name at its end.
    """

    interventions: tuple[Intervention, ...]
    then: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""

    def of(self, sample: Sample) -> tuple[Intervention, ...]:
        """Return those that a sample can have."""
        return possible_interventions(self.interventions, sample)


def possible_interventions(listed: tuple[Intervention, ...], sample: Sample) -> tuple[Intervention, ...]:
    """Return the interventions that a sample can have: paint over a drawing or a kept painting is part of it."""
    return tuple(one for one in listed if not (one.picture and (sample.drawing or one.picture in sample.paint)))
