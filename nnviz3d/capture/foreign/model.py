"""Models of other runtimes: a `RunnableModel` from the listing of a file's operations and the values of its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.connections.finder import Pairs, pairs_of
from nnviz3d.capture.foreign.axes import axes_of_tensors
from nnviz3d.capture.foreign.operations import OperationList
from nnviz3d.capture.foreign.pixels import scaling_of_values
from nnviz3d.capture.inputs.pixel_scaling import PixelScaling
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.capture.weights import is_stored
from nnviz3d.data.axes import Axes
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.graph import ModelGraph, deciding_nodes
from nnviz3d.data.request import Preprocessing
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

Values = Mapping[str, NDArray[Any]]
"""Values of tensors by name."""
_NARROW = frozenset({"float16", "bfloat16", "float64"})


class Runtime(Protocol):
    """An interpreter with a model.

    Attributes
    ----------
    ending
        The ending of its files, such as ``.onnx``.
    channels_first
        Whether convolutions take channels first.
    """

    ending: str
    channels_first: bool

    def run(self, inputs: Values) -> Values:
        """Run the model, and return the values of all tensors that hold numbers, as real numbers where they stand for some.

        Parameters
        ----------
        inputs
            Each with its batch axis, if it has one.

        Raises
        ------
        ModelError
            If the model fails on these numbers.
        """


@dataclass(frozen=True)
class ForeignInput:
    """One input of a file.

    Parameters
    ----------
    tensor
        Name of the tensor.
    shape
        Shape without the batch axis; `None` for a variable length.
    dtype
        Type of numbers that a user gives.
    batch
        Length of the batch axis in a run; `None` if the input has no batch axis.
    takes
        Least and greatest number that a quantized input represents.
    vocabulary
        Number of tokens, if it takes token numbers.
    """

    tensor: str
    shape: tuple[int | None, ...]
    dtype: str
    batch: int | None = 1
    takes: tuple[float, float] | None = None
    vocabulary: int | None = None

    def fed(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Arrange one sample as the runtime takes it; a larger batch is filled with copies.

        Raises
        ------
        ModelError
            If the input takes whole numbers, and the sample holds others.
        """
        given = sample.astype(object if self.dtype == "string" else self.dtype)
        if sample.dtype.kind == "f" and given.dtype.kind in "iu" and not np.array_equal(given, sample):
            raise ModelError(
                f"An input of the model takes whole numbers ({self.dtype}), but the sample holds fractions; round "
                "them first."
            )
        return given if self.batch is None else np.repeat(given[np.newaxis], self.batch, axis=0)


@dataclass(frozen=True)
class ForeignOrigin:
    """Origin of a model that is not of Keras; the fields are named as in `LoadedModel`."""

    name: str
    sha256: str | None
    notes: tuple[str, ...] = ()
    family: Preprocessing | None = None
    imagenet: bool = False


@dataclass
class ForeignModel:
    """A model that is no Keras model: a `RunnableModel`.

    Parameters
    ----------
    ranks
        Number of axes of each tensor without the batch axis, as far as the file tells.
    """

    loaded: ForeignOrigin
    listing: OperationList
    runtime: Runtime
    inputs: tuple[ForeignInput, ...]
    ranks: Mapping[str, int]
    versions: Mapping[str, str] = field(default_factory=dict)
    live: bool = False
    repeatable: bool | None = True

    @cached_property
    def specs(self) -> tuple[InputSpec, ...]:
        """The inputs; lengths may be `None`."""
        axes = self.axes(self.ranks)
        paths = self.listing.graph({}, {}).inputs
        return tuple(
            InputSpec(path, one.shape, one.dtype, axes=axes.get(one.tensor, ()))
            for path, one in zip(paths, self.inputs, strict=True)
        )

    @property
    def vocabulary(self) -> Mapping[int, int]:
        """Number of tokens of each input that takes tokens, by the input's position."""
        return {i: one.vocabulary for i, one in enumerate(self.inputs) if one.vocabulary is not None}

    @property
    def rows(self) -> int:
        """Number of samples in each run."""
        return max((one.batch or 1 for one in self.inputs), default=1)

    def axes(self, ranks: Mapping[str, int]) -> Mapping[str, Axes]:
        """Return the names of axes, where they are not those of channels last."""
        return axes_of_tensors(self.listing, ranks) if self.runtime.channels_first else {}

    def trace(self, arrays: Sequence[Rows]) -> ForeignRun:
        """Run the model on zeros, which shows the shapes of all tensors.

        Raises
        ------
        ModelError
            If the model cannot take samples of these shapes.
        """
        specs = tuple(replace(spec, shape=tuple(a.shape[1:])) for spec, a in zip(self.specs, arrays, strict=True))
        values = self.values(_blank(specs))
        shapes = {name: self._shape(value) for name, value in values.items()}
        needed = 4 * sum(math.prod(shape) for shape in shapes.values())
        check_size(f"A run of {self.loaded.name} on one sample", needed, ModelError)
        graph = self.listing.graph(shapes, self.axes({name: len(shape) for name, shape in shapes.items()}))
        types = {str(value.dtype) for value in values.values()}
        return ForeignRun(self, graph, specs, tuple(sorted(types & _NARROW)))

    def _shape(self, value: NDArray[Any]) -> tuple[int, ...]:
        return tuple(sample_of(value, self.rows).shape)

    def values(self, sample: Sequence[NDArray[Any]]) -> Values:
        """Run one sample, an array for each input."""
        return self.runtime.run({one.tensor: one.fed(array) for one, array in zip(self.inputs, sample, strict=True)})

    def ran(self, trace: Any) -> None:
        """Do nothing: every run depends on the file and the samples alone."""


