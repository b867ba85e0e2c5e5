"""Weights as they act: those of quantized layers in real numbers, those of LoRA with the adapter added.

Hu et al. 2021, "LoRA: low-rank adaptation of large language models", arXiv:2106.09685.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nnviz3d.capture.programs.frozen import frozen, losses_kept

_ROWS = 1024
"""Rows of a matrix that are computed together."""
_MERGED = {
    keras.layers.Dense: "kernel",
    keras.layers.EinsumDense: "kernel",
    keras.layers.Embedding: "embeddings",
    **dict.fromkeys((keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D), "kernel"),
}
"""Layers with adapters or quantized weights, and the name of the variable that these change."""


def changed_weight(layer: Any) -> str | None:
    """Return the name of the variable that acts otherwise than it is stored; `None` (nearly always) if there is none."""
    name = next((name for kind, name in _MERGED.items() if isinstance(layer, kind)), None)
    changed = layer.quantization_mode is not None or getattr(layer, "lora_enabled", False)
    return name if changed else None


def acting_kernel(layer: Any) -> Any:
    """Return the kernel of a dense layer or a convolution as it acts: a tensor or an array."""
    return layer.kernel if layer.quantization_mode is None else _answers(layer, int(layer.input_spec.axes[-1]))


def as_acting(layer: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer's variables by name, and the one that acts otherwise under its usual name as it acts.

    The stored one gets ``stored_`` before its name. The kernel of a quantized `EinsumDense` has only that: its scales
    belong to the axes of its equation.
    """
    name = changed_weight(layer)
    if name is None:
        return dict(variables)
    found = {f"stored_{key}" if key == name else key: variable for key, variable in variables.items()}
    if layer.quantization_mode is None:
        found[name] = getattr(layer, name)
    elif isinstance(layer, keras.layers.Dense):
        found[name] = acting_kernel(layer)
    elif isinstance(layer, keras.layers.Embedding):
        with frozen(), losses_kept([layer]):
            found[name] = _real(layer(ops.arange(layer.input_dim)))
    return found


def _answers(layer: Any, inputs: int) -> NDArray[np.float32]:
    """Return the answers of a dense layer without bias and activation to each unit input: its kernel ``(n, m)``."""
    with frozen(), losses_kept([layer]), _without(layer, activation=keras.activations.linear, bias=None):
        parts = [
            _real(layer(ops.convert_to_tensor(np.eye(min(_ROWS, inputs - start), inputs, start, dtype=np.float32))))
            for start in range(0, inputs, _ROWS)
        ]
    return np.concatenate(parts)


def _real(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


@contextmanager
def _without(layer: Any, **values: Any) -> Iterator[None]:
    """Replace attributes of a layer in the context, without Keras' tracking."""
    own = {name: getattr(layer, name) for name in values}
    try:
        for name, value in values.items():
            object.__setattr__(layer, name, value)
        yield
    finally:
        for name, value in own.items():
            object.__setattr__(layer, name, value)
