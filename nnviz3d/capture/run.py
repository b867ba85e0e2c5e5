"""Captures a model: runs it on samples and writes all that was seen into one capture."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d import __version__
from nnviz3d.capture.activations import Batch, Forward, RandomWatch
from nnviz3d.capture.connections import ConnectionFinder
from nnviz3d.capture.describe import DescribedModel, describe
from nnviz3d.capture.graph import Inputs, Program, expected_inputs, open_model
from nnviz3d.capture.load import LoadedModel
from nnviz3d.capture.preprocess import Decision, apply, decide
from nnviz3d.capture.sample_set import Samples
from nnviz3d.capture.samples import read_samples
from nnviz3d.capture.weights import write_weights
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Event, Finished, Notice, Preprocessing, Progress
from nnviz3d.data.writer import CaptureWriter, check_destination
from nnviz3d.errors import ModelError, SampleError

Report = Callable[[Event], None]


@dataclass(frozen=True)
class Options:
    """How to capture; the names and meanings are those of `CaptureRequest`."""

    out: Path
    preprocess: Preprocessing | None = None
    classes: tuple[str, ...] | None = None
    all_weights: bool = False
    top_k: int = 256
    seed: int = 0


def read_inputs(loaded: LoadedModel, sources: Sequence[str], *, seed: int) -> tuple[Inputs, Samples]:
    """Read samples for a model that knows its inputs.

    Raises
    ------
    ModelError
        If the model was never built.
    SampleError
        If the samples cannot be read or do not fit.
    """
    inputs = expected_inputs(loaded.model)
    if inputs is None:
        raise ModelError(
            f"{loaded.name} was never built, so it does not know its input's shape; call it once on data before it is "
            "saved, or hand it an array in Python: nnviz3d.capture(model, x)."
        )
    needs_tokens = not sources or "random" in sources
    vocabulary = tokens(open_model(loaded.model, inputs)) if needs_tokens else {}
    return inputs, read_samples(sources, inputs.specs, seed=seed, vocabulary=vocabulary)


def capture_model(loaded: LoadedModel, inputs: Inputs, samples: Samples, options: Options, report: Report) -> Finished:
    """Run a model on samples and write the capture.

    Raises
    ------
    ModelError, SampleError
        If the model cannot be traced or fails on the samples.
    UserError
        If the capture cannot be written where it should be.
    """
    check_destination(options.out)
    clock = _Clock(report)
    decision = decide(
        asked=options.preprocess,
        family=(loaded.name.removeprefix("keras:"), loaded.family) if loaded.family else None,
        picture=any(samples.is_picture),
        model=loaded.model,
    )
    report(Notice(text=decision.sentence))
    for note in (*loaded.notes, *itertools.chain.from_iterable(samples.notes)):
        report(Notice(text=note))
    arrays = _prepare(samples, options.preprocess, decision)

    clock.start("trace")
    concrete = _with_sizes(inputs, arrays)
    described = describe(open_model(loaded.model, concrete), loaded.model.name)
    forward = Forward(described, concrete.specs)

    clock.start("forward", len(samples))
    batches = forward.batches(arrays)
    with RandomWatch(loaded.model) as watch:
        batch = next(batches)
        # Some shapes are known only now: layers that fold windows into the batch axis say nothing of them before.
        described, missing = _with_real_shapes(described, batch)
        finder = ConnectionFinder(described, options.top_k)
        remarks = _remarks(described, finder, random=watch.drew, missing=missing)
        provenance = Provenance(
            model=loaded.name,
            sha256=loaded.sha256,
            preprocessing=decision.mode,
            preprocessing_reason=decision.reason,
            samples=samples.names,
            notes=(*loaded.notes, *remarks),
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
            classes=_classes(options, samples, described),
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
            write_weights(writer, described, everything=options.all_weights)
            writer.commit(len(samples))
    clock.stop()
    return Finished(out=options.out, samples=len(samples), nodes=len(described.graph), seconds=clock.seconds)


def _classes(options: Options, samples: Samples, described: DescribedModel) -> tuple[str, ...] | None:
    """Return the names that the user gave, or those that the samples know, if the model has as many outputs."""
    if options.classes is not None or samples.classes is None:
        return options.classes
    fits = described.graph.node(described.graph.outputs[0]).shape == (len(samples.classes),)
    return samples.classes if fits else None


def tokens(program: Program) -> dict[int, int]:
    """Find the inputs that are token numbers: position of the input to the size of the vocabulary that embeds it."""
    found: dict[int, int] = {}
    reads: dict[int, int] = {i: i for i in range(len(program.inputs))}
    for position, call in enumerate(program.calls):
        source = call.sources[0][0] if call.sources else None
        if source is None or source not in reads:
            continue
        if call.plumbing:
            reads[position] = reads[source]
        elif isinstance(call.operation, keras.layers.Embedding):
            size = int(call.operation.input_dim)
            found[reads[source]] = min(size, found.get(reads[source], size))
    return found


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names, one a line.

    Raises
    ------
    SampleError
        If the file is missing, empty or no text.
    """
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise SampleError(
            f"The class names in {path} cannot be read ({why}); expected a text file, one a line."
        ) from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise SampleError(f"{path.name} names no classes; expected one a line.")
    return names


def imagenet_classes() -> tuple[str, ...]:
    """Return ImageNet's 1000 class names in the order of the usual networks' outputs."""
    text = resources.files("nnviz3d.capture").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def versions() -> dict[str, str]:
    """Return the versions that a capture depends on."""
    return {
        "nnviz3d": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _prepare(samples: Samples, asked: Preprocessing | None, decision: Decision) -> list[NDArray[Any]]:
    """Apply the preprocessing to the pictures; to arrays only if the user asked for it."""
    return [
        apply(decision.mode, array) if picture or (asked and array.dtype.kind == "f") else array
        for array, picture in zip(samples.arrays, samples.is_picture, strict=True)
    ]


def _with_sizes(inputs: Inputs, arrays: Sequence[NDArray[Any]]) -> Inputs:
    """Fill in the sizes that the model leaves open with those of the samples."""
    specs = tuple(replace(s, shape=tuple(a.shape[1:])) for s, a in zip(inputs.specs, arrays, strict=True))
    return replace(inputs, specs=specs)


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


def _remarks(described: DescribedModel, finder: ConnectionFinder, *, random: bool, missing: Sequence[str]) -> list[str]:
    """Say what a reader of the capture should know of it."""
    remarks = [
        f"{path} stands as one block: its code cannot run on symbolic tensors ({why})."
        for path, why in described.program.sealed.items()
    ]
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
    return [*remarks, *finder.skipped]


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
