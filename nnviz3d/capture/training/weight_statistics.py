"""Norms of weights and gradients after a training step, computed outside of the step's own program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.training.optimizer_updates import number
from nnviz3d.capture.training.train_step_hook import VariableCopies
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.packing import Packing
from nnviz3d.data.training import STATISTICS

MOST_CHANNELS = 1024
"""Most channels of a layer with a gradient norm for each channel."""
_AT = {name: i for i, name in enumerate(STATISTICS)}


class WeightMeasure:
    """Norms of gradients, weights and updates, for each layer of a model.

    Parameters
    ----------
    described
        The model's graph.
    held
        Its variables with their gradients, as in a `TrainStepHook`. Variables added later are not measured.
    channels
        Layers that have gradient norms for each channel; by default those that can have them.

    Attributes
    ----------
    channels
        Packing of the gradient norms for each channel.
    """

    def __init__(
        self, described: DescribedModel, held: Mapping[int, VariableCopies], channels: Packing | None = None
    ) -> None:
        self._held = tuple(held.values())
        position = {key: i for i, key in enumerate(held)}
        self._of_node: list[list[int]] = []
        self._kernels: list[int] = []
        entries = []
        for node in described.graph:
            operation = described.call(node.id).operation
            own = operation.weights if isinstance(operation, keras.Layer) else []
            own = [*own, *described.call(node.id).variables]
            self._of_node.append([position[id(v)] for v in own if id(v) in position])
            kernel = next((v for v in own if v.name == "kernel" and id(v) in position), None)
            has_norms = channels is None or (node.id, "") in channels
            if has_norms and node.call == 0 and kernel is not None and _leads_to_channels(kernel, node):
                entries.append((node.id, "", (int(kernel.shape[-1]),)))
                self._kernels.append(position[id(kernel)])
        self.channels = Packing(tuple(entries))
        self._function = tf.function(self._measure, autograph=False, jit_compile=False)

    @property
    def variables(self) -> int:
        """Number of measured variables."""
        return len(self._held)

    def __call__(self, made: int | None = None, *, finite: bool = False) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute the statistics of the variables' current values.

        Parameters
        ----------
        made
            Value of `OptimizerCall.step` for an optimizer's call in the measured step.
        finite
            Whether the step's loss is known to be finite.

        Returns
        -------
        layers
            ``(L, K)``; NaN for statistics of activations.
        channels
            A row of its packing.
        """
        squares, channels = (np.array(t) for t in self._function())
        layers = np.full((len(self._of_node), len(STATISTICS)), np.nan)
        states = [VariableState.of(held, made, finite=finite) for held in self._held]
        for (layer, part, _), i in zip(self.channels.entries, self._kernels, strict=True):
            channels[self.channels.span(layer, part)[0]] *= states[i].gradient_unit
        for row, all_own in zip(layers, self._of_node, strict=True):
            own = [i for i in all_own if states[i].moves]
            if not own:
                continue
            units = np.array([states[i].gradient_unit for i in own])
            gradient, before, after, change = np.sqrt(squares[own].sum(axis=0))
            gradient = np.sqrt(np.sum(squares[own, 0] * units**2))
            row[_AT["gradient_norm"]] = gradient
            row[_AT["weight_norm"]] = after
            if any(states[i].updated for i in own):
                with np.errstate(divide="ignore", invalid="ignore"):
                    row[_AT["update_ratio"]] = change / before
            if not np.isnan(units).any():
                row[_AT["nonfinite_gradients"]] = 0 if np.isfinite(gradient) else self._count(own, lambda h: h.gradient)
            row[_AT["nonfinite_weights"]] = 0 if np.isfinite(after) else self._count(own, lambda h: h.variable)
            row[_AT["nonfinite_before"]] = 0 if np.isfinite(before) else self._count(own, lambda h: h.before)
        return layers.astype(np.float32), channels.astype(np.float32)

    def _measure(self) -> tuple[Any, Any]:
        """Return sums of squares, ``(variables, 4)``: of gradient, weights before and after, and their difference."""
        rows = []
        for held in self._held:
            # The square of any float32 is within the range of float64.
            gradient, before, after = (
                tf.cast(t, tf.float64) for t in (held.gradient, held.before, keras.ops.convert_to_tensor(held.variable))
            )
            rows.append(tf.stack([2 * tf.nn.l2_loss(t) for t in (gradient, before, after, after - before)]))
        kernels = [tf.cast(self._held[i].gradient, tf.float64) for i in self._kernels]
        channels = [tf.sqrt(tf.reduce_sum(tf.square(kernel), axis=range(kernel.shape.rank - 1))) for kernel in kernels]
        return tf.reshape(tf.stack(rows), (-1, 4)) if rows else tf.zeros((0, 4), tf.float64), tf.concat(
            [*channels, tf.zeros(0, tf.float64)], 0
        )

    def _count(self, own: Sequence[int], part: Callable[[VariableCopies], Any]) -> int:
        """Count the numbers that are not finite in some variables."""
        tensors = (tf.cast(part(self._held[i]), tf.float32) for i in own)
        return sum(int(tf.math.count_nonzero(~tf.math.is_finite(tensor))) for tensor in tensors)


@dataclass(frozen=True)
class VariableState:
    """State of a variable in the measured step: whether it was used, and whether it was updated.

    Attributes
    ----------
    moves
        Whether an optimizer or a custom training loop handled the variable.
    updated
        Whether the step was meant to change the variable.
    gradient_unit
        Factor for the stored gradient; NaN if that gradient is not valid.
    """

    moves: bool
    updated: bool
    gradient_unit: float

    @staticmethod
    def of(held: VariableCopies, made: int | None, *, finite: bool) -> VariableState:
        """Read the state of a variable; the arguments are those of a `WeightMeasure`."""
        call = held.applied
        # A variable that has been frozen since has no part in the step: its stored values belong to an earlier step.
        if not held.variable.trainable or (call is not None and number(call.step) != made):
            return VariableState(moves=False, updated=False, gradient_unit=np.nan)
        if call is None:
            return VariableState(moves=True, updated=True, gradient_unit=1.0)
        # If the loss is finite, only the loss scale made the gradients overflow, and the optimizer handled it.
        factor = np.nan if call.refused and finite else number(call.factor)
        return VariableState(moves=True, updated=call.updated, gradient_unit=1.0 / factor if factor else np.nan)


def _leads_to_channels(kernel: Any, node: LayerNode) -> bool:
    """Whether the last axis of a kernel is that of the layer's channels."""
    channels = node.channels if node.shape else None
    return channels is not None and len(kernel.shape) > 1 and kernel.shape[-1] == channels <= MOST_CHANNELS
