"""Captures a model: runs it on samples and writes all that was seen into one capture."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.attention import hidden_attention
from nnviz3d.capture.capabilities import write_capabilities
from nnviz3d.capture.connections.finder import ConnectionFinder
from nnviz3d.capture.inputs.class_names import settle_names
from nnviz3d.capture.inputs.preprocess import Preparation
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.hidden_networks import hidden_remarks
from nnviz3d.capture.programs.trace import Trace, TracedModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.weights import write_weights
from nnviz3d.capture.work import ReadSamples, Work
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Finished, Insights, Notice, Preprocessing, Progress
from nnviz3d.data.sample_sources import classes_in
from nnviz3d.data.storage.capture_writer import CaptureWriter, check_destination
from nnviz3d.version import __version__

_TOLD = 2
"""Most notes on single samples that the terminal shows; the capture keeps all of them."""


@dataclass(frozen=True)
class Options:
    """How to capture; the names and meanings are those of `CaptureRequest`."""

    out: Path
    preprocess: Preprocessing | None = None
    classes: tuple[str, ...] | None = None
    all_weights: bool = False
    top_k: int = 256
    seed: int = 0
    transient: bool = False
    insights: Insights = field(default_factory=Insights)


def capture_model(
    model: TracedModel, samples: Samples, options: Options, report: Report, read: ReadSamples
) -> Finished:
    """Run a model on samples and write the capture.

    Parameters
    ----------
    read
        Reads further samples for the model, such as a data set to be placed as points.

    Raises
    ------
    ModelError, SampleError
        If the model cannot be traced or fails on the samples.
    UserError
        If the capture cannot be written where it should be.
    """
    check_destination(options.out)
    loaded = model.loaded
    clock = _Clock(report)
    # The samples determine the sizes for the trace, whatever is done to their numbers.
    clock.start("trace")
    trace = model.trace(samples.arrays)
    clock.stop()
    preparation = _prepared(trace, model, samples, options.preprocess)
    for sentence in preparation.sentences:
        report(Notice(text=sentence))
    for note in (*loaded.notes, *_first(list(itertools.chain.from_iterable(samples.notes)))):
        report(Notice(text=note))
    arrays = preparation(samples)

    clock.start("forward", len(samples))
    batches = trace.forward.batches(arrays)
    batch = next(batches)
    # Some shapes are known only now, for example of layers that fold windows into the batch axis.
    described, missing = _with_real_shapes(trace.described, batch)
    pairs = trace.pairs(described, anew=model.live)
    finder = ConnectionFinder(pairs, options.top_k)
    names = settle_names(options.classes, samples, described.graph, classes_in(options.insights.dataset))
    samples = names.labelled(samples)
    for note in names.notes:
        report(Notice(text=note))
    remarks = _remarks(described, pairs.skipped, random=trace.forward.draws, missing=missing)
    provenance = Provenance(
        model=loaded.name,
        sha256=loaded.sha256,
        preprocessing=preparation.mode,
        preprocessing_reason=preparation.reason,
        samples=samples.names,
        notes=(*loaded.notes, *names.notes, *remarks),
        sample_notes=samples.notes_each,
        versions=versions(),
        seed=options.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with CaptureWriter(
        options.out,
        graph=described.graph,
        provenance=provenance,
        samples=len(samples),
        classes=names.names,
        transient=options.transient,
    ) as writer:
        _write_samples(writer, described, samples, arrays)
        for part in itertools.chain([batch], batches):
            clock.start("write", len(samples), part.start)
            for node_id, output in part:
                numbers = part.numbers(node_id, output)
                if numbers is not None:
                    writer.write_activations(node_id, output, part.start, numbers)
            clock.start("connections", len(samples), part.start)
            finder.add(part)
            clock.start("forward", len(samples), part.start + part.count)
        clock.start("write", len(samples), len(samples))
        finder.write(writer)
        if not options.transient:
            write_weights(writer, described, everything=options.all_weights)
        clock.stop()
        work = Work(
            insights=options.insights,
            loaded=loaded,
            model=trace.differentiable,
            samples=samples,
            arrays=arrays,
            classes=names.names,
            prepare=preparation,
            read=lambda sources, **how: names.labelled(read(sources, **how)),
            connections=finder.found,
            out=options.out,
        )
        write_capabilities(writer, work, report)
        writer.commit(len(samples))
    clock.stop()
    model.ran(trace)
    return Finished(out=options.out, samples=len(samples), nodes=len(described.graph), seconds=clock.seconds)


def versions() -> dict[str, str]:
    """Return the versions that a capture depends on."""
    return {
        "nnviz3d": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _prepared(trace: Trace, model: TracedModel, samples: Samples, asked: Preprocessing | None) -> Preparation:
    loaded = model.loaded
    family = (loaded.name.removeprefix("keras:"), loaded.family) if loaded.family else None
    return Preparation(trace.described, samples.is_picture, asked, family)


def _with_real_shapes(described: DescribedModel, batch: Batch) -> tuple[DescribedModel, list[str]]:
    """Correct the shapes that only a run shows, and list the outputs that hold no numbers for each sample."""
    nodes, missing = [], []
    for node in described.graph:
        shapes = list(node.shapes)
        for k in range(len(shapes)):
            numbers = batch.numbers(node.id, k)
            if numbers is None:
                missing.append(node.id)
            else:
                shapes[k] = tuple(numbers.shape[1:])
        nodes.append(node if tuple(shapes) == node.shapes else replace(node, shapes=tuple(shapes)))
    return replace(described, graph=replace(described.graph, nodes=tuple(nodes))), missing


def _write_samples(
    writer: CaptureWriter, described: DescribedModel, samples: Samples, arrays: Sequence[NDArray[Any]]
) -> None:
    for name, array in zip(described.graph.inputs, arrays, strict=True):
        if array.dtype.kind in "biuf":
            writer.write_input(name, 0, array)
    for node_id in described.graph.inputs:
        shown = samples.shown.get(described.call(node_id).operation.name)
        if shown is not None:
            writer.write_pictures(node_id, shown)
    if samples.labels is not None:
        writer.write_labels(samples.labels)


def _first(notes: Sequence[str]) -> Sequence[str]:
    """Return the notes on single samples for the terminal: the first few, and the number of the others."""
    if len(notes) <= _TOLD + 1:
        return notes
    more = f"{len(notes) - _TOLD:,} more samples have a note like these; the picture of each sample shows its own."
    return (*notes[:_TOLD], more)


def _remarks(described: DescribedModel, skipped: Sequence[str], *, random: bool, missing: Sequence[str]) -> list[str]:
    """Say what a reader of the capture should know of it."""
    remarks = [
        f"{path} stands as one block: its code cannot run on symbolic tensors ({why})."
        for path, why in described.program.sealed.items()
    ]
    remarks.extend(
        f"Attention inside {node_id} is not seen: it stands as one block." for node_id in hidden_attention(described)
    )
    remarks.extend(hidden_remarks(described))
    types = {t.dtype for node in described.graph for t in described.call(node.id).outputs}
    remarks.extend(
        f"{t} activations are stored as float32." for t in sorted(types & {"bfloat16", "float16", "float64"})
    )
    operations = [described.call(node.id).operation for node in described.graph]
    drawing = (type(o).__name__ for o in operations if not isinstance(o, keras.Layer) and "Random" in type(o).__name__)
    if random or any(drawing):
        remarks.append("The model draws at random while it runs; another run gives other numbers.")
    if missing:
        remarks.append(
            f"Not stored, because they hold no numbers for each sample: {', '.join(dict.fromkeys(missing))}."
        )
    return [*remarks, *skipped]


class _Clock:
    """Times the stages and tells of them."""

    def __init__(self, report: Report) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report
        self._stage: str | None = None
        self._since = 0.0

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self.stop()
        self._stage, self._since = stage, time.perf_counter()
        self._report(Progress(stage=stage, done=done, total=total))

    def stop(self) -> None:
        if self._stage is not None:
            spent = time.perf_counter() - self._since
            self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + spent, 4)
        self._stage = None
