"""Kinds, settings and weights of TFLite operations, by the names and in the arrangement that Keras uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from nnviz3d.capture.connections.linear_settings import LinearSettings

_CODES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_ACTIVATIONS = {
    code: name.lower() for name, code in vars(schema.ActivationFunctionType).items() if isinstance(code, int) and code
}
_USUAL = {"LOGISTIC": "Sigmoid", "HARD_SWISH": "HardSwish"}
_CAPITALS = {"LSTM", "RNN", "L2", "2D", "3D", "ND"}
_PAIRS = {"strides": ("strideH", "strideW"), "dilation_rate": ("dilationHFactor", "dilationWFactor")}
"""Settings of a node, and the two options that hold them."""
_LONGEST = 60
"""Most characters of a custom operation's name."""


def kind_of_code(code: Any) -> str:
    """Return the kind of an operation: ``Conv2D`` for ``CONV_2D``; a custom operation has its own name."""
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _CODES.get(number, "Unknown")
    if name == "CUSTOM" and code.customCode:
        return str(code.customCode.decode("utf-8", "replace")[:_LONGEST])
    return _USUAL.get(name) or "".join(part if part in _CAPITALS else part.capitalize() for part in name.split("_"))


def activation_of(options: Any) -> str | None:
    """Return the activation function that is fused into an operation; `None` if there is none."""
    return _ACTIVATIONS.get(getattr(options, "fusedActivationFunction", 0))


def details_of(kind: str, options: Any, inputs: Sequence[NDArray[Any] | None]) -> dict[str, Any]:
    """Return the settings of an operation for drawing and for its description.

    Parameters
    ----------
    options
        The operation's options, as flatbuffers unpacks them.
    inputs
        The numbers of each input that is a constant; `None` for the others.
    """
    found: dict[str, Any] = {}
    for name, keys in _PAIRS.items():
        sizes = [getattr(options, key, None) for key in keys]
        if all(isinstance(n, int) for n in sizes):
            found[name] = sizes
    if hasattr(options, "filterHeight"):
        found["pool_size"] = [options.filterHeight, options.filterWidth]
    if isinstance(getattr(options, "padding", None), int):
        found["padding"] = "same" if options.padding == schema.Padding.SAME else "valid"
    kernel = inputs[1] if len(inputs) > 1 else None
    if kernel is not None and "Conv" in kind and kernel.ndim == 4:
        found["kernel_size"] = [int(n) for n in kernel.shape[1:3]]
        found["filters"] = int(kernel.shape[-1 if kind.startswith("Depthwise") else 0])
    if kernel is not None and kind == "FullyConnected":
        found["units"] = int(kernel.shape[0])
    for name in ("axis", "alpha", "beta"):
        value = getattr(options, name, None)
        if isinstance(value, int | float):
            found[name] = value
    return found


def weights_of(kind: str, options: Any, inputs: Sequence[NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
    """Return the trained numbers of an operation; kernels are ``(*size, channels, filters)`` or ``(inputs, units)``."""
    kernel = inputs[1] if len(inputs) > 1 else None
    bias = inputs[-1] if len(inputs) > 2 else None
    arranged = None if kernel is None else _arranged(kind, options, kernel)
    if arranged is not None:
        return {"kernel": arranged} | ({} if bias is None or bias.ndim != 1 else {"bias": bias})
    if kind in ("Gather", "EmbeddingLookup"):
        table = next((array for array in inputs if array is not None and array.dtype.kind == "f"), None)
        return {} if table is None else {"embeddings": table}
    real = [array for array in inputs if array is not None and array.dtype.kind == "f" and array.size > 1]
    return {"weights" if k == 0 else f"weights_{k}": array for k, array in enumerate(real)}


def linear_of(kind: str, details: Mapping[str, Any], kernel: NDArray[Any] | None) -> LinearSettings | None:
    """Return a dense operation or a convolution as connections need it; `None` for others.

    Parameters
    ----------
    details, kernel
        As `details_of` and `weights_of` return them.
    """
    if kernel is None or kind not in ("FullyConnected", "Conv2D", "DepthwiseConv2D"):
        return None
    if kind == "FullyConnected":
        return LinearSettings(kernel)
    return LinearSettings(
        kernel,
        tuple(details["strides"]),
        tuple(details["dilation_rate"]),
        str(details["padding"]),
        depthwise=kind == "DepthwiseConv2D",
    )


def _arranged(kind: str, options: Any, kernel: NDArray[Any]) -> NDArray[Any] | None:
    """Return a kernel as Keras arranges it; `None` if the operation has none."""
    if kind == "FullyConnected":
        return kernel.T
    if kind == "DepthwiseConv2D":
        multiplier = max(int(options.depthMultiplier), 1)
        return np.asarray(kernel[0].reshape(*kernel.shape[1:3], -1, multiplier))
    if kind in ("Conv2D", "Conv3D", "TransposeConv"):
        return np.asarray(kernel if kind == "Conv3D" else np.moveaxis(kernel, 0, -1))
    return None
