"""A traced model as a function that can be differentiated by what any of its layers gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.describe import DescribedModel
from nnviz3d.capture.graph import InputSpec
from nnviz3d.errors import ModelError

_SQUASHING = ("softmax", "sigmoid", "log_softmax")
"""Activation functions of an output that turn scores into probabilities."""


@dataclass(frozen=True)
class Values:
    """What every call of a program gave for some samples.

    Attributes
    ----------
    outputs
        By position of the call, its tensors.
    before
        By position of the call, its first tensor before the layer's own activation function, where it has one.
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

    def raw(self, node_id: str) -> Any:
        """Return what a node gave before its own activation function; what it gave, if it has none."""
        position = self.described.calls[node_id]
        return self.before.get(position, self.outputs[position][0])

    def scores(self, node_id: str) -> Any:
        """Return what an output gave before the softmax or sigmoid that ends it, be it its own or a layer's behind it."""
        call = self.described.call(node_id)
        if getattr(call.operation, "activation", None) is not None:
            squashes = getattr(call.operation.activation, "__name__", "") in _SQUASHING
            return self.raw(node_id) if squashes else self[node_id]
        name = type(call.operation).__name__.lower()
        if name in _SQUASHING and len(call.sources) == 1:
            source, k = call.sources[0]
            return self.outputs[source][k]
        return self[node_id]


Operator = Callable[["DifferentiableModel", Sequence[Any], Any], Any]
"""``g(model, x, y)``: from a model, samples (a tensor ``(n, *shape)`` for each of its inputs) and what is asked of each
sample, ``(n,)`` int, to one number for each sample, ``(n,)``. It is what an attribution method explains."""


def score_of(output: str) -> Operator:
    """Return the operator that reads number ``y`` of an output, before softmax or sigmoid."""

    def g(model: DifferentiableModel, x: Sequence[Any], y: Any) -> Any:
        scores = model(x).scores(output)
        return tf.gather(tf.reshape(scores, (tf.shape(scores)[0], -1)), y, batch_dims=1)

    return g


def probability_of(output: str) -> Operator:
    """Return the operator that reads number ``y`` of an output as the model gives it."""

    def g(model: DifferentiableModel, x: Sequence[Any], y: Any) -> Any:
        values = model(x)[output]
        return tf.gather(tf.reshape(values, (tf.shape(values)[0], -1)), y, batch_dims=1)

    return g


class DifferentiableModel:
    """Calls a model's program; `tail` gives the part of it behind a layer.

    Nothing is compiled here: who calls it often wraps what he does in `tf.function`.

    Attributes
    ----------
    described
        The model's graph, and the program behind it.
    specs
        What the whole model takes.
    """

    def __init__(
        self,
        described: DescribedModel,
        specs: Sequence[InputSpec],
        *,
        start: str | None = None,
        held: Values | None = None,
    ) -> None:
        self.described = described
        self.specs = tuple(specs)
        self._start = start
        self._held = held
        self._behind = self._reached() if start is not None else frozenset()

    def __call__(self, x: Sequence[Any]) -> Values:
        """Run it on ``(n, *shape)`` for each input; for a tail, on the layer's activation alone.

        Gradients flow to everything in the `Values`.
        """
        program = self.described.program
        values: dict[int, Any] = {}
        outputs: dict[int, tuple[Any, ...]] = {}
        before: dict[int, Any] = {}
        start = None if self._start is None else self.described.calls[self._start]
        if start is None:
            values.update((id(symbol), tf.convert_to_tensor(v)) for symbol, v in zip(program.inputs, x, strict=True))
        for i, call in enumerate(program.calls):
            if start is not None and self._held is not None and i not in self._behind:
                tensors = (x[0], *self._held.outputs[i][1:]) if i == start else self._held.outputs[i]
                values.update((id(symbol), tensor) for symbol, tensor in zip(call.outputs, tensors, strict=True))
                if i != start and i in self._held.before:
                    before[i] = self._held.before[i]
            else:
                with _bare(call.operation) as activation:
                    call(values)
                if activation is not None:
                    symbol = id(call.outputs[0])
                    before[i] = values[symbol]
                    values[symbol] = activation(values[symbol])
            outputs[i] = tuple(values[id(tensor)] for tensor in call.outputs)
        return Values(self.described, outputs, before)

    def tail(self, node_id: str, held: Values) -> DifferentiableModel:
        """Return the model from a layer on: it takes the layer's first output; whatever that does not reach stays as held.

        Parameters
        ----------
        held
            What the whole model gave for the same samples.
        """
        if node_id not in self.described.calls:
            raise ModelError(f"There is no layer {node_id!r}.")
        return DifferentiableModel(self.described, self.specs, start=node_id, held=held)

    def _reached(self) -> frozenset[int]:
        """Find the calls that depend on the start, without itself."""
        start = self.described.calls[str(self._start)]
        found: set[int] = set()
        for i, call in enumerate(self.described.program.calls):
            if any(source == start or source in found for source, _ in call.sources):
                found.add(i)
        return frozenset(found)


@contextmanager
def _bare(operation: Any) -> Iterator[Any]:
    """Take a layer's own activation function off for one call; gives that function, or `None` if there is none to take.

    Only where the layer applies it last, to its only output: gates of recurrent layers, for instance, stay.
    """
    function = getattr(operation, "activation", None)
    plain = isinstance(operation, keras.layers.Dense | keras.layers.EinsumDense) or type(operation).__name__ in _LINEAR
    if not plain or function is None or function is keras.activations.linear:
        yield None
        return
    # Keras' own assignment would register layers among the activations anew.
    object.__setattr__(operation, "activation", keras.activations.linear)
    try:
        yield function
    finally:
        object.__setattr__(operation, "activation", function)


_LINEAR = frozenset(
    f"{kind}Conv{n}D{end}" for kind in ("", "Depthwise", "Separable") for n in (1, 2, 3) for end in ("", "Transpose")
)
"""Layers that are linear but for their activation function, beside the dense ones."""
