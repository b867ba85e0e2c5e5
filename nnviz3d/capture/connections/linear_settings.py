"""Settings of a linear operation that is no Keras layer, by the names of a Keras layer's attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LinearSettings:
    """A dense layer or a convolution, as the connections into it need it.

    Parameters
    ----------
    kernel
        ``(inputs, units)`` or ``(*size, channels, filters)``: an array or a variable.
    strides, dilation_rate
        For each axis; empty for a dense layer.
    padding
        ``valid``, ``same``, or the number of zeros before each axis.
    depthwise
        Whether the kernel is ``(*size, channels, multiplier)``.
    quantization_mode
        `None`: the kernel is stored as it acts.
    """

    kernel: Any
    strides: tuple[int, ...] = ()
    dilation_rate: tuple[int, ...] = ()
    padding: str | tuple[int, ...] = "valid"
    data_format: str = "channels_last"
    depthwise: bool = False
    quantization_mode: None = None

    @property
    def dense(self) -> bool:
        """Whether it is a dense layer."""
        return not self.strides

    def takes(self, shape: tuple[int | None, ...]) -> bool:
        """Whether it can take one sample's tensor of this shape."""
        if self.dense:
            return bool(shape) and shape[-1] == self.kernel.shape[0]
        return len(shape) == len(self.strides) + 1
