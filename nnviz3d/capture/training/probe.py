"""Run a model in training on its probe samples without changing any of its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.analysis.statistics import can_die, saturates
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.programs.activations import filled, only_batch
from nnviz3d.capture.programs.batch_axis import open_for_batch
from nnviz3d.capture.programs.describe import DescribedModel, describe
from nnviz3d.capture.programs.flat_program import Inputs
from nnviz3d.capture.programs.frozen import Compiled, frozen
from nnviz3d.data.axes import location_axes
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.packing import Packing
from nnviz3d.data.printable import reason
from nnviz3d.data.training import STATISTICS

_MEASURED = ("mean", "std", "zeros", "saturated", "dead", "nonfinite_activations")
MOST_NUMBERS = 2**24
"""Most activations of all probe samples together; if one sample has many, fewer samples are used."""

Loss = Callable[[Any, Any], Any]
"""Computes one number from targets and the model's outputs."""


class Probe:
    """Probe samples, and the model as a function of them: without dropout, and with its current weights.

    Parameters
    ----------
    model
        A built model.
    x, y
        Samples in the form of the model's input, and their targets, both ``(n, ...)``, nested as the model requires.
        Without targets, gradients exist only if the model's own layers add a loss.
    loss
        The loss whose gradients are recorded; by default the loss that the model was compiled with.

    Attributes
    ----------
    arrays
        Samples for each input of the graph, ``(n, *shape)``.
    described
        The model's graph.
    activations, gradients
        Packing of the results of `tensors`; empty for gradients if there are none.
    note
        A sentence that says why there are no gradients; empty if there are gradients.

    Raises
    ------
    ModelError, SampleError
        If the model cannot be traced, or the samples do not fit it.
    """

    def __init__(self, model: keras.Model, x: Any, y: Any, loss: Loss | None = None) -> None:
        self._model = model
        self.x, self.y, self._loss = x, y, loss
        kept = prepare_live_model(model, x)
        samples = kept.samples(kept.sources)
        inputs, self.count = kept.inputs, len(samples)
        only = only_batch(inputs.specs)
        self._size = only or self.count
        self.count = min(self.count, self._size)
        self.described = described_for(model, inputs, samples.arrays, self._size)
        fit = max(1, MOST_NUMBERS // max(1, sum(node.size for node in self.described.graph)))
        if fit < self.count:
            self.count = fit
            self._size = only or fit
            self.described = described_for(model, inputs, samples.arrays, self._size)
        self.arrays = [array[: self.count] for array in samples.arrays]
        self._pack = inputs.pack
        spec = model.compute_output_spec(self._pack(self.described.program.inputs))
        self._answer = keras.tree.map_structure(lambda _: 0, spec)
        self._inputs = [
            tf.constant(filled(a, self._size), s.dtype) for a, s in zip(self.arrays, inputs.specs, strict=True)
        ]
        self._targets = keras.tree.map_structure(
            lambda t: None if t is None else tf.constant(np.asarray(t)[: self.count]), y
        )
        self._statistics = Compiled(self._measure)
        self.note = ""
        # Without targets there is a loss if layers add one and no compiled loss needs targets.
        alone = model.compiled and model.loss is None
        self._with_gradients = alone if y is None else loss is not None or model.compiled
        self._compile()
        self.activations, self.gradients = self._packings()

    def statistics(self, layers: NDArray[np.float32]) -> None:
        """Fill the statistics of activations into ``(L, K)``."""
        found = np.asarray(self._statistics(self._inputs))
        layers[:, [STATISTICS.index(name) for name in _MEASURED]] = found

    def tensors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return all activations, and the gradients of the loss with respect to them: a row of each packing."""
        activations, gradients = self._run()
        return self.activations.pack(activations.values()), self.gradients.pack(gradients.values())

    def _compile(self) -> None:
        self._function = Compiled(self._pass)

    def _packings(self) -> tuple[Packing, Packing]:
        if self._with_gradients:
            try:
                return self._shapes(*self._run())
            except Exception as error:  # noqa: BLE001 - the user's loss may fail in any way outside of training
                if self.y is not None:
                    self.note = f"No gradients of the probe samples are recorded: {reason(error)}"
                self._with_gradients = False
                self._compile()
        elif self.y is not None:
            self.note = (
                "No gradients of the probe samples are recorded: the model has no compiled loss; give one as loss."
            )
        return self._shapes(*self._run())

    @staticmethod
    def _shapes(*found: dict[tuple[str, str], Any]) -> tuple[Packing, Packing]:
        first, second = (
            Packing(tuple((node, k, tuple(t.shape)) for (node, k), t in tensors.items())) for tensors in found
        )
        return first, second

    def _run(self) -> tuple[dict[tuple[str, str], Any], dict[tuple[str, str], Any]]:
        activations, gradients = self._function(self._inputs, self._targets)
        keys = [key for key in self._keys() if key in activations]
        return (
            {key: activations[key] for key in keys},
            {key: gradients[key] for key in keys if key in gradients},
        )

    def _keys(self) -> Iterator[tuple[str, str]]:
        for node in self.described.graph:
            yield from ((node.id, str(k)) for k in range(len(node.shapes)))

    def _pass(self, inputs: Sequence[Any], targets: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
        with tf.name_scope("model"), frozen():
            return self._answered(inputs, targets)

    def _answered(self, inputs: Sequence[Any], targets: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
        results = self.described.program.run(inputs)
        numbers = {
            (node, str(k)): tensor
            for node, position in self.described.calls.items()
            for k, tensor in enumerate(results[position])
            if _is_numbers(tensor) and tensor.shape.rank and tensor.shape[0] == self._size
        }
        if not self._with_gradients:
            return self._own(numbers), {}
        # Without the samples that fill up the model's fixed batch.
        leaves = [self._rows(results[position][k]) for position, k in self.described.program.outputs]
        loss = self._loss_of(
            [self._rows(t) for t in inputs], targets, keras.tree.pack_sequence_as(self._answer, leaves)
        )
        real = {key: tensor for key, tensor in numbers.items() if tensor.dtype.is_floating}
        # Not a gradient tape: it ignores tensors that depend on frozen weights alone.
        ends = {position for position, _ in self.described.program.outputs}
        by = [_scores(t) if self.described.calls[node] in ends else t for (node, _), t in real.items()]
        gradients = tf.gradients(loss, by, unconnected_gradients="zero")
        return self._own(numbers), self._own(dict(zip(real, gradients, strict=True)))

    def _rows(self, tensor: Any) -> Any:
        """Remove the samples that fill up a batch."""
        return tensor[: self.count] if self.count < self._size else tensor

    def _own(self, tensors: dict[Any, Any]) -> dict[Any, Any]:
        return {key: tf.cast(self._rows(tensor), tf.float32) for key, tensor in tensors.items()}

    def _loss_of(self, inputs: Sequence[Any], targets: Any, answer: Any) -> Any:
        if self._loss is not None:
            return tf.reduce_mean(self._loss(targets, answer))
        return self._model.compute_loss(x=self._pack(inputs), y=targets, y_pred=answer, sample_weight=None)

    def _measure(self, inputs: Sequence[Any]) -> Any:
        with tf.name_scope("model"), frozen():
            return tf.stack(self._statistic_rows(inputs))

    def _statistic_rows(self, inputs: Sequence[Any]) -> list[Any]:
        results = self.described.program.run(inputs)
        rows = []
        for node in self.described.graph:
            tensors = results[self.described.calls[node.id]]
            tensor: Any = tensors[0] if tensors else None
            measurable = _is_numbers(tensor) and tensor.dtype.is_floating
            if measurable and tensor.shape.rank and tensor.shape[0] == self._size:
                tensor = self._rows(tensor)
            rows.append(_statistics(tf.cast(tensor, tf.float32), node) if measurable else _NOTHING)
        return rows


def described_for(model: keras.Model, inputs: Inputs, arrays: Sequence[Rows], size: int) -> DescribedModel:
    """Trace a model for batches of one size, because the shapes of a built model may include its batch size.

    Parameters
    ----------
    arrays
        Samples for each input, ``(N, *shape)``.
    size
        Number of samples per batch.
    """
    specs = (
        replace(spec, shape=tuple(array.shape[1:]), batch=size)
        for spec, array in zip(inputs.specs, arrays, strict=True)
    )
    return describe(open_for_batch(model, replace(inputs, specs=tuple(specs))), model.name)


_NOTHING = [np.nan] * len(_MEASURED)


def _statistics(tensor: Any, node: LayerNode) -> Any:
    """Compute the statistics of a node's output, a float32 tensor, in the order of `_MEASURED`."""
    finite = tf.math.is_finite(tensor)
    count = tf.cast(tf.math.count_nonzero(finite), tf.float32)
    mean = tf.reduce_sum(tf.where(finite, tensor, 0.0)) / count
    std = tf.sqrt(tf.reduce_sum(tf.where(finite, tf.square(tensor - mean), 0.0)) / count)
    zeros = tf.reduce_mean(tf.cast(tf.equal(tensor, 0.0), tf.float32))
    rule = saturates(node.activation)
    saturated = tf.constant(np.nan) if rule is None else tf.reduce_mean(tf.cast(rule(tensor), tf.float32))
    dead: Any = tf.constant(np.nan)
    if can_die(node):
        # A channel (in a vector, a number) is dead if it is 0 for every sample at every location.
        still = tf.reduce_all(tf.equal(tensor, 0.0), axis=[0, *location_axes(node.axes, tensor.shape.rank)])
        dead = tf.reduce_mean(tf.cast(still, tf.float32))
    return tf.stack([mean, std, zeros, saturated, dead, tf.cast(tf.size(tensor), tf.float32) - count])


def _scores(tensor: Any) -> Any:
    """Return an output before its softmax or sigmoid, because Keras computes losses from this tensor.

    Its loss does not depend on the probabilities themselves.
    """
    before = tensor
    while before.op.type == "Identity":
        before = before.op.inputs[0]
    return before.op.inputs[0] if before.op.type in ("Softmax", "Sigmoid") else tensor


def _is_numbers(tensor: Any) -> bool:
    return isinstance(tensor, tf.Tensor) and not tensor.dtype.is_complex and tensor.dtype != tf.string
