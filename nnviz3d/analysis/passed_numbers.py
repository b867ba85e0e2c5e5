"""Layers that pass single numbers of their inputs on: reshape, permute, join, pad, crop and repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import CellSum, UnknownSumError, single
from nnviz3d.analysis.windows import channel_position
from nnviz3d.data.graph import LayerNode

SAME_ORDER = frozenset({"Flatten", "Reshape", "ExpandDims", "Squeeze", "Unsqueeze"})
"""Kinds of layers that only change the shape."""
_JOINING = frozenset({"Concatenate", "Concat", "Concatenation"})
_NOTHING = "it is padding, which holds 0"


def passed(
    node: LayerNode, index: tuple[int, ...], shape: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]
) -> CellSum | None:
    """Return the one number of an input that a layer passes on to an index; `None` for other layers.

    Raises
    ------
    UnknownSumError
        If the number is padding, or the layer's settings do not say which number it is.
    """
    kind = node.kind
    if kind in _JOINING:
        return _joined(node, index, shape, inputs)
    if len(inputs) != 1:
        return None
    (values,) = inputs
    if kind in SAME_ORDER:
        return single(number_behind(node, index, shape, values.shape), 1.0, values)
    if kind == "Permute":
        return single(_permuted(index, shape, values.shape), 1.0, values)
    if kind == "RepeatVector":
        return single(index[1:], 1.0, values)
    if kind.startswith(("ZeroPadding", "Cropping")):
        return single(_shifted(node, index, values.shape), 1.0, values)
    if kind.startswith("UpSampling") and node.details.get("interpolation", "nearest") == "nearest":
        return single(_enlarged(node, index, shape, values.shape), 1.0, values)
    return None


def number_behind(
    node: LayerNode, index: tuple[int, ...], shape: tuple[int, ...], source: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the index that a number had before a layer of `SAME_ORDER`.

    Parameters
    ----------
    index, shape
        Its index in the output, and the shape of the output.
    source
        The shape of the input.
    """
    if math.prod(shape) != math.prod(source):
        raise UnknownSumError("its input has another size")
    flat = int(np.ravel_multi_index(index, shape)) if shape else 0
    if not source:
        return ()
    if node.kind == "Flatten" and node.details.get("data_format") == "channels_first" and len(source) > 1:
        # Keras moves the channels to the end first.
        found = np.unravel_index(flat, (*source[1:], source[0]))
        return int(found[-1]), *(int(i) for i in found[:-1])
    return tuple(int(i) for i in np.unravel_index(flat, source))


def _permuted(index: tuple[int, ...], shape: tuple[int, ...], source: tuple[int, ...]) -> tuple[int, ...]:
    """Follow a permutation of axes, which is known by their lengths if these differ."""
    if len(set(source)) < len(source) or sorted(shape) != sorted(source):
        raise UnknownSumError("its axes have equal lengths, so that their order is not known")
    return tuple(index[shape.index(length)] for length in source)


def _shifted(node: LayerNode, index: tuple[int, ...], source: tuple[int, ...]) -> tuple[int, ...]:
    pads = node.kind.startswith("ZeroPadding")
    value, channel = node.details.get("padding" if pads else "cropping"), channel_position(node, len(source))
    axes = [axis for axis in range(len(source)) if axis != channel]
    sides = [value] if len(axes) == 1 and isinstance(value, list) and len(value) == 2 else value
    if not isinstance(sides, list) or len(sides) != len(axes) or len(index) != len(source):
        raise UnknownSumError("its settings are not known")
    found = list(index)
    for axis, side in zip(axes, sides, strict=True):
        if not isinstance(side, list) or not side or not isinstance(side[0], int):
            raise UnknownSumError("its settings are not known")
        found[axis] += -side[0] if pads else side[0]
        if not 0 <= found[axis] < source[axis]:
            raise UnknownSumError(_NOTHING)
    return tuple(found)


def _enlarged(
    node: LayerNode, index: tuple[int, ...], shape: tuple[int, ...], source: tuple[int, ...]
) -> tuple[int, ...]:
    if len(source) != len(shape) or any(n % m for n, m in zip(shape, source, strict=True)):
        raise UnknownSumError("its settings are not known")
    channel = channel_position(node, len(shape))
    return tuple(
        i if axis == channel else i // (n // m) for axis, (i, n, m) in enumerate(zip(index, shape, source, strict=True))
    )


def _joined(
    node: LayerNode, index: tuple[int, ...], shape: tuple[int, ...], inputs: Sequence[NDArray[np.float32]]
) -> CellSum:
    axis = node.details.get("axis", -1)
    at = axis % (len(shape) + 1) - 1 if isinstance(axis, int) else -1
    fits = at >= 0 and all(values.ndim == len(shape) for values in inputs)
    if not fits or sum(values.shape[at] for values in inputs) != shape[at]:
        raise UnknownSumError("it joins a tensor with itself, or along an axis that is not known")
    place = index[at]
    for source, values in enumerate(inputs):
        if place < values.shape[at]:
            return single((*index[:at], place, *index[at + 1 :]), 1.0, values, source=source)
        place -= values.shape[at]
    raise UnknownSumError("its inputs have other shapes")
