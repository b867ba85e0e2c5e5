"""Computes what is wanted of a model beyond one forward pass, and writes it into the capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from nnviz3d.capture.attention import write_attention_scores
from nnviz3d.capture.embedding import write_embeddings
from nnviz3d.capture.explain import check_targets, write_explanations
from nnviz3d.capture.features import write_feature_visualizations
from nnviz3d.capture.gradient_flow import Found
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.data.request import Insights
from nnviz3d.data.storage.capture_writer import CaptureWriter


class ReadSamples(Protocol):
    """Reads samples for the model; see `KeptModel.samples`."""

    def __call__(self, sources: Sequence[str], *, seed: int = 0, shapes: Sequence[tuple[int, ...]] = ()) -> Samples:
        """Read what these sources name."""
        ...


@dataclass(frozen=True)
class Work:
    """What there is to compute, and from what.

    Attributes
    ----------
    insights
        What is wanted.
    model
        The model, traced for samples of these shapes.
    samples, arrays
        What the capture is of, as read and as the model takes it: ``(N, *shape)`` for each input.
    classes
        Names of the classes, if known.
    prepare
        Brings other samples to what the model takes, as these were.
    read
        Reads other samples.
    out
        Where the capture will stand; an earlier one may stand there still.
    connections
        The strongest of each pair of layers, which are written already.
    """

    insights: Insights
    model: DifferentiableModel
    samples: Samples
    arrays: Sequence[NDArray[Any]]
    classes: tuple[str, ...] | None
    prepare: Callable[[Samples], list[NDArray[Any]]]
    read: ReadSamples
    out: Path
    connections: Found = field(default_factory=dict)


def write_insights(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Compute all that is wanted and write it.

    Raises
    ------
    UserError
        If something cannot be computed for this model or these samples; the sentence says why and what to do.
    """
    if work.insights.explains:
        write_explanations(writer, work, report)
    else:
        check_targets(work)
    if work.insights.attention:
        write_attention_scores(writer, work.model.described, work.model.specs, work.arrays, report)
    if work.insights.embeddings:
        write_embeddings(writer, work, report)
    if work.insights.features:
        write_feature_visualizations(writer, work, report)
