"""Gradients of the explained number with respect to one input, computed in batches by one compiled function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.attributions.variation_scores import rows_at_once
from nnviz3d.capture.programs.activations import portions
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

Vary = Callable[[NDArray[Any]], NDArray[Any]]

_HOLDS = 3
"""Multiple of the activations' size that is in memory at once: activations, gradients and intermediate results."""


def gradient_by_input(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, layer: str
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return ``g(model, x, y)``, ``(n,)``, and its gradient with respect to one input, ``(n, *shape)``.

    Both have the model's precision.

    Parameters
    ----------
    layer
        Node id of the input.

    Raises
    ------
    ModelError
        If the model cannot be differentiated.
    """
    position = model.described.graph.inputs.index(layer)

    def build() -> Compiled:
        def run(asked: Any, *given: Any) -> tuple[Any, Any]:
            answers = g(model, given, asked)
            slopes = tf.gradients(tf.reduce_sum(answers), given[position], unconnected_gradients="zero")[0]
            return answers, tf.convert_to_tensor(slopes)

        signature = [tf.TensorSpec((model.only_batch,), tf.int64), *model.signature]
        return Compiled(run, signature)

    function = model.compiled(("gradient by input", g, position), build)
    arrays = [np.asarray(y, dtype=np.int64), *(np.asarray(part) for part in x)]
    parts = []
    for _, count, (asked, *given) in portions(arrays, rows_at_once(model, _HOLDS), model.only_batch):
        try:
            found = function(tf.constant(asked), *model.tensors(given))
        except (LookupError, tf.errors.OpError) as error:
            raise ModelError(f"The model cannot be differentiated: {reason(error)}") from error
        parts.append([_floats(part)[:count] for part in found])
    answers, slopes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return answers, slopes


def mean_gradient(
    model: DifferentiableModel,
    x: Sequence[Any],
    y: Any,
    g: Operator,
    layer: str,
    variations: Sequence[tuple[float, Vary]],
    report: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """Return the weighted sum of the gradients at variations of one input, ``(n, *shape)``.

    Parameters
    ----------
    variations
        Weight of each variation, and a function that makes it of the input, ``(n, *shape)``. One batch is in memory.
    report
        Called with the finished and the total number of variations.
    """
    position = model.described.graph.inputs.index(layer)
    arrays = [np.asarray(part) for part in x]
    targets = np.asarray(y)
    total = np.zeros(arrays[position].shape, dtype=np.float64)
    together = max(1, rows_at_once(model, _HOLDS) // len(targets))
    for start in range(0, len(variations), together):
        part = variations[start : start + together]
        rows = [np.concatenate([array] * len(part)) for array in arrays]
        rows[position] = np.concatenate([vary(arrays[position]) for _, vary in part]).astype(arrays[position].dtype)
        _, slopes = gradient_by_input(model, rows, np.concatenate([targets] * len(part)), g, layer)
        weights = np.array([weight for weight, _ in part])
        total += np.tensordot(weights, slopes.reshape(len(part), *total.shape), 1)
        report(min(start + together, len(variations)), len(variations))
    return total


def _floats(tensor: Any) -> NDArray[np.floating]:
    return np.asarray(tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32))
