"""Traces of models for samples of one shape, which are reused while model and shape stay the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import keras

from nnviz3d.capture.capture_notes import notes_on_model
from nnviz3d.capture.connections.finder import Pairs
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.token_names import Words, nodes_of_tokens
from nnviz3d.capture.inputs.unit_names import unit_names
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.programs.activations import Batch, Forward, memory_of_sample, only_batch
from nnviz3d.capture.programs.batch_axis import open_with_rows
from nnviz3d.capture.programs.describe import DescribedModel, describe
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, Program
from nnviz3d.capture.programs.layer_axes import axes_of_calls
from nnviz3d.capture.weights import write_weights
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import reason
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError


class Trace:
    """A Keras model's graph and its compiled program, for inputs of known sizes: a `Runnable`.

    Attributes
    ----------
    asked
        The inputs that the trace was asked for; `specs` may have a batch size in addition.
    """

    def __init__(self, loaded: LoadedModel, inputs: Inputs) -> None:
        self.loaded = loaded
        self.asked = inputs.specs
        program, specs = open_with_rows(loaded.model, inputs)
        self.specs: tuple[InputSpec, ...] = specs
        described = describe(program, loaded.model.name)
        named = described.graph if loaded.sha256 is None else described.graph.of_file(loaded.name)
        self.described = replace(described, graph=named)
        needed = memory_of_sample(self.described.graph) * (only_batch(specs) or 1)
        check_size(f"A run of {loaded.name} on one sample", needed, ModelError)
        self._forward = Forward(self.described, specs, gates=True)
        self._pairs: Pairs | None = None
        self._part: tuple[tuple[str, ...], Forward] | None = None

    @property
    def graph(self) -> ModelGraph:
        """The graph."""
        return self.described.graph

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers."""
        return self._forward.draws

    @property
    def repeatable(self) -> bool:
        """Whether a run depends on samples and weights alone."""
        return self._forward.repeatable

    @cached_property
    def differentiable(self) -> DifferentiableModel:
        """The model as a function that can be differentiated with respect to the output of any layer."""
        return DifferentiableModel(self.described, self.specs, draws=self.draws)

    @property
    def scaled(self) -> DescribedModel:
        """The inputs, and what the model does with pixels."""
        return self.described

    def batches(self, arrays: Sequence[Rows], nodes: Collection[str] | None = None) -> Iterator[Batch]:
        """Run all samples; a program of some nodes alone is compiled and run without the others."""
        if nodes is None:
            return self._forward.batches(arrays)
        key = tuple(nodes)
        if self._part is None or self._part[0] != key:  # captures in parts ask for the same nodes again and again
            part = replace(self.described, calls={node_id: self.described.calls[node_id] for node_id in key})
            self._part = key, Forward(part, self.specs)
        return self._part[1].batches(arrays)

    def pairs(self, graph: ModelGraph, *, anew: bool) -> Pairs:
        """Return the connected pairs of layers."""
        if self._pairs is None or anew:
            self._pairs = Pairs.of(replace(self.described, graph=graph))
        return self._pairs

    def notes(self, graph: ModelGraph, missing: Sequence[str]) -> list[str]:
        """Return sentences about the model."""
        return notes_on_model(replace(self.described, graph=graph), missing, random=self.draws)

    def token_words(self, graph: ModelGraph) -> Mapping[str, Words]:
        """Return the nodes of tokens, and the function from number to word of each."""
        return nodes_of_tokens(replace(self.described, graph=graph), self.loaded.model)

    def unit_names(self, graph: ModelGraph, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return the names of the units of vectors."""
        return unit_names(replace(self.described, graph=graph), columns)

    def write_weights(self, writer: CaptureWriter, *, everything: bool) -> None:
        """Write the weights of small layers, or of all layers."""
        write_weights(writer, self.described, everything=everything)


class TracedModel:
    """A model that keeps its last trace, because the next samples nearly always have the same shapes.

    Parameters
    ----------
    loaded
        The model.
    inputs
        The model's inputs; lengths may be `None`.
    live
        Whether the model belongs to the caller, who may train it between two runs and needs its layers unchanged.

    Attributes
    ----------
    repeatable
        Whether a run depends on samples and weights alone; `None` before the first run. If not, each run traces again.
    """

    def __init__(self, loaded: LoadedModel, inputs: Inputs, *, live: bool = False) -> None:
        self.loaded = loaded
        self.inputs = inputs
        self.live = live
        self.repeatable: bool | None = None
        self._trace: Trace | None = None

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """The model's inputs; lengths may be `None`."""
        return self.inputs.specs

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of further packages: none, since every capture holds those of Keras and TensorFlow."""
        return {}

    def trace(self, arrays: Sequence[Rows]) -> Trace:
        """Return the trace for samples ``(N, *shape)`` for each input.

        Raises
        ------
        ModelError
            If the model cannot run on symbolic inputs, or only on samples of the shape that it was built on.
        """
        specs = tuple(replace(s, shape=tuple(a.shape[1:])) for s, a in zip(self.inputs.specs, arrays, strict=True))
        if self._trace is None or self._trace.asked != specs:
            self._trace = None  # freed first, so that there are never two in memory
            try:
                self._trace = Trace(self.loaded, replace(self.inputs, specs=specs))
            except ModelError as error:
                other = [
                    (s.shape, t.shape) for s, t in zip(self.inputs.specs, specs, strict=True) if s.shape != t.shape
                ]
                if error.__cause__ is None or not other or not any(spec.tried for spec in specs):
                    raise
                raise ModelError(_only_on(self.loaded.name, *other[0], error.__cause__)) from error
        return self._trace

    def ran(self, trace: Trace) -> None:
        """Update the state of the model after a run of a trace."""
        self.repeatable = trace.repeatable
        if not self.repeatable or (self.live and trace.described.program.holds_numbers):
            self._trace = None

    @cached_property
    def vocabulary(self) -> Mapping[int, int]:
        """Number of tokens of each input that takes tokens, by the input's position."""
        return tokens(open_with_rows(self.loaded.model, self.inputs)[0])


def _only_on(name: str, built: tuple[int | None, ...], given: tuple[int | None, ...], error: BaseException) -> str:
    return f"{name} was built on samples of {built} and cannot run on samples of {given}: {reason(error)}"


def with_axes(model: keras.Model, inputs: Inputs) -> Inputs:
    """Name the axes of inputs whose shape looks like that of pictures with channels first.

    Such a shape may also be that of maps with few rows and many channels. The calls that read the input decide, so the
    model is traced.

    Raises
    ------
    ModelError
        If the model cannot run on symbolic inputs.
    """
    pictures = [PictureShape.of(spec.shape) for spec in inputs.specs]
    if not any(picture is not None and picture.channels_first for picture in pictures):
        return inputs
    axes = axes_of_calls(open_with_rows(model, inputs)[0])
    return replace(
        inputs,
        specs=tuple(
            replace(spec, axes=axes[i]) if len(spec.shape) == 3 else spec for i, spec in enumerate(inputs.specs)
        ),
    )


def tokens(program: Program) -> dict[int, int]:
    """Return the vocabulary size of each input that takes token numbers, by the input's position."""
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
