"""Capture a model: run it on samples, and write everything that it computes into one capture.

The stages, in order: trace, preprocess, forward, write and connections (batch by batch), capabilities.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.capabilities import write_capabilities
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.connections.finder import ConnectionFinder
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.inputs.token_names import TokenNames
from nnviz3d.capture.programs.activations import TOGETHER, Batch
from nnviz3d.capture.programs.runnable import Runnable, RunnableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.room_on_disk import check_room
from nnviz3d.capture.stage_clock import StageClock
from nnviz3d.capture.started_run import StartedRun, preprocess, start_forward
from nnviz3d.capture.work import ReadSamples, Work
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.kept_layers import kept_nodes, kept_note
from nnviz3d.data.note_words import ROUNDED_NUMBERS
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Finished
from nnviz3d.data.storage.axis_names import write_texts, write_unit_names
from nnviz3d.data.storage.capture_writer import CaptureWriter, check_destination
from nnviz3d.data.storage.gates import write_gates
from nnviz3d.data.storage.truths import write_truth
from nnviz3d.errors import ModelError
from nnviz3d.version import __version__


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
    prepared = preprocess(trace, model, samples, settings.preprocess, report)
    started = start_forward(trace, prepared, settings, clock, report)
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
    prepared = preprocess(trace, model, samples, settings.preprocess, lambda _: None)
    started = start_forward(trace, prepared, settings, clock, lambda _: None)
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


def _provenance(model: RunnableModel, run: StartedRun, notes: tuple[str, ...], settings: CaptureSettings) -> Provenance:
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


def _write_samples(writer: CaptureWriter, trace: Runnable, run: StartedRun) -> None:
    """Write what is known of the samples besides their numbers: texts, names of units, and labels."""
    for node_id, array in zip(run.graph.inputs, run.arrays, strict=True):
        if array.dtype.kind in "OSU":
            write_texts(writer, node_id, np.asarray(array))
    for node_id, names in trace.unit_names(run.graph, run.samples.columns).items():
        write_unit_names(writer, node_id, names)
    if run.samples.labels is not None:
        writer.write_labels(run.samples.labels)


def _write_inputs(writer: CaptureWriter, run: StartedRun, batch: Batch) -> None:
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
    run: StartedRun,
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
    run: StartedRun,
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
    writer: CaptureWriter, trace: Runnable, run: StartedRun, settings: CaptureSettings, clock: StageClock
) -> None:
    """Write what does not depend on single batches: the weights."""
    clock.start("write", len(run.samples), len(run.samples))
    if not settings.transient:
        trace.write_weights(writer, everything=settings.all_weights)
    clock.stop()


def _work(
    trace: Runnable,
    run: StartedRun,
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
