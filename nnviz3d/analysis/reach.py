"""The positions of a layer's inputs that some positions of its output depend on, one function for each kind of layer.

Positions are masks, one for each axis of a tensor: a number is reached if all its masks are true there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.windows import channel_position, windows_of
from nnviz3d.data.graph import LayerNode

Positions = tuple[NDArray[np.bool_], ...]
"""A mask ``(n,)`` for each axis of a tensor, whose length is n."""
Shape = tuple[int, ...]
Rule = Callable[[LayerNode, Positions, Shape, Shape], "Positions | None"]
"""From a node, the positions and the shape of its output, and the shape of an input, to the positions of that input.

`None`: the rule cannot tell.
"""

_POINTWISE_NAMES = """
    activation relu leakyrelu prelu elu selu gelu silu swish relu6 sigmoid tanh hardswish hardsigmoid hardtanh
    softplus softsign exp exponential expm1 log log1p sqrt rsqrt square abs absolute negative neg sin cos erf mish
    celu dropout spatialdropout1d spatialdropout2d spatialdropout3d gaussiannoise gaussiandropout alphadropout
    identity activityregularization batchnormalization rescaling normalization masking clip power pow cast
    stopgradient add sub subtract mul multiply average div divide truedivide maximum minimum where
"""
_POINTWISE = frozenset(_POINTWISE_NAMES.split())
"""Kinds, in small letters, whose numbers depend on the numbers at the same index of each input."""
_POINTWISE_FUNCTIONS_NAMES = """
    linear relu relu6 leaky_relu elu selu gelu silu swish sigmoid tanh hard_sigmoid hard_silu hard_swish hard_tanh
    softplus softsign exponential mish celu log_sigmoid relu_n1_to_1 tanh_shrink soft_shrink hard_shrink squareplus
    threshold
"""
_POINTWISE_FUNCTIONS = frozenset(_POINTWISE_FUNCTIONS_NAMES.split())
_OVER_UNITS = frozenset({"softmax", "log_softmax", "sparsemax"})
"""Activation functions of all numbers along the last axis."""
_MATRICES = frozenset({"Dense", "Gemm", "FullyConnected", "MatMul"})
_SAME_ORDER = frozenset({"Flatten", "Reshape", "ExpandDims", "Squeeze", "Unsqueeze"})
_BY_AXIS = frozenset({"LayerNormalization", "RMSNormalization", "UnitNormalization", "Softmax", "LogSoftmax"})


def everything(shape: Shape) -> Positions:
    """Return all positions of a tensor."""
    return tuple(np.ones(n, dtype=bool) for n in shape)


def nothing(shape: Shape) -> Positions:
    """Return no position of a tensor."""
    return tuple(np.zeros(n, dtype=bool) for n in shape)


def reached(node: LayerNode, positions: Positions, shape: Shape, sources: Sequence[Shape]) -> list[Positions | None]:
    """Return the positions of each input of a node that some positions of its output depend on.

    Parameters
    ----------
    positions, shape
        Of the node's first output.
    sources
        The shapes of its inputs, in the order of its arguments.

    Returns
    -------
    `None` for an input of which it is unknown; then any number of it may matter.
    """
    if node.kind in ("Concatenate", "Concat", "Concatenation"):
        return _concatenated(node, positions, shape, sources)
    rule = _rule_of(node.kind)
    spread = None if rule is None else _before_activation(node, positions)
    if rule is None or spread is None:
        return [None] * len(sources)
    if len(sources) > 1 and rule is not _pointwise:
        return [rule(node, spread, shape, sources[0]), *[None] * (len(sources) - 1)]
    return [rule(node, spread, shape, source) for source in sources]


def _rule_of(kind: str) -> Rule | None:
    if kind.lower() in _POINTWISE:
        return _pointwise
    if kind.startswith("Global") and "Pool" in kind:
        return _all_locations
    if "Conv" in kind and "LSTM" not in kind:
        return _convolution
    if "Pool" in kind and "Adaptive" not in kind:
        return _pooling
    if kind in _MATRICES:
        return _along_last
    if kind in _BY_AXIS:
        return _along_axes
    if kind in _SAME_ORDER:
        return _same_order
    prefixes = {"UpSampling": _upsampled, "ZeroPadding": _padded, "Cropping": _cropped}
    return _OTHERS.get(kind) or next((rule for prefix, rule in prefixes.items() if kind.startswith(prefix)), None)


def _before_activation(node: LayerNode, positions: Positions) -> Positions | None:
    """Return the positions that a node's activation function reads; `None` for an unknown function."""
    function = node.activation
    if function is None or function in _POINTWISE_FUNCTIONS or node.kind in _OTHERS:
        return positions
    if function in _OVER_UNITS and positions:
        return (*positions[:-1], np.full(len(positions[-1]), positions[-1].any()))
    return None


