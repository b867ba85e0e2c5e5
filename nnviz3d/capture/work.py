"""Everything from which a capability is computed: the request, the traced model, and the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.runnable import Runnable
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.targets import Slot, find_slots
from nnviz3d.data.records import Connections, Ranking
from nnviz3d.data.request import Insights, Progress

_PARTS = 100
"""Parts of a stage, if its progress is reported as a share."""


class ReadSamples(Protocol):
    """Reads samples for the model; see `CachedModel.samples`."""

    def __call__(self, sources: Sequence[str], *, seed: int = 0, shapes: Sequence[tuple[int, ...]] = ()) -> Samples:
        """Read the samples that the sources name."""
        ...


@dataclass(frozen=True)
class Work:
    """The request for one capture, and everything that it is computed from.

    Attributes
    ----------
    insights
        The request.
    program
        The model, for samples of these shapes.
    samples, arrays
        The samples of the capture, as they were read and as the model takes them: ``(N, *shape)`` for each input.
        Slices of them are in memory.
    classes
        Names of the classes, if known.
    prepare
        Preprocesses other samples as these were.
    read
        Reads other samples.
    out
        The path of the capture. An earlier capture may still be there.
    connections
        For each pair of nodes and each ranking, the strongest connections of each sample. They are written already.
    """

    insights: Insights
    program: Runnable
    samples: Samples
    arrays: Sequence[Rows]
    classes: tuple[str, ...] | None
    prepare: Callable[[Samples], list[Rows]]
    read: ReadSamples
    out: Path
    connections: Mapping[tuple[str, str], Mapping[Ranking, Sequence[Connections]]] = field(default_factory=dict)

    @property
    def model(self) -> DifferentiableModel:
        """The model as a function that can be differentiated; a `ModelError` if it has no gradients."""
        return self.program.differentiable

    @property
    def loaded(self) -> LoadedModel:
        """The Keras model; a `ModelError` if it is not one."""
        return self.program.loaded

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The explained targets with their scores.

        Raises
        ------
        ModelError
            If the model has no such target.
        """
        return find_slots(self.model, self.arrays, self.insights.targets, self.classes)


def share_of(report: Report, stage: str) -> Callable[[float], None]:
    """Return a function that reports the share of a stage that is done, from 0 to 1."""
    return lambda share: report(Progress(stage=stage, done=round(_PARTS * share), total=_PARTS))
