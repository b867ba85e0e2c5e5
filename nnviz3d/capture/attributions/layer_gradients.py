"""Activations of a layer and gradients of a score with respect to them, for class activation maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.attributions.method import Settings
from nnviz3d.capture.attributions.variation_scores import rows_at_once
from nnviz3d.capture.programs.activations import portions
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator, Values
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.data.axes import Axes, channels_last
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

Numbers = NDArray[np.float64]
Combine = Callable[[Numbers, Numbers], Numbers]
"""Computes a map ``(n, *locations)`` from activation and gradient, ``(n, *locations, channels)`` each."""


def combined(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings, combine: Combine
) -> NDArray[np.float32]:
    """Combine a layer's activation with the gradient of ``g`` with respect to it, batch by batch; see `Function`.

    Raises
    ------
    ModelError
        If the layer has no spatial axes, or the model behind it has no gradient.
    """
    targets = np.asarray(y, dtype=np.int64)
    position = model.described.calls[settings.layer]

    def build() -> Compiled:
        def run(asked: Any, *given: Any) -> tuple[Any, Any]:
            # The layer's output is from the run of the explained score, because a second run may give another output.
            observed = _ObservedModel(model)
            score = g(observed, given, asked)
            activation = observed.values.outputs[position][0]
            gradient = tf.gradients(tf.reduce_sum(score), activation, unconnected_gradients="zero")[0]
            return activation, tf.convert_to_tensor(gradient)

        return Compiled(run, [tf.TensorSpec((model.only_batch,), tf.int64), *model.signature])

    function = model.compiled(("gradient by layer", g, settings.layer), build)
    maps: list[NDArray[np.float32]] = []
    for rows, (asked, *given) in _batches(model, [targets, *x]):
        try:
            found = function(tf.constant(asked), *model.tensors(given))
        except LookupError as error:
            raise ModelError(f"The model cannot be differentiated: {reason(error)} Use score_cam.") from error
        axes = model.described.graph.node(settings.layer).axes
        activation = _with_channels_last(found[0], settings.layer, axes, rows)
        slopes = channels_last(_plain(found[1])[: len(activation)], axes)
        maps.append(combine(activation, slopes).astype(np.float32))
        settings.report(rows.stop, len(targets))
    return np.concatenate(maps)


def activations(model: DifferentiableModel, x: Sequence[Any], layer: str) -> Iterator[Numbers]:
    """Yield a layer's outputs batch by batch, ``(n, *locations, channels)``, also if the layer has channels first.

    Raises
    ------
    ModelError
        If the layer has no spatial axes.
    """

    def build() -> Compiled:
        return Compiled(lambda *given: model(given)[layer], model.signature)

    function, axes = model.compiled(("activation", layer), build), model.described.graph.node(layer).axes
    for rows, given in _batches(model, x):
        yield _with_channels_last(function(*model.tensors(given)), layer, axes, rows)


class _ObservedModel(DifferentiableModel):
    """A model that keeps the outputs of its layers from its last run.

    Attributes
    ----------
    values
        The outputs.
    """

    values: Values

    def __init__(self, model: DifferentiableModel) -> None:
        super().__init__(model.described, model.specs, draws=model.draws)

    def __call__(self, x: Sequence[Any], uses: dict[tuple[int, tuple[int, int]], Any] | None = None) -> Values:
        """Run the model and keep the values."""
        self.values = super().__call__(x, uses)
        return self.values


def _batches(model: DifferentiableModel, arrays: Sequence[Any]) -> Iterator[tuple[slice, list[NDArray[Any]]]]:
    """Split samples into chunks that fit into memory; yields the positions of each chunk and its arrays."""
    for start, count, parts in portions([np.asarray(a) for a in arrays], rows_at_once(model), model.only_batch):
        yield slice(start, start + count), parts


def _with_channels_last(tensor: Any, layer: str, axes: Axes, rows: slice) -> Numbers:
    """Return a layer's output for these samples, with channels last."""
    values = _plain(tensor)[: rows.stop - rows.start]
    if values.ndim < 3 or values.ndim != 1 + len(axes) or len(values) != rows.stop - rows.start:
        raise ModelError(f"{layer} has no spatial axes such as rows and columns, so it has no class activation map.")
    return channels_last(values, axes)


def rectified(values: Numbers) -> Numbers:
    """Keep the positive values, which increase the score of the target."""
    return np.maximum(values, 0)


def location_axes(values: Numbers) -> tuple[int, ...]:
    """Return the spatial axes of ``(n, *locations, channels)``."""
    return tuple(range(1, values.ndim - 1))


def _plain(tensor: Any) -> Numbers:
    return np.asarray(tf.cast(tensor, tf.float64))
