"""Measures weights and gradients after a training step, outside of the step's own program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.describe import DescribedModel
from nnviz3d.capture.tap import Held
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.training import STATISTICS, Packing

MOST_CHANNELS = 1024
"""Layers with more channels have one norm only."""
_AT = {name: i for i, name in enumerate(STATISTICS)}


class WeightMeasure:
    """Norms of gradients, weights and updates, for each layer of a model.

    Parameters
    ----------
    described
        The model's graph.
    held
        Its variables with their gradients, as a `Tap` holds them. Those that come later are not measured.
    channels
        Whose gradient norms are told by channel, where that is settled.

    Attributes
    ----------
    channels
        Whose gradient norms are told by channel too.
    """

    def __init__(self, described: DescribedModel, held: Mapping[int, Held], channels: Packing | None = None) -> None:
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
            told = channels is None or (node.id, "") in channels
            if told and node.call == 0 and kernel is not None and _leads_to_channels(kernel, node):
                entries.append((node.id, "", (int(kernel.shape[-1]),)))
                self._kernels.append(position[id(kernel)])
        self.channels = Packing(tuple(entries))
        self._function = tf.function(self._measure, autograph=False, jit_compile=False)

    @property
    def variables(self) -> int:
        """How many variables are measured."""
        return len(self._held)

    def __call__(self, factor: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Measure what stands in the variables now.

        Parameters
        ----------
        factor
            What the gradients were multiplied by.

        Returns
        -------
        layers
            ``(L, K)``, NaN where nothing is measured here.
        channels
            A row of its packing.
        """
        squares, channels = (np.array(t) for t in self._function())
        layers = np.full((len(self._of_node), len(STATISTICS)), np.nan)
        # What has been frozen since takes no part in a step: what is held of it is of an earlier one.
        moves = [held.variable.trainable for held in self._held]
        for (layer, part, _), i in zip(self.channels.entries, self._kernels, strict=True):
            if not moves[i]:
                channels[self.channels.place(layer, part)[0]] = np.nan
        for row, all_own in zip(layers, self._of_node, strict=True):
            own = [i for i in all_own if moves[i]]
            if not own:
                continue
            gradient, before, after, change = np.sqrt(squares[own].sum(axis=0))
            row[_AT["gradient_norm"]] = gradient / factor
            row[_AT["weight_norm"]] = after
            with np.errstate(divide="ignore", invalid="ignore"):
                row[_AT["update_ratio"]] = change / before
            row[_AT["nonfinite_gradients"]] = 0 if np.isfinite(gradient) else self._count(own, lambda h: h.gradient)
            row[_AT["nonfinite_weights"]] = 0 if np.isfinite(after) else self._count(own, lambda h: h.variable)
            row[_AT["nonfinite_before"]] = 0 if np.isfinite(before) else self._count(own, lambda h: h.before)
        return layers.astype(np.float32), (channels / factor).astype(np.float32)

    def _measure(self) -> tuple[Any, Any]:
        """Return sums of squares, ``(variables, 4)``: of gradient, weights before and after, and their difference."""
        rows = []
        for held in self._held:
            # The square of no float32 is too much, or too little, for a float64.
            gradient, before, after = (
                tf.cast(t, tf.float64) for t in (held.gradient, held.before, held.variable.value)
            )
            rows.append(tf.stack([2 * tf.nn.l2_loss(t) for t in (gradient, before, after, after - before)]))
        kernels = [tf.cast(self._held[i].gradient, tf.float64) for i in self._kernels]
        channels = [tf.sqrt(tf.reduce_sum(tf.square(kernel), axis=range(kernel.shape.rank - 1))) for kernel in kernels]
        return tf.stack(rows), tf.concat([*channels, tf.zeros(0, tf.float64)], 0)

    def _count(self, own: Sequence[int], part: Callable[[Held], Any]) -> int:
        """Count what is not finite among some variables."""
        tensors = (tf.cast(part(self._held[i]), tf.float32) for i in own)
        return sum(int(tf.math.count_nonzero(~tf.math.is_finite(tensor))) for tensor in tensors)


def _leads_to_channels(kernel: Any, node: LayerNode) -> bool:
    """Whether the last axis of a kernel is that of the layer's channels."""
    channels = node.channels if node.shape else None
    return channels is not None and len(kernel.shape) > 1 and kernel.shape[-1] == channels <= MOST_CHANNELS
