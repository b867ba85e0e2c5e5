"""A traced model as a function that can be differentiated with respect to the output of any layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import keras
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.activations import batch_size, only_batch, signature_of
from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.flat_program import InputSpec, with_mask_of
from nnviz3d.capture.programs.frozen import frozen
from nnviz3d.capture.programs.node_paths import function_name
from nnviz3d.data.targets import Spans

SQUASHING = ("softmax", "sigmoid", "log_softmax")
"""Activation functions of an output that turn scores into probabilities."""
_SQUASHING_KINDS = ("Softmax", "Sigmoid", "LogSoftmax")
"""Layers and operations that only apply such a function."""


@dataclass(frozen=True)
class Values:
    """The outputs of every call of a program for some samples.

    Attributes
    ----------
    outputs
        Output tensors of each call, by its position.
    before
        First output tensor before the layer's own activation function, by position, of calls that have one.
    """

    described: DescribedModel
    outputs: Mapping[int, tuple[Any, ...]]
    before: Mapping[int, Any]

    def __getitem__(self, node_id: str) -> Any:
        """Return the first output of a node."""
        return self.outputs[self.described.calls[node_id]][0]

    def output(self, node_id: str, k: int) -> Any:
        """Return one of a node's outputs."""
        return self.outputs[self.described.calls[node_id]][k]

    def every(self, node_id: str) -> tuple[Any, ...]:
        """Return all outputs of a node."""
        return self.outputs[self.described.calls[node_id]]

    def raw(self, node_id: str) -> Any:
        """Return a node's output before its own activation function, if it has one, else its output."""
        position = self.described.calls[node_id]
        return self.before.get(position, self.outputs[position][0])

    def scores(self, node_id: str) -> Any:
        """Return an output's values before its final softmax or sigmoid, either its own or that of a separate layer."""
        call = self.described.call(node_id)
        match _squashing(call):
            case "own":
                return self.raw(node_id)
            case "layer":
                source, k = call.sources[0]
                return self.outputs[source][k]
        return self[node_id]


@dataclass(frozen=True)
class Place:
    """An output of a model, or a part of it whose mean is one number.

    Attributes
    ----------
    output
        Node id.
    spans
        First position and end of the part of each axis; none for all numbers one by one.
    """

    output: str
    spans: Spans = ()

    @staticmethod
    def of(output: str | Place) -> Place:
        """Return the place of a whole output, given by its node id; a place is returned unchanged."""
        return output if isinstance(output, Place) else Place(output)

    def rows(self, values: Any) -> Any:
        """Return the numbers of each sample, ``(n, size)``, from ``(n, *shape)``; of a part its mean, ``(n, 1)``."""
        if not self.spans:
            return tf.reshape(values, (tf.shape(values)[0], -1))
        part = values[(slice(None), *(slice(*span) for span in self.spans))]
        return tf.reduce_mean(tf.reshape(part, (tf.shape(part)[0], -1)), axis=1, keepdims=True)


Operator = Callable[["DifferentiableModel", Sequence[Any], Any], Any]
"""``g(model, x, y)`` reads one number of each sample, ``(n,)``, which attribution methods explain. ``x`` holds a tensor
``(n, *shape)`` for each input of the model; ``y``, ``(n,)`` int, holds positions in an output; ``~i`` selects the negation
of number ``i``."""


@cache
def score_of(output: str | Place) -> Operator:
    """Return the operator that reads number ``y`` of an output before softmax or sigmoid; for ``~y`` its negation."""
    place = Place.of(output)

    def g(model: DifferentiableModel, x: Sequence[Any], y: Any) -> Any:
        return numbers_at(place.rows(model(x).scores(place.output)), y)

    return g


@cache
def probability_of(output: str | Place) -> Operator:
    """Return the operator that reads number ``y`` of the model's output; for ``~y`` 1 minus this number."""
    place = Place.of(output)

    def g(model: DifferentiableModel, x: Sequence[Any], y: Any) -> Any:
        values = place.rows(model(x)[place.output])
        return numbers_at(values, y, whole=1.0 if model.squashes(place.output) else 0.0)

    return g


def numbers_at(values: Any, y: Any, *, whole: float = 0.0) -> Any:
    """Read one number of each sample, ``(n,)``, from ``(n, size)``.

    Parameters
    ----------
    y
        Positions ``i``, ``(n,)``; or ``~i`` for `whole` minus the number at position ``i``.
    """
    against = y < 0
    found = tf.gather(values, tf.where(against, -1 - y, y), batch_dims=1)
    return tf.where(against, tf.cast(whole, found.dtype) - found, found)


