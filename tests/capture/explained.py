"""Models traced for explanations, and reference computations."""

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.gradients import gradients
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.differentiable import DifferentiableModel, score_of
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model


def traced(model, arrays):
    """The model as a function that can be differentiated, for samples of these shapes."""
    inputs = expected_inputs(model)
    specs = tuple(replace(s, shape=a.shape[1:]) for s, a in zip(inputs.specs, arrays, strict=True))
    inputs = replace(inputs, specs=specs)
    return DifferentiableModel(describe(open_model(model, inputs), model.name), specs)


def every_gradient(model, arrays, output, index):
    """Gradients by node and output, ``(N, *shape)``."""
    found = {}
    for batch in gradients(model, arrays, output, np.asarray(index)):
        for node, k in batch:
            numbers = batch.outputs[node][k]
            if numbers is not None and batch.numbers(node, k) is not None:
                found.setdefault((node, k), []).append(np.asarray(numbers))
    return {key: np.concatenate(parts) for key, parts in found.items()}


def score(model, arrays, output, index):
    """The explained numbers, ``(N,)`` in the model's precision; the index is one number, or one for each sample."""
    asked = np.broadcast_to(index, len(arrays[0]))
    return np.asarray(score_of(output)(model, [tf.constant(a) for a in arrays], tf.constant(asked)))


class _Given(keras.Operation):
    """An operation that returns the value it was made with, for any input."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def call(self, *args, **kwargs):
        return self.value


def with_output(model, node, value):
    """Return the model in which one layer's first output is `value`."""
    described = model.described
    calls = list(described.program.calls)
    at = described.calls[node]
    calls[at] = replace(calls[at], operation=_Given(tf.constant(value)))
    changed = replace(described, program=replace(described.program, calls=tuple(calls)))
    return DifferentiableModel(changed, model.specs)


def central_differences(function, x, step=1e-6):
    """The gradient of ``function(x)``, ``(1,)``, with respect to ``x``, ``(1, *shape)``, computed in one batch."""
    steps = step * np.eye(x.size).reshape(x.size, *x.shape[1:])
    return ((function(x + steps) - function(x - steps)) / (2 * step)).reshape(x.shape)


def apart(a, b):
    """The distance of two arrays as a share of the second's norm."""
    return np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)
