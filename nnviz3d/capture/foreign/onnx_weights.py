"""Settings and weights of ONNX operations, by the names and in the arrangement that Keras uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.connections.linear_settings import LinearSettings

_NAMES = {
    "kernel_shape": "kernel_size",
    "strides": "strides",
    "dilations": "dilation_rate",
    "group": "groups",
    "axis": "axis",
    "epsilon": "epsilon",
    "perm": "perm",
    "alpha": "alpha",
    "num_heads": "num_heads",
    "hidden_size": "units",
}
"""Names of attributes, and of the details of a node."""
_NORMALIZATION = ("gamma", "beta", "moving_mean", "moving_variance")


def details_of(kind: str, attributes: Mapping[str, Any], inputs: Sequence[NDArray[Any] | None]) -> dict[str, Any]:
    """Return the settings of an operation for drawing and for its description.

    Parameters
    ----------
    inputs
        The numbers of each input that is a constant; `None` for the others.
    """
    found = {name: attributes[key] for key, name in _NAMES.items() if key in attributes}
    if "Pool" in kind and "kernel_size" in found:
        found["pool_size"] = found.pop("kernel_size")
    if attributes.get("auto_pad") in ("SAME_UPPER", "SAME_LOWER") or any(attributes.get("pads", ())):
        found["padding"] = "same" if "auto_pad" in attributes else [int(n) for n in attributes["pads"]]
    kernel = inputs[1] if len(inputs) > 1 else None
    if kernel is not None and kind in ("Conv", "ConvTranspose"):
        found.setdefault("kernel_size", [int(n) for n in kernel.shape[2:]])
        groups = int(attributes.get("group", 1))
        found["filters"] = int(kernel.shape[0]) if kind == "Conv" else int(kernel.shape[1]) * groups
    return found


def weights_of(
    kind: str, attributes: Mapping[str, Any], inputs: Sequence[NDArray[Any] | None]
) -> dict[str, NDArray[Any]]:
    """Return the trained numbers of an operation; kernels are ``(*size, channels, filters)`` or ``(inputs, units)``."""
    rest = inputs[1:]
    if kind in ("Conv", "ConvTranspose"):
        return _some({"kernel": _moved(rest[0]), "bias": rest[1] if len(rest) > 1 else None})
    if kind == "Gemm":
        kernel = rest[0]
        if kernel is not None and attributes.get("transB"):
            kernel = kernel.T
        return _some({"kernel": kernel, "bias": rest[1] if len(rest) > 1 else None})
    if kind == "MatMul" and rest[0] is not None and rest[0].ndim == 2:
        return {"kernel": rest[0]}
    if kind == "Gather" and inputs[0] is not None:
        return {"embeddings": inputs[0]}
    if kind.endswith("Normalization"):
        return _some(dict(zip(_NORMALIZATION, rest, strict=False)))
    real = [array for array in inputs if array is not None and array.dtype.kind == "f" and array.size > 1]
    return {"weights" if k == 0 else f"weights_{k}": array for k, array in enumerate(real)}


def linear_of(kind: str, attributes: Mapping[str, Any], kernel: NDArray[Any] | None) -> LinearSettings | None:
    """Return a dense operation or a convolution as connections need it; `None` for others.

    Parameters
    ----------
    kernel
        As `weights_of` arranges it.
    """
    if kernel is None:
        return None
    if kind == "MatMul" or (kind == "Gemm" and not attributes.get("transA")):
        return LinearSettings(kernel * np.float32(attributes.get("alpha", 1)))
    sides = kernel.ndim - 2
    padding = {"NOTSET": None, "VALID": "valid", "SAME_UPPER": "same"}.get(attributes.get("auto_pad", "NOTSET"), "")
    if kind != "Conv" or padding == "":
        return None
    return LinearSettings(
        kernel,
        tuple(attributes.get("strides", (1,) * sides)),
        tuple(attributes.get("dilations", (1,) * sides)),
        padding or tuple(attributes.get("pads", (0,) * 2 * sides)[:sides]),
        "channels_first",
    )


def _moved(kernel: NDArray[Any] | None) -> NDArray[Any] | None:
    """Move the first two axes, filters and channels, to the end, in reverse order."""
    return None if kernel is None else np.moveaxis(kernel, (0, 1), (-1, -2))


def _some(arrays: Mapping[str, NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in arrays.items() if array is not None}
