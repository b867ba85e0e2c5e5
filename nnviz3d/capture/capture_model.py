"""Capture a model: run it on samples, and write everything that it computes into one capture.

The stages, in order: trace, preprocess, forward, write and connections (batch by batch), capabilities.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.capabilities import write_capabilities
from nnviz3d.capture.capture_notes import first_notes
from nnviz3d.capture.connections.finder import ConnectionFinder
from nnviz3d.capture.inputs.class_names import ClassNames, settle_names
from nnviz3d.capture.inputs.preprocess import Preparation, family_of
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.inputs.token_names import TokenNames
from nnviz3d.capture.programs.activations import TOGETHER, Batch
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.capture.programs.runnable import Runnable, RunnableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.room_on_disk import check_room
from nnviz3d.capture.stage_clock import StageClock
from nnviz3d.capture.work import ReadSamples, Work
from nnviz3d.data.axes import TIME
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.kept_layers import kept_nodes, kept_note
from nnviz3d.data.note_words import ROUNDED_NUMBERS
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Finished, Insights, Notice, Preprocessing
from nnviz3d.data.sample_sources import classes_in
from nnviz3d.data.storage.axis_names import write_texts, write_unit_names
from nnviz3d.data.storage.capture_writer import CaptureWriter, check_destination
from nnviz3d.data.storage.gates import write_gates
from nnviz3d.data.storage.truths import write_truth
from nnviz3d.errors import ModelError
from nnviz3d.version import __version__


@dataclass(frozen=True)
class CaptureSettings:
    """Settings of one capture; the names and meanings are those of `CaptureRequest`.

    Attributes
    ----------
    is_part
        Whether the samples are a part of those of a larger capture, whose program knows where it will be.
    """

    out: Path
    preprocess: Preprocessing | None = None
    classes: tuple[str, ...] | None = None
    all_weights: bool = False
    top_k: int = 256
    seed: int = 0
    transient: bool = False
    notes: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    float16: bool = False
    insights: Insights = field(default_factory=Insights)
    is_part: bool = False


def capture_model(
    model: RunnableModel, samples: Samples, settings: CaptureSettings, report: Report, read: ReadSamples
) -> Finished:
    """Run a model on samples and write the capture.

    Parameters
    ----------
    read
        Reads further samples for the model, such as a data set whose samples are embedded as points.

    Raises
    ------
    ModelError, SampleError
        If the model cannot be traced or fails on the samples.
    UserError
        If the capture cannot be written at its destination, or a pattern of layers to keep fits none, or a number is too
        large for float16.
    """
    check_destination(settings.out)
    clock = StageClock(report)
    trace = _trace(model, samples, clock)
    kept = kept_nodes(settings.keep, trace.graph)
    prepared = _preprocess(trace, model, samples, settings.preprocess, report)
    started = _start_forward(trace, prepared, settings, clock, report)
    pairs = trace.pairs(started.graph, anew=model.live).between(kept)
    finder = ConnectionFinder(pairs, settings.top_k, kept=settings.insights.explains)
    tokens = TokenNames(trace.token_words(started.graph))
    fewer = (
        *((kept_note(settings.keep, len(kept), started.graph),) if settings.keep else ()),
        *((f"The numbers of layers are {ROUNDED_NUMBERS}.",) if settings.float16 else ()),
    )
    notes = (*fewer, *started.names.notes, *trace.notes(started.graph, started.missing), *pairs.skipped)
    provenance = _provenance(model, started, (*settings.notes, *model.loaded.notes, *notes), settings)
    if not settings.is_part:
        beside = prepared.arrays, samples.shown.values()
        check_room(
            settings.out,
            started.first,
            len(samples),
            *beside,
            report,
            keeps=kept.__contains__,
            float16=settings.float16,
        )
    with CaptureWriter(
        settings.out,
        graph=started.graph,
        provenance=provenance,
        samples=len(samples),
        classes=started.names.names,
        transient=settings.transient,
        kept=kept,
        float16=settings.float16,
    ) as writer:
        _write_samples(writer, trace, started)
        _write_batches(writer, started, finder, tokens, clock)
        tokens.write(writer)
        _write_weights(writer, trace, started, settings, clock)
        write_capabilities(writer, _work(trace, started, finder, settings, read), report)
        writer.commit(len(samples))
    model.ran(trace)
    return Finished(out=settings.out, samples=len(samples), nodes=len(started.graph), seconds=clock.seconds)


def prepare_model(model: RunnableModel, samples: Samples, settings: CaptureSettings, report: Report) -> Finished:
    """Run a model on samples as `capture_model` does, and write nothing: later runs find it traced and compiled.

    Raises
    ------
    ModelError, SampleError
        As `capture_model`.
    """
    clock = StageClock(report)
    trace = _trace(model, samples, clock)
    prepared = _preprocess(trace, model, samples, settings.preprocess, lambda _: None)
    started = _start_forward(trace, prepared, settings, clock, lambda _: None)
    finder = ConnectionFinder(trace.pairs(started.graph, anew=model.live), settings.top_k)
    for batch in started.batches:
        finder.found_in(batch)
    clock.stop()
    model.ran(trace)
    return Finished(out=settings.out, samples=0, nodes=len(started.graph), seconds=clock.seconds)


def versions() -> dict[str, str]:
    """Return the versions that a capture depends on."""
    return {
        "nnviz3d": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _trace(model: RunnableModel, samples: Samples, clock: StageClock) -> Runnable:
    """Trace the model for the sizes of the samples, which preprocessing does not change."""
    clock.start("trace")
    trace = model.trace(samples.arrays)
    clock.stop()
    return trace


@dataclass(frozen=True)
class _Prepared:
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


def _preprocess(
    trace: Runnable, model: RunnableModel, samples: Samples, asked: Preprocessing | None, report: Report
) -> _Prepared:
    """Prepare the samples for the model, and report how, and the notes on model and samples."""
    loaded = model.loaded
    prepare = Preparation(trace.scaled, samples.is_picture, asked, family_of(loaded.name, loaded.family))
    for sentence in prepare.sentences:
        report(Notice(text=sentence))
    for note in (*loaded.notes, *first_notes(list(itertools.chain.from_iterable(samples.notes)))):
        report(Notice(text=note))
    return _Prepared(samples, prepare, prepare(samples))


@dataclass(frozen=True)
class _StartedRun:
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
        As in `_Prepared`.
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


def _start_forward(
    trace: Runnable, prepared: _Prepared, settings: CaptureSettings, clock: StageClock, report: Report
) -> _StartedRun:
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
    return _StartedRun(
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


def _provenance(
    model: RunnableModel, run: _StartedRun, notes: tuple[str, ...], settings: CaptureSettings
) -> Provenance:
    return Provenance(
        model=model.loaded.name,
        sha256=model.loaded.sha256,
        preprocessing=run.prepare.mode,
        preprocessing_reason=run.prepare.reason,
        samples=run.samples.names,
        notes=notes,
        sample_notes=run.samples.notes_each,
        versions={**versions(), **model.versions},
        seed=settings.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kept=settings.keep,
    )


def _write_samples(writer: CaptureWriter, trace: Runnable, run: _StartedRun) -> None:
    """Write what is known of the samples besides their numbers: texts, names of units, and labels."""
    for node_id, array in zip(run.graph.inputs, run.arrays, strict=True):
        if array.dtype.kind in "OSU":
            write_texts(writer, node_id, np.asarray(array))
    for node_id, names in trace.unit_names(run.graph, run.samples.columns).items():
        write_unit_names(writer, node_id, names)
    if run.samples.labels is not None:
        writer.write_labels(run.samples.labels)


def _write_inputs(writer: CaptureWriter, run: _StartedRun, batch: Batch) -> None:
    """Write what the model was given for a batch, the pictures of its samples, and their true outputs."""
    rows = slice(batch.start, batch.start + batch.count)
    for node_id, spec, array in zip(run.graph.inputs, run.specs, run.arrays, strict=True):
        if array.dtype.kind in "biuf":
            writer.write_input(node_id, batch.start, array[rows])
        shown = run.samples.shown.get(spec.name)
        if shown is not None:
            writer.write_pictures(node_id, shown[rows], batch.start)
    if run.samples.truth is not None:
        write_truth(writer, run.graph, run.samples.truth[rows], batch.start)


def _write_batches(
    writer: CaptureWriter,
    run: _StartedRun,
    finder: ConnectionFinder,
    tokens: TokenNames,
    clock: StageClock,
) -> None:
    """Run each batch; a thread writes its numbers and finds its connections while the next one is computed."""
    count = len(run.samples)
    beside = clock.beside()
    with ThreadPoolExecutor(1, "nnviz3d writer") as pool:
        writing: Future[None] | None = None
        for batch in run.batches:
            if writing is not None:
                clock.stop()
                writing.result()  # at most two batches are in memory
            writing = pool.submit(_write_batch, writer, run, finder, tokens, beside, batch)
            clock.start("forward", count, batch.start + batch.count)
        clock.stop()
        if writing is not None:
            writing.result()
    for stage, seconds in beside.seconds.items():
        clock.add(stage, seconds)


def _write_batch(
    writer: CaptureWriter,
    run: _StartedRun,
    finder: ConnectionFinder,
    tokens: TokenNames,
    clock: StageClock,
    batch: Batch,
) -> None:
    """Write a batch's inputs and activations, and find its strongest connections."""
    count = len(run.samples)
    clock.start("write", count, batch.start)
    _write_inputs(writer, run, batch)
    for node_id, output in batch:
        numbers = batch.numbers(node_id, output) if writer.keeps(node_id) else None
        if numbers is not None:
            _check_length(run.graph.node(node_id), output, numbers.shape[1:])
            writer.write_activations(node_id, output, batch.start, numbers)
    for node_id in filter(writer.keeps, batch.gates):
        write_gates(writer, node_id, batch.start, batch.gate_numbers(node_id))
    tokens.add(batch)
    clock.start("connections", count, batch.start)
    finder.add(batch, writer)
    clock.stop()