def _blank(specs: Sequence[InputSpec]) -> list[NDArray[Any]]:
    """Return a sample of zeros."""
    return [
        np.full([n or 1 for n in spec.shape], *(("", object) if spec.dtype == "string" else (0, spec.dtype)))
        for spec in specs
    ]


def sample_of(value: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return one sample's part of a tensor ``(rows * w, ...)``: ``(...)`` if w is 1, else ``(w, ...)``.

    Tensors whose first axis does not hold the samples belong to the one sample of the run, as they are.
    """
    if value.ndim == 0 or value.shape[0] == 0 or value.shape[0] % rows:
        return value
    return value[0] if value.shape[0] == rows else value[: value.shape[0] // rows]


@dataclass
class ForeignRun:
    """A model for samples of known sizes: a `Runnable`."""

    model: ForeignModel
    graph: ModelGraph
    specs: tuple[InputSpec, ...]
    narrow: tuple[str, ...] = ()
    draws: bool = False
    repeatable: bool = True

    @property
    def differentiable(self) -> DifferentiableModel:
        """Refuse: an interpreter computes no gradients."""
        raise ModelError(
            f"There are no gradients in a {self.model.runtime.ending} file: {self.model.loaded.name} has activations and "
            "embeddings only. For gradients, attributions, features, attention scores and landscapes, capture the Keras "
            "model that the file was made from."
        )

    @property
    def loaded(self) -> LoadedModel:
        """Refuse: this is no Keras model."""
        self.differentiable  # noqa: B018 - raises
        raise ModelError(f"{self.model.loaded.name} is no Keras model.")

    @property
    def scaled(self) -> ForeignRun:
        """The inputs, and what the model does with pixels."""
        return self

    def input_type(self, position: int) -> str:
        """Return the type of numbers that an input takes."""
        return self.specs[position].dtype

    def scaling(self, position: int) -> PixelScaling:
        """Return the scaling of the pixels of an input, from runs on a black and on a white picture."""
        one = self.model.inputs[position]
        if one.takes is not None:
            return PixelScaling((), None, bytes_in=False, takes=one.takes)
        ends = []
        for pixel in (0, 255):
            sample = _blank(self.specs)
            sample[position] += np.asarray(pixel, dtype=sample[position].dtype)
            ends.append(self._by_node(self.model.values(sample)))
        return scaling_of_values(self.graph, position, *ends)

    def batches(self, arrays: Sequence[Rows], nodes: Collection[str] | None = None) -> Iterator[Batch]:
        """Run all samples, one after the other."""
        for i in range(len(arrays[0])):
            outputs = self._by_node(self.model.values([array[i : i + 1][0] for array in arrays]))
            kept = {node_id: found for node_id, found in outputs.items() if nodes is None or node_id in nodes}
            keys = frozenset((node_id, k) for node_id, found in kept.items() for k in range(len(found)))
            yield Batch(kept, keys, frozenset(), i, 1, 1)

    def _by_node(self, values: Values) -> dict[str, tuple[Any, ...]]:
        """Return the outputs of each node, ``(1, *shape)``; `None` for those that hold no numbers."""
        return {
            node_id: tuple(
                sample_of(values[name], self.model.rows)[np.newaxis] if name in values else None for name in names
            )
            for node_id, names in self.model.listing.tensors.items()
        }

    def pairs(self, graph: ModelGraph, *, anew: bool) -> Pairs:
        """Return the connected pairs of operations whose kernels are in the file."""
        operations = self.model.listing.operation_of
        linear = {path: (one.linear, 0) for path, one in operations.items() if one.linear is not None}
        return Pairs(*pairs_of(graph, linear))

    def notes(self, graph: ModelGraph, missing: Sequence[str]) -> list[str]:
        """Return sentences about the model."""
        notes = [*self.model.listing.notes, *(f"{t} activations are stored as float32." for t in self.narrow)]
        if missing:
            listed = ", ".join(dict.fromkeys(missing))
            notes.append(f"Not stored, because they hold no numbers for each sample: {listed}.")
        return notes

    def token_words(self, graph: ModelGraph) -> Mapping[str, Callable[[int], str]]:
        """Return nothing: the file holds no vocabulary."""
        return {}

    def unit_names(self, graph: ModelGraph, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return the names of the columns of the inputs."""
        shapes = {node_id: graph.node(node_id).shape for node_id in graph.inputs}
        return {name: tuple(given) for name, given in columns.items() if shapes.get(name) == (len(given),)}

    def write_weights(self, writer: CaptureWriter, *, everything: bool) -> None:
        """Write the weights of small layers and of those that make the scores, or of all, in Keras' arrangement."""
        deciding = deciding_nodes(self.graph)
        for path, operation in self.model.listing.operation_of.items():
            if everything or is_stored(path, deciding, sum(values.size for values in operation.weights.values())):
                for name, values in operation.weights.items():
                    writer.write_weights(path, name, values)
