"""Measures weights and gradients after a training step, outside of the step's own program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.describe import DescribedModel
from nnviz3d.capture.tap import Held
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
        Its variables with their gradients, as a `Tap` holds them.

    Attributes
    ----------
    channels
        Whose gradient norms are told by channel too.
    """

    def __init__(self, described: DescribedModel, held: Mapping[int, Held]) -> None:
        self._held = tuple(held.values())
        position = {key: i for i, key in enumerate(held)}
        self._of_node: list[list[int]] = []
        self._kernels: list[int] = []
        entries = []
        for node in described.graph:
            operation = described.call(node.id).operation
            own = operation.trainable_weights if isinstance(operation, keras.Layer) else []
            own = [*own, *described.call(node.id).variables]
            self._of_node.append([position[id(v)] for v in own if id(v) in position])
            kernel = next((v for v in own if v.name == "kernel" and id(v) in position), None)
            if node.call == 0 and kernel is not None and _leads_to_channels(kernel, node.shape):
                entries.append((node.id, "", (int(kernel.shape[-1]),)))
                self._kernels.append(position[id(kernel)])
        self.channels = Packing(tuple(entries))
        self._function = tf.function(self._measure, autograph=False, jit_compile=False)

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
        found, channels = self._function()
        norms, lost = _norms(np.asarray(found, np.float64))
        layers = np.full((len(self._of_node), len(STATISTICS)), np.nan)
        for row, own in zip(layers, self._of_node, strict=True):
            if not own:
                continue
            gradient, before, after, change = np.sqrt(np.sum(norms[own] ** 2, axis=0))
            row[_AT["gradient_norm"]] = gradient / factor
            row[_AT["weight_norm"]] = after
            with np.errstate(divide="ignore", invalid="ignore"):
                row[_AT["update_ratio"]] = change / before
            row[_AT["nonfinite_gradients"]] = lost[own, 0].sum()
            row[_AT["nonfinite_weights"]] = lost[own, 2].sum()
        return layers.astype(np.float32), (np.asarray(channels, np.float64) / factor).astype(np.float32)

    def _measure(self) -> tuple[Any, Any]:
        rows = []
        for held in self._held:
            gradient, before, after = (
                tf.cast(t, tf.float32) for t in (held.gradient, held.before, held.variable.value)
            )
            rows.append(tf.stack([_size(t) for t in (gradient, before, after, after - before)]))
        channels = [_by_channel(tf.cast(self._held[i].gradient, tf.float32)) for i in self._kernels]
        return tf.stack(rows), tf.concat([*channels, tf.zeros(0)], 0)


def _size(tensor: Any) -> Any:
    """Return the greatest magnitude, the sum of squares of what is divided by it, and how many are NaN and infinite."""
    greatest = _greatest(tensor)
    squares = tf.reduce_sum(tf.square(tensor / _divisor(greatest)))
    nan, infinite = (tf.math.count_nonzero(f(tensor), dtype=tf.int64) for f in (tf.math.is_nan, tf.math.is_inf))
    return tf.stack([greatest, squares, tf.cast(nan, tf.float32), tf.cast(infinite, tf.float32)])


def _by_channel(kernel: Any) -> Any:
    divisor = _divisor(_greatest(kernel))
    return divisor * tf.sqrt(tf.reduce_sum(tf.square(kernel / divisor), axis=list(range(kernel.shape.rank - 1))))


def _greatest(tensor: Any) -> Any:
    return tf.reduce_max(tf.abs(tensor))


def _divisor(greatest: Any) -> Any:
    """Keep squares from over- and underflowing."""
    return tf.where(tf.math.is_finite(greatest) & (greatest > 0), greatest, 1.0)


def _norms(found: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return norms, as NumPy would give them, and how many numbers are not finite; both ``(variables, 4)``."""
    greatest, squares, nan, infinite = np.moveaxis(found, -1, 0)
    with np.errstate(invalid="ignore"):
        norms = np.where(np.isfinite(greatest), greatest, 1) * np.sqrt(squares)
    norms = np.where(nan > 0, np.nan, np.where(infinite > 0, np.inf, norms))
    return norms, nan + infinite


def _leads_to_channels(kernel: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether the last axis of a kernel is that of the layer's channels."""
    channels = shape[-1] if shape else None
    return channels is not None and len(kernel.shape) > 1 and kernel.shape[-1] == channels <= MOST_CHANNELS
