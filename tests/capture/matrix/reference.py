"""Values and gradients of every layer, recorded in an eager run of Keras that knows nothing of nnviz3d."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.ops.operation import Operation

from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import LayerNode


@dataclass
class Recorded:
    """Tensors of an eager run.

    Attributes
    ----------
    outputs
        The outputs of each call by node id: the names of the called layers from the outside, with ``@k`` for call k.
    """

    outputs: dict[str, list[Any]] = field(default_factory=dict)


@contextmanager
def recorded_calls(model: keras.Model) -> Iterator[Recorded]:
    """Record each call of a layer or operation while the model runs; the model's own call is not recorded."""
    found, stack, counts = Recorded(), [], Counter[str]()
    kinds = (Operation, keras.layers.Layer)
    before = [kind.__call__ for kind in kinds]

    def recording(plain: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if stack and stack[-1] is self:  # Layer.__call__ ends in Operation.__call__
                return plain(self, *args, **kwargs)
            stack.append(self)
            try:
                result = plain(self, *args, **kwargs)
            finally:
                stack.pop()
            if stack:
                path = "/".join(one.name for one in (*stack[1:], self))
                name = path if not counts[path] else f"{path}@{counts[path]}"
                counts[path] += 1
                found.outputs[name] = [one for one in keras.tree.flatten(result) if one is not None]
            return result

        return call

    for kind, plain in zip(kinds, before, strict=True):
        kind.__call__ = recording(plain)
    try:
        yield found
    finally:
        for kind, plain in zip(kinds, before, strict=True):
            kind.__call__ = plain


@contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Restore the model's variables, such as the state of recurrent layers, after a run."""
    layers = model._flatten_layers(recursive=True, include_self=True)
    changing = [
        variable for layer in layers for variable in (*layer.variables, *(getattr(layer, "states", None) or ()))
    ]
    held = [(variable, tf.identity(variable.value)) for variable in changing]
    try:
        yield
    finally:
        for variable, value in held:
            variable.assign(value)


def as_argument(samples: Any) -> Any:
    """Convert arrays to tensors in the structure of the samples."""
    return keras.tree.map_structure(tf.constant, samples)


def run(model: keras.Model, samples: Any) -> dict[str, list[np.ndarray]]:
    """Return the outputs of every call."""
    with unchanged(model), recorded_calls(model) as found:
        model(as_argument(samples), training=False)
    return {name: [np.asarray(one) for one in outputs] for name, outputs in found.outputs.items()}


def gradients(model: keras.Model, samples: Any, head: str, index: np.ndarray) -> dict[str, list[np.ndarray | None]]:
    """Return the gradient of the head's numbers before softmax or sigmoid, ``(N,)``, by the outputs of every call."""
    x = as_argument(samples)
    inputs = [one for one in keras.tree.flatten(x) if one.dtype.is_floating]
    layer = next(one for one in model._flatten_layers() if one.name == head.rpartition("/")[2])
    before, layer.activation = layer.activation, keras.activations.linear
    try:
        with unchanged(model), tf.GradientTape(persistent=True) as tape, recorded_calls(model) as found:
            tape.watch(inputs)
            model(x, training=False)
            scores = found.outputs[head][0]
            score = tf.reduce_sum(tf.gather(tf.reshape(scores, (len(index), -1)), index, batch_dims=1))
        slopes = {
            name: [tape.gradient(score, one) if one.dtype.is_floating else None for one in outputs]
            for name, outputs in found.outputs.items()
        }
        for name, one in zip(_input_names(model, samples), keras.tree.flatten(x), strict=True):
            slopes[name] = [tape.gradient(score, one) if one.dtype.is_floating else None]
    finally:
        layer.activation = before
    return {name: [None if one is None else np.asarray(one) for one in parts] for name, parts in slopes.items()}


def _input_names(model: keras.Model, samples: Any) -> list[str]:
    if isinstance(samples, dict):
        return [name for name, _ in keras.tree.flatten_with_path(samples) for name in name]
    return [one.name for one in model.inputs] if getattr(model, "inputs", None) else ["input"]


def formula(node: LayerNode, capture: Capture, model: keras.Model, outputs: Mapping[str, Sequence[Any]]) -> Any:
    """Compute a node that is no call of Keras.

    It is an operator in a layer's code, computed from its sources, or the layer inside a wrapper, whose output is that of
    the wrapper.
    """
    sources = [capture.activations(name).values for name in capture.graph.sources(node.id)]
    match node.kind:
        case "Relu":
            return np.maximum(sources[0], 0)
        case "Add":
            return sources[0] + sources[1]
        case "Concatenate":
            return np.concatenate(sources, axis=-1)
        case "Multiply":
            (gain,) = (np.asarray(one) for one in model.variables if one.path.endswith(f"{node.group}/gain"))
            return sources[0] * gain
    return outputs[node.group][0]