def _pointwise(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow the same index; an axis of length 1 is repeated."""
    if len(source) > len(shape):
        return None
    found = []
    for mask, length, own in zip(
        positions[len(shape) - len(source) :], shape[len(shape) - len(source) :], source, strict=True
    ):
        if own not in (1, length):
            return None
        found.append(mask if own == length else np.array([mask.any()]))
    return tuple(found)


def _convolution(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    windows = windows_of(node, source, shape)
    if windows is None:
        return None
    found = list(everything(source))
    for axis, window in zip(windows.axes, windows.along, strict=True):
        found[axis] = window.read(positions[axis])
    inputs, outputs = source[windows.channel], shape[windows.channel]
    groups = node.details.get("groups", 1)
    if node.kind.startswith("Depthwise"):
        groups = inputs
    if not isinstance(groups, int) or groups < 1 or inputs % groups or outputs % groups:
        return None
    in_group = positions[windows.channel].reshape(groups, -1).any(axis=1)
    found[windows.channel] = np.repeat(in_group, inputs // groups)
    return tuple(found)


def _pooling(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    windows = windows_of(node, source, shape)
    if windows is None:
        return None
    found = list(positions)
    for axis, window in zip(windows.axes, windows.along, strict=True):
        found[axis] = window.read(positions[axis])
    return tuple(found)


def _all_locations(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    channel = channel_position(node, len(source))
    kept = positions[channel if len(shape) == len(source) else 0] if shape else None
    if kept is None or len(kept) != source[channel]:
        return None
    found = list(everything(source))
    found[channel] = kept
    return tuple(found)


def _along_last(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow a matrix along the last axis; one that takes more axes at once reads everything."""
    if len(source) == len(shape) and source[:-1] == shape[:-1]:
        return (*positions[:-1], np.ones(source[-1], dtype=bool))
    return everything(source) if len(shape) == 1 else None


def _along_axes(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow a function of all numbers along some axes, which are counted with the sample axis."""
    value = node.details.get("axis", -1)
    axes = [value] if isinstance(value, int) else list(value) if isinstance(value, list | tuple) else []
    if source != shape or not axes or not all(isinstance(axis, int) for axis in axes):
        return None
    mixed = {axis % (len(shape) + 1) - 1 for axis in axes}
    if -1 in mixed:
        return None
    return tuple(np.ones_like(mask) if axis in mixed else mask for axis, mask in enumerate(positions))


def _in_groups(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow a normalization over all locations and a group of channels."""
    axis, groups = node.details.get("axis", -1), node.details.get("groups")
    if not isinstance(axis, int) or not isinstance(groups, int) or source != shape:
        return None
    channel = axis % (len(shape) + 1) - 1
    groups = shape[channel] if groups == -1 else groups
    if channel < 0 or groups < 1 or shape[channel] % groups:
        return None
    found = list(everything(source))
    in_group = positions[channel].reshape(groups, -1).any(axis=1)
    found[channel] = np.repeat(in_group, shape[channel] // groups)
    return tuple(found)


def _same_order(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow the flat index: only the shape changes."""
    if math.prod(shape) != math.prod(source):
        return None
    if all(mask.all() for mask in positions):
        return everything(source)
    first = node.details.get("data_format") == "channels_first" and len(source) > 1
    arranged = (*source[1:], source[0]) if first else source
    flat = np.ones(shape, dtype=bool)
    for axis, mask in enumerate(positions):
        flat &= mask.reshape([-1 if axis == other else 1 for other in range(len(shape))])
    tensor = flat.reshape(arranged)
    if first:
        tensor = np.moveaxis(tensor, -1, 0)
    return tuple(
        np.asarray(tensor.any(axis=tuple(other for other in range(tensor.ndim) if other != axis)))
        for axis in range(tensor.ndim)
    )


def _upsampled(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    way = node.details.get("interpolation", "nearest" if node.kind != "UpSampling2D" else None)
    if way not in ("nearest", "bilinear") or len(source) != len(shape):
        return None
    channel = channel_position(node, len(shape))
    found = list(positions)
    for axis in range(len(shape)):
        if axis == channel:
            continue
        factor, rest = divmod(shape[axis], source[axis])
        if rest:
            return None
        outputs = np.flatnonzero(positions[axis])
        middle = outputs // factor if way == "nearest" else (outputs + 0.5) / factor - 0.5
        ends = np.stack([np.floor(middle), np.ceil(middle)]).astype(np.int64).clip(0, source[axis] - 1)
        found[axis] = np.zeros(source[axis], dtype=bool)
        found[axis][ends] = True
    return tuple(found)


def _padded(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    return _shifted(node, positions, source, shape, "padding", -1)


def _cropped(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    return _shifted(node, positions, source, shape, "cropping", 1)


def _shifted(
    node: LayerNode, positions: Positions, source: Shape, shape: Shape, setting: str, sign: int
) -> Positions | None:
    """Follow a layer that pads or crops the spatial axes."""
    value = node.details.get(setting)
    channel = channel_position(node, len(shape))
    axes = [axis for axis in range(len(shape)) if axis != channel]
    sides = [value] if len(axes) == 1 and isinstance(value, list) and len(value) == 2 else value
    if len(source) != len(shape) or not isinstance(sides, list | tuple) or len(sides) != len(axes):
        return None
    found = list(positions)
    for axis, side in zip(axes, sides, strict=True):
        if not isinstance(side, list | tuple) or not side or not isinstance(side[0], int):
            return None
        places = np.flatnonzero(positions[axis]) + sign * side[0]
        found[axis] = np.zeros(source[axis], dtype=bool)
        found[axis][places[(places >= 0) & (places < source[axis])]] = True
    return tuple(found)


def _embedded(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    return positions[: len(source)] if source == shape[: len(source)] else None


def _repeated(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    return (positions[1],) if len(shape) == 2 and source == shape[1:] else None


def _recurrent(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow a recurrent layer: a step depends on all units of its own and of earlier steps."""
    if not node.details.get("return_sequences") or len(shape) != 2 or len(source) != 2:
        return everything(source)
    steps = np.zeros(source[0], dtype=bool)
    chosen = np.flatnonzero(positions[0])
    if len(chosen):
        steps[: chosen[-1] + 1] = True
    if node.details.get("go_backwards"):
        steps = steps[::-1]
    return steps, np.full(source[1], len(chosen) > 0)


def _step_by_step(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    """Follow a dense layer that runs at each step."""
    return _along_last(node, positions, shape, source) if node.details.get("layer") == "Dense" else None


def _whole(node: LayerNode, positions: Positions, shape: Shape, source: Shape) -> Positions | None:
    return everything(source)


def _concatenated(
    node: LayerNode, positions: Positions, shape: Shape, sources: Sequence[Shape]
) -> list[Positions | None]:
    """Follow each input to its part of the output."""
    axis = node.details.get("axis", -1)
    at = axis % (len(shape) + 1) - 1 if isinstance(axis, int) else -1
    fits = all(len(source) == len(shape) for source in sources)
    if at < 0 or not fits or sum(source[at] for source in sources) != shape[at]:
        return [None] * len(sources)  # such as a tensor that is joined with itself, which is one edge of the graph
    found: list[Positions | None] = []
    start = 0
    for source in sources:
        part = positions[at][start : start + source[at]]
        found.append((*positions[:at], part, *positions[at + 1 :]) if part.any() else nothing(source))
        start += source[at]
    return found


_OTHERS: dict[str, Rule] = {
    "Embedding": _embedded,
    "RepeatVector": _repeated,
    "GroupNormalization": _in_groups,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "Bidirectional": _whole,
    "TimeDistributed": _step_by_step,
}