class DifferentiableModel:
    """A model's program as a differentiable function, to be run inside a `nnviz3d.capture.programs.frozen.Compiled`.

    Attributes
    ----------
    described
        The model's graph and program.
    specs
        The model's inputs.
    draws
        Whether the model draws random numbers.
    """

    def __init__(self, described: DescribedModel, specs: Sequence[InputSpec], *, draws: bool = False) -> None:
        self.described = described
        self.specs = tuple(specs)
        self.draws = draws
        self._compiled: dict[Hashable, Any] = {}

    @property
    def only_batch(self) -> int | None:
        """The only batch size that the model takes; `None` (nearly always) if it takes any."""
        return only_batch(self.specs)

    def batch_size(self, samples: int, copies: int) -> int:
        """Choose the number of samples of a batch, so that some copies of their activations fit into memory.

        A model that draws random numbers gives each row of a batch its own. Its batches are those of the forward pass, so
        that each sample gets the same numbers again.
        """
        if self.draws:
            return batch_size(self.described, samples)
        return max(1, batch_size(self.described, samples * copies) // copies)

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """The types of a compiled function's arguments: samples for each of the model's inputs."""
        return signature_of(self.specs)

    def tensors(self, arrays: Sequence[NDArray[Any]]) -> list[Any]:
        """Convert samples for each of the model's inputs to tensors for a compiled function."""
        return [tf.cast(array, spec.dtype) for array, spec in zip(arrays, self.specs, strict=True)]

    def compiled(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return the function of this key; it is built and compiled only once."""
        if key not in self._compiled:
            self._compiled[key] = build()
        return self._compiled[key]

    def squashes(self, output: str) -> bool:
        """Whether an output ends in a softmax or sigmoid."""
        return _squashing(self.described.call(output)) is not None

    def __call__(self, x: Sequence[Any], uses: dict[tuple[int, tuple[int, int]], Any] | None = None) -> Values:
        """Run the program on ``(n, *shape)`` for each input.

        Gradients flow to everything in the `Values`. All variables of Keras stay unchanged.

        Parameters
        ----------
        uses
            Is filled with separate input tensors for each call, by the call's position and the tensor's source. The
            gradient with respect to such a tensor is the gradient along one edge.
        """
        program = self.described.program
        values: dict[int, Any] = {}
        outputs: dict[int, tuple[Any, ...]] = {}
        before: dict[int, Any] = {}
        values.update((id(symbol), tf.convert_to_tensor(v)) for symbol, v in zip(program.inputs, x, strict=True))
        with frozen():
            for i, call in enumerate(program.calls):
                # Keras runs a layer inside its model's scope, where a name may be `_hidden`; at the root it must not.
                with (
                    tf.name_scope("model"),
                    without_activation(call.operation) as activation,
                    self._own(i, values, uses),
                ):
                    call(values)
                if activation is not None:
                    symbol = id(call.outputs[0])
                    before[i] = values[symbol]
                    values[symbol] = with_mask_of(before[i], activation(before[i]))
                for tensor in call.outputs:
                    # A layer such as dropout may return its input tensor; the two need separate gradients.
                    values[id(tensor)] = with_mask_of(values[id(tensor)], tf.identity(values[id(tensor)]))
                outputs[i] = tuple(values[id(tensor)] for tensor in call.outputs)
        return Values(self.described, outputs, before)

    @contextmanager
    def _own(
        self, i: int, values: dict[int, Any], uses: dict[tuple[int, tuple[int, int]], Any] | None
    ) -> Iterator[None]:
        """Replace a call's input tensors by copies of their own, because other calls may use the same tensors."""
        if uses is None:
            yield
            return
        calls = self.described.program.calls
        kept = {}
        for source in dict.fromkeys(calls[i].sources):
            symbol = id(calls[source[0]].outputs[source[1]])
            kept[symbol] = values[symbol]
            values[symbol] = uses[i, source] = with_mask_of(kept[symbol], tf.identity(kept[symbol]))
        try:
            yield
        finally:
            values.update(kept)


@contextmanager
def without_activation(operation: Any) -> Iterator[Any]:
    """Remove a layer's own activation function for one call; yields that function, or `None` if there is none.

    It is removed only if the layer applies it last, to its only output. Gates of recurrent layers, for example, stay.
    """
    function = getattr(operation, "activation", None)
    if not _is_plain(operation) or function is None or function is keras.activations.linear:
        yield None
        return
    # A plain assignment would make Keras register an activation that is a layer again.
    object.__setattr__(operation, "activation", keras.activations.linear)
    try:
        yield function
    finally:
        object.__setattr__(operation, "activation", function)


def _squashing(call: Call) -> Literal["own", "layer"] | None:
    """Return how a call applies softmax or sigmoid: as its own activation function, or as a layer of only that."""
    activation = getattr(call.operation, "activation", None)
    squashes = activation is not None and function_name(activation) in SQUASHING
    if _is_plain(call.operation):
        return "own" if squashes else None
    alone = type(call.operation).__name__ in _SQUASHING_KINDS
    alone |= squashes and isinstance(call.operation, keras.layers.Activation)
    return "layer" if alone and len(call.sources) == 1 else None


def _is_plain(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Dense | keras.layers.EinsumDense) or type(operation).__name__ in _LINEAR


_LINEAR = {"Dense", "EinsumDense"} | frozenset(
    f"{kind}Conv{n}D{end}" for kind in ("", "Depthwise", "Separable") for n in (1, 2, 3) for end in ("", "Transpose")
)
"""Kinds of layers that are linear except for their activation function; a SavedModel's have the same names."""
