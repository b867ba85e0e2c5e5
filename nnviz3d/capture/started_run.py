"""Start of a model's run on samples: preprocessing, and the first batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nnviz3d.capture.capture_notes import first_notes
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.inputs.class_names import ClassNames, settle_names
from nnviz3d.capture.inputs.preprocess import Preparation, family_of
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.capture.programs.runnable import Runnable, RunnableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.stage_clock import StageClock
from nnviz3d.data.axes import TIME
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.request import Notice, Preprocessing
from nnviz3d.data.sample_sources import classes_in


@dataclass(frozen=True)
class Prepared:
    """Samples, and the arrays that the model is given for them.

    Attributes
    ----------
    samples
        The samples as they were read.
    prepare
        The preprocessing.
    arrays
        The result of preprocessing, ``(N, *shape)`` for each input.
    """

    samples: Samples
    prepare: Preparation
    arrays: Sequence[Rows]


def preprocess(
    trace: Runnable, model: RunnableModel, samples: Samples, asked: Preprocessing | None, report: Report
) -> Prepared:
    """Prepare the samples for the model, and report how, and the notes on model and samples."""
    loaded = model.loaded
    prepare = Preparation(trace.scaled, samples.is_picture, asked, family_of(loaded.name, loaded.family))
    for sentence in prepare.sentences:
        report(Notice(text=sentence))
    for note in (*loaded.notes, *first_notes(list(itertools.chain.from_iterable(samples.notes)))):
        report(Notice(text=note))
    return Prepared(samples, prepare, prepare(samples))


@dataclass(frozen=True)
class StartedRun:
    """A forward pass whose first batch was computed.

    Attributes
    ----------
    graph
        The graph with the real shapes of all outputs.
    missing
        Ids of the nodes with an output that holds no numbers for each sample; once for each such output.
    specs
        The model's inputs, in the order of the graph's.
    samples
        The samples; their labels are positions among `names`.
    prepare, arrays
        As in `Prepared`.
    names
        Names of the model's classes.
    first
        The first batch.
    batches
        All batches, the first one included; can be read once.
    """

    graph: ModelGraph
    missing: Sequence[str]
    specs: Sequence[InputSpec]
    samples: Samples
    prepare: Preparation
    arrays: Sequence[Rows]
    names: ClassNames
    first: Batch
    batches: Iterator[Batch]


def start_forward(
    trace: Runnable, prepared: Prepared, settings: CaptureSettings, clock: StageClock, report: Report
) -> StartedRun:
    """Run the first batch, which shows the remaining shapes, and settle the names of the classes."""
    samples = prepared.samples
    clock.start("forward", len(samples))
    batches = trace.batches(prepared.arrays)
    first = next(batches)
    graph, missing = with_real_shapes(trace.graph, first)
    graph = _with_times(graph, samples)
    names = settle_names(settings.classes, samples, graph, classes_in(settings.insights.dataset))
    for note in names.notes:
        report(Notice(text=note))
    return StartedRun(
        graph=graph,
        missing=missing,
        specs=trace.specs,
        samples=names.labelled(samples),
        prepare=prepared.prepare,
        arrays=prepared.arrays,
        names=names,
        first=first,
        batches=itertools.chain([first], batches),
    )


def with_real_shapes(graph: ModelGraph, batch: Batch) -> tuple[ModelGraph, list[str]]:
    """Correct the shapes that only a run shows, for example of layers that fold windows into the batch axis.

    Returns
    -------
    graph
        The graph with the corrected shapes.
    missing
        The node of each output that holds no numbers for each sample.
    """
    nodes, missing = [], []
    for node in graph:
        shapes = list(node.shapes)
        for k in range(len(shapes)):
            numbers = batch.numbers(node.id, k)
            if numbers is None:
                missing.append(node.id)
            else:
                shapes[k] = tuple(numbers.shape[1:])
        nodes.append(node if tuple(shapes) == node.shapes else replace(node, shapes=tuple(shapes)))
    return replace(graph, nodes=tuple(nodes)), missing


def _with_times(graph: ModelGraph, samples: Samples) -> ModelGraph:
    """Name the axis of each vector ``(T,)`` that is a sound."""
    sounds = {name for name, sound in zip(graph.inputs, samples.sounds, strict=False) if sound}
    nodes = (
        replace(node, named_axes=(TIME,)) if node.id in sounds and len(node.shape) == 1 else node for node in graph
    )
    return replace(graph, nodes=tuple(nodes)) if sounds else graph
