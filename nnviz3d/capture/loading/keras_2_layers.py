"""Layers of Keras 2 that Keras 3 does not have, or that compute other numbers in it."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.applications.convnext import LayerScale, StochasticDepth

_register: Any = keras.saving.register_keras_serializable(package="nnviz3d")


@_register  # type: ignore[untyped-decorator]  # Keras has no types
def hard_sigmoid(x: Any) -> Any:
    """Compute ``hard_sigmoid`` as Keras 2 does: ``clip(0.2 x + 0.5, 0, 1)``; in Keras 3 its slope is 1/6."""
    return keras.ops.clip(keras.ops.add(keras.ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


class _Layer(keras.Layer):  # type: ignore[misc]
    """A layer that takes the configuration of Keras 2, without the settings that only training needs."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Layer:
        """Make the layer from the settings that it has."""
        known = {*inspect.signature(cls.__init__).parameters, "name", "trainable", "dtype"}
        return cls(**{key: value for key, value in config.items() if key in known})


@_register
class ThresholdedReLU(_Layer):
    """Pass on the numbers above a threshold, and replace the others by 0."""

    def __init__(self, theta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.theta = theta
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Compute the outputs."""
        return inputs * tf.cast(inputs > tf.cast(self.theta, inputs.dtype), inputs.dtype)


class _Unchanged(_Layer):
    """A layer that changes its input in training only."""

    def call(self, inputs: Any) -> Any:
        """Return the input."""
        return inputs


@_register
class RandomHeight(_Unchanged):
    """Vary the height of pictures in training."""


@_register
class RandomWidth(_Unchanged):
    """Vary the width of pictures in training."""


@_register
class RandomCrop(keras.layers.Resizing):  # type: ignore[misc]
    """Crop pictures to a shape of sides, and resize them: Keras 2 does this in place of a random crop when it predicts."""

    def __init__(self, height: int, width: int, seed: int | None = None, **options: Any) -> None:
        super().__init__(height, width, crop_to_aspect_ratio=True, **options)


@_register
class SyncBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization whose statistics come from several devices in training."""


class CombineMasks(keras.Operation):  # type: ignore[misc]
    """The mask of the output of a merge in Keras 2: a step counts if no input masks it.

    Parameters
    ----------
    axis
        Axis along which the masks are joined; `None` if they belong to the same steps.
    """

    def __init__(self, name: str, axis: int | None) -> None:
        super().__init__(name=name)
        self.axis = axis

    def call(self, masks: Sequence[Any]) -> Any:
        """Combine masks, ``(batch, steps)`` each."""
        return tf.reduce_all(tf.stack(masks), axis=0) if self.axis is None else tf.concat(masks, self.axis)


class _Merge:
    """A merge with the masks of Keras 2; in Keras 3 one unmasked input of several is enough."""

    def compute_mask(self, inputs: Any, mask: Sequence[Any] | None = None) -> Any:
        """Return the mask of the outputs, or `None` if no input has one."""
        masks = [one for one in mask or () if one is not None]
        if len(masks) < 2:
            return masks[0] if masks else None
        # One operation for all calls of the layer: Keras wants the names of a model's operations to differ.
        combine = vars(self).get("_combine")
        if combine is None:
            combine = CombineMasks(f"{vars(self)['name']}_mask", self._joined(len(inputs[0].shape)))
            object.__setattr__(self, "_combine", combine)
        return combine(masks)

    def _joined(self, rank: int) -> int | None:
        return None


@_register
class Add(_Merge, keras.layers.Add):  # type: ignore[misc]
    """Add with the masks of Keras 2."""


@_register
class Subtract(_Merge, keras.layers.Subtract):  # type: ignore[misc]
    """Subtract with the masks of Keras 2."""


@_register
class Multiply(_Merge, keras.layers.Multiply):  # type: ignore[misc]
    """Multiply with the masks of Keras 2, which change no number of the output."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return functools.reduce(keras.ops.multiply, inputs)


@_register
class Average(_Merge, keras.layers.Average):  # type: ignore[misc]
    """Average with the masks of Keras 2."""


@_register
class Maximum(_Merge, keras.layers.Maximum):  # type: ignore[misc]
    """Maximum with the masks of Keras 2, which change no number of the output."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return functools.reduce(keras.ops.maximum, inputs)


@_register
class Minimum(_Merge, keras.layers.Minimum):  # type: ignore[misc]
    """Minimum with the masks of Keras 2, which change no number of the output."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return functools.reduce(keras.ops.minimum, inputs)


@_register
class Concatenate(_Merge, keras.layers.Concatenate):  # type: ignore[misc]
    """Concatenate with the masks of Keras 2."""

    def _joined(self, rank: int) -> int | None:
        axis = self.axis % rank
        return None if axis == rank - 1 else axis


class _WithoutMask:
    """A layer that does not pass on a mask in Keras 2."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return no mask."""


@_register
class Identity(_WithoutMask, keras.layers.Identity):  # type: ignore[misc]
    """Identity with the masks of Keras 2."""

    def call(self, inputs: Any) -> Any:
        """Return copies of the inputs: Keras keeps a mask at its tensor."""
        return keras.tree.map_structure(tf.identity, inputs)


@_register
class Normalization(_WithoutMask, keras.layers.Normalization):  # type: ignore[misc]
    """Normalization with the masks of Keras 2."""


@_register
class Rescaling(_WithoutMask, keras.layers.Rescaling):  # type: ignore[misc]
    """Rescaling with the masks of Keras 2."""


class _LocallyConnected(_Layer):
    """A convolution with a kernel of its own for each position.

    Parameters
    ----------
    implementation
        How Keras 2 stores the kernels: 1 for an array ``(positions, kernel * channels, filters)``; 2 for the matrix from
        all inputs to all outputs, of which the connected pairs count; 3 for a vector of the connected pairs, by output.
    """

    rank = 0

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters = filters
        self.kernel_size = _sides(kernel_size, self.rank)
        self.strides = _sides(strides, self.rank)
        self.padding = padding
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.implementation = implementation

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the variables in the shapes of Keras 2."""
        first = self.data_format == "channels_first"
        known = [size for size in input_shape[1:] if size is not None]
        if len(known) != self.rank + 1:
            raise ValueError(f"{type(self).__name__} needs an input of known size, got {tuple(input_shape)}.")
        channels = known.pop(0 if first else -1)
        reach = [self._reach(side, axis) for axis, side in enumerate(known)]
        self._outputs = [len(starts) for starts in reach]
        cells = np.arange(channels * math.prod(known)).reshape((channels, *known) if first else (*known, channels))
        windows = list(itertools.product(*reach))
        parts = [cells[(slice(None), *window) if first else (*window, slice(None))].ravel() for window in windows]
        places = (self.filters, *self._outputs) if first else (*self._outputs, self.filters)
        if self.implementation == 1:
            self._cells = np.stack(parts)
            shape: tuple[int, ...] = (*self._cells.shape, self.filters)
        else:
            by_filter = np.arange(np.prod(places)).reshape(places)
            by_filter = by_filter if first else np.moveaxis(by_filter, -1, 0)
            made = by_filter.reshape(self.filters, -1)
            pairs = [(out, i) for row in made for out, part in zip(row, parts, strict=True) for i in part]
            self._pairs = np.array(sorted(pairs), np.int64)
            shape = (*cells.shape, *places) if self.implementation == 2 else (len(self._pairs),)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(*self._outputs, self.filters), name="bias") if self.use_bias else None

    def _reach(self, side: int, axis: int) -> list[slice]:
        """Return the inputs of each output along one axis."""
        kernel, stride = self.kernel_size[axis], self.strides[axis]
        same = self.padding == "same"
        count = -(-(side if same else side - kernel + 1) // stride)
        starts = [n * stride - (kernel // 2 if same else 0) for n in range(count)]
        return [slice(max(start, 0), min(start + kernel, side)) for start in starts]

    def call(self, inputs: Any) -> Any:
        """Compute the outputs, ``(batch, *positions, filters)`` or with the filters first."""
        flat = tf.reshape(inputs, (tf.shape(inputs)[0], -1))
        first = self.data_format == "channels_first"
        kernel = tf.convert_to_tensor(self.kernel)
        if self.implementation == 1:
            taken = tf.transpose(tf.gather(flat, self._cells, axis=1), (1, 0, 2))
            found = tf.transpose(tf.matmul(taken, kernel), (1, 2, 0) if first else (1, 0, 2))
        elif self.implementation == 2:
            size = (flat.shape[1], -1)
            mask = np.zeros((flat.shape[1], int(np.prod(self._outputs)) * self.filters), np.float32)
            mask[self._pairs[:, 1], self._pairs[:, 0]] = 1
            found = tf.matmul(flat, tf.reshape(kernel, size) * mask, b_is_sparse=True)
        else:
            size = (int(np.prod(self._outputs)) * self.filters, flat.shape[1])
            found = tf.transpose(
                tf.sparse.sparse_dense_matmul(tf.SparseTensor(self._pairs, kernel, size), flat, adjoint_b=True)
            )
        places = (self.filters, *self._outputs) if first else (*self._outputs, self.filters)
        outputs = tf.reshape(found, (-1, *places))
        if self.bias is not None:
            bias = tf.convert_to_tensor(self.bias)
            # Keras 2 does not move the axes of the bias here, it only reads its numbers in another shape.
            outputs += tf.reshape(bias, places) if first else bias
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the outputs."""
        if self.data_format == "channels_first":
            return (input_shape[0], self.filters, *self._outputs)
        return (input_shape[0], *self._outputs, self.filters)


@_register
class LocallyConnected1D(_LocallyConnected):
    """A convolution along a sequence with a kernel of its own for each position."""

    rank = 1


@_register
class LocallyConnected2D(_LocallyConnected):
    """A convolution over a picture with a kernel of its own for each position."""

    rank = 2


def _sides(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


OWN_LAYERS: dict[str, type[keras.Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate),
        *(Identity, Normalization, Rescaling),
        *(LocallyConnected1D, LocallyConnected2D, RandomCrop, RandomHeight, RandomWidth),
        *(SyncBatchNormalization, ThresholdedReLU, LayerScale, StochasticDepth),
    )
}
"""These layers by the names of their classes in Keras 2; the last two belong to the models of keras.applications."""

SETTINGS_OF_OWN = {
    "LayerScale": {"init_values", "projection_dim"},
    "StochasticDepth": {"drop_path_rate"},
}
"""Settings by which a layer of keras.applications is told from a user's layer of the same name."""
