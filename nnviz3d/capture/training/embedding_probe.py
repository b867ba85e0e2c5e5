"""Outputs of one layer of a model in training for fixed samples, to be embedded as points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.embedding import head_for, thumbnails_of
from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.programs.activations import filled, only_batch, portions, viewed
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.capture.training.probe import described_for
from nnviz3d.data.axes import location_axes
from nnviz3d.data.capabilities.embeddings import predicted_classes
from nnviz3d.data.training_embedding import EmbeddedSamples
from nnviz3d.errors import ModelError

_BATCH = 64
_MOST_NUMBERS = 2**24
"""Most numbers in the outputs of all layers for a batch."""
_WIDE = 1024
"""Most numbers of one sample's output; larger maps are averaged over their locations."""


class EmbeddedProbe:
    """Fixed samples, and the outputs of a layer for them with the model's current weights.

    Parameters
    ----------
    model
        A built model.
    layer
        Node id.
    x
        Samples in the form of the model's input, ``(M, ...)`` each, nested as the model requires.
    labels
        ``(M,)``, if known.
    classes
        Names of the classes, if known.

    Attributes
    ----------
    found
        The samples as they are stored.

    Raises
    ------
    ModelError, SampleError
        If there is no such layer, it has no numbers for each sample, or the samples do not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: str,
        x: Any,
        labels: NDArray[np.int64] | None,
        classes: tuple[str, ...] | None,
    ) -> None:
        self._layer = layer
        kept = prepare_live_model(model, x)
        samples = kept.samples(kept.sources)
        inputs, count = kept.inputs, len(samples)
        only = only_batch(inputs.specs)
        # In memory, because they are run again at every step that is recorded.
        self._arrays, self._specs = [np.asarray(array) for array in samples.arrays], inputs.specs
        self._size = only or min(_BATCH, count)
        described = described_for(model, inputs, self._arrays, self._size)
        fit = max(1, _MOST_NUMBERS // max(1, sum(node.size or 0 for node in described.graph)))
        if only is None and fit < self._size:
            self._size = fit
            described = described_for(model, inputs, self._arrays, self._size)
        if layer not in described.calls:
            names = ", ".join(described.calls)
            raise ModelError(f"embed: no layer is named {layer!r}; the layers are {names}.")
        self._described = described
        self._head, probable = head_for(described.graph, classes, labels)
        shape = described.graph.node(layer).shape
        numbers = int(np.prod([n or 1 for n in shape], dtype=np.int64))
        self._pooled = len(shape) > 1 and numbers > _WIDE
        self._function = Compiled(self._pass)
        vectors, _, _ = self()
        self.found = EmbeddedSamples(
            layer=layer,
            width=vectors.shape[1],
            pooled=self._pooled,
            names=tuple(f"sample {i}" for i in range(count)),
            labels=np.empty(0, np.int64) if labels is None else labels,
            thumbnails=thumbnails_of(samples),
            predicts=self._head is not None,
            probable=probable,
        )

    def __call__(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Return the outputs, ``(M, D)``, the predicted classes and their probabilities, ``(M,)`` each or empty."""
        parts = list(self._parts())
        vectors, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        if self._head is None:
            return vectors, np.empty(0, np.int64), np.empty(0, np.float32)
        return vectors, predicted_classes(scores), scores.max(axis=1)

    def _parts(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for _, count, rows in portions(self._arrays, self._size, None):
            given = [
                tf.constant(filled(part, self._size), spec.dtype) for part, spec in zip(rows, self._specs, strict=True)
            ]
            vectors, scores = self._function(given)
            yield viewed(vectors)[:count], viewed(scores)[:count]

    def _pass(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        with tf.name_scope("model"):
            results = self._described.program.run(inputs)
        answers = results[self._described.calls[self._layer]]
        answer: Any = answers[0] if answers else None
        if not _tells_each(answer, self._size):
            raise ModelError(
                f"embed: {self._layer} has no numbers for each sample, so the samples cannot be embedded as points."
            )
        answer = tf.cast(answer, tf.float32)
        if self._pooled:
            axes = self._described.graph.node(self._layer).axes
            answer = tf.reduce_mean(answer, axis=location_axes(axes, answer.shape.rank))
        scores = tf.zeros((self._size, 0)) if self._head is None else results[self._described.calls[self._head]][0]
        return tf.reshape(answer, (self._size, -1)), tf.cast(tf.reshape(scores, (self._size, -1)), tf.float32)


def _tells_each(tensor: Any, size: int) -> bool:
    return (
        isinstance(tensor, tf.Tensor)
        and (tensor.dtype.is_floating or tensor.dtype.is_integer)
        and bool(tensor.shape.rank)
        and tensor.shape[0] == size
    )
