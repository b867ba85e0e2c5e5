"""What class activation maps have in common: a layer's activation, and a score's gradient by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.attributions.answers import rows_at_once, whole_batch
from nnviz3d.capture.attributions.method import Settings
from nnviz3d.capture.differentiable import DifferentiableModel, Operator, Values
from nnviz3d.data.words import reason
from nnviz3d.errors import ModelError

Numbers = NDArray[np.float64]
Combine = Callable[[Numbers, Numbers], Numbers]
"""From activation and gradient, ``(n, *places, channels)`` each, to a map, ``(n, *places)``."""


def combined(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings, combine: Combine
) -> NDArray[np.float32]:
    """Combine a layer's activation with the gradient of ``g`` by it, a batch at a time; see `Function`.

    Raises
    ------
    ModelError
        If the layer has no places, or the model behind it has no gradient.
    """
    targets = np.asarray(y)
    maps: list[NDArray[np.float32]] = []
    for rows, held in runs(model, x):
        activation = numbers_of(held, settings.layer, rows)
        tail = model.tail(settings.layer, held)
        with tf.GradientTape() as tape:
            tape.watch(held[settings.layer])
            score = g(tail, [held[settings.layer]], tf.convert_to_tensor(whole_batch(model, targets[rows])))
        try:
            gradient = tape.gradient(score, held[settings.layer], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        except LookupError as error:
            raise ModelError(f"The model cannot be differentiated: {reason(error)} Use score_cam.") from error
        maps.append(combine(activation, _plain(gradient)[: len(activation)]).astype(np.float32))
        settings.report(rows.stop, len(targets))
    return np.concatenate(maps)


def runs(model: DifferentiableModel, x: Sequence[Any]) -> Iterator[tuple[slice, Values]]:
    """Run the model on some samples at a time; gives which of them, and all that every layer gave."""
    arrays = [np.asarray(values) for values in x]
    count, rows = len(arrays[0]), rows_at_once(model)
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        yield part, model(model.tensors([whole_batch(model, values[part]) for values in arrays]))


def numbers_of(held: Values, layer: str, rows: slice) -> Numbers:
    """Return what a layer gave for these samples, ``(n, *places, channels)``.

    Raises
    ------
    ModelError
        If it has no such axes.
    """
    tensor = held[layer]
    values = _plain(tensor)[: rows.stop - rows.start]
    if values.ndim < 3 or len(values) != rows.stop - rows.start:
        raise ModelError(f"{layer} has no places such as rows and columns, so there is no class activation map of it.")
    return values


def rectified(values: Numbers) -> Numbers:
    """Keep what speaks for the target."""
    return np.maximum(values, 0)


def places(values: Numbers) -> tuple[int, ...]:
    """Return the axes of places of ``(n, *places, channels)``."""
    return tuple(range(1, values.ndim - 1))


def _plain(tensor: Any) -> Numbers:
    return np.asarray(tf.cast(tensor, tf.float64))