def _check_length(node: LayerNode, output: int, shape: tuple[int, ...]) -> None:
    """Refuse numbers whose shape differs from that of the first samples: a capture has one shape for all samples."""
    if shape != node.shapes[output]:
        raise ModelError(
            f"{node.id!r} gives the first samples the shape {node.shapes[output]} and later ones {shape}, and samples of "
            f"one capture need one shape; capture at most {TOGETHER:,} samples, or give the layer a fixed length (of "
            "TextVectorization: output_sequence_length)."
        )


def _write_weights(
    writer: CaptureWriter, trace: Runnable, run: _StartedRun, settings: CaptureSettings, clock: StageClock
) -> None:
    """Write what does not depend on single batches: the weights."""
    clock.start("write", len(run.samples), len(run.samples))
    if not settings.transient:
        trace.write_weights(writer, everything=settings.all_weights)
    clock.stop()


def _work(
    trace: Runnable,
    run: _StartedRun,
    finder: ConnectionFinder,
    settings: CaptureSettings,
    read: ReadSamples,
) -> Work:
    """Collect everything from which the capabilities are computed."""
    return Work(
        insights=settings.insights,
        program=trace,
        samples=run.samples,
        arrays=run.arrays,
        classes=run.names.names,
        prepare=run.prepare,
        read=lambda sources, **how: run.names.labelled(read(sources, **how)),
        connections=finder.found,
        out=settings.out,
    )
