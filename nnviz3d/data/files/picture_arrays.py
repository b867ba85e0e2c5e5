"""Pictures in arrays: the shapes of pictures, and the conversion between their numbers and pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes, channel_axis, channels_in, location_shape

LONGEST = 512
"""Most pixels of the longer side, for models that take any size."""
CHANNELS = (1, 3, 4)
"""Channels of a picture: grey, RGB, and both with transparency."""
_SMALLEST = 8
"""Fewest pixels of a side, if the axes have no names and only the shape suggests a picture."""


@dataclass(frozen=True)
class PictureShape:
    """The shape of pictures that a model takes: ``height`` and ``width`` in pixels, `None` if any length is accepted.

    The one definition of a picture: ``(H, W)``, ``(H, W, C)`` and, channels first, ``(C, H, W)``, with 1, 3 or 4 channels.
    """

    height: int | None
    width: int | None
    channels: int
    channels_first: bool = False

    @staticmethod
    def of(shape: Sequence[int | None], axes: Axes = ()) -> PictureShape | None:
        """Interpret the shape of one sample as a picture's shape; `None` if it is not one.

        Parameters
        ----------
        shape
            Without the sample axis.
        axes
            Names of its axes, if known. Otherwise the shape alone decides; then ``(n,)``, n a square number, is also a
            picture, because some models take pictures as vectors.
        """
        if axes:
            return PictureShape._named(shape, axes)
        match tuple(shape):
            case (1 | 3 | 4 as channels, height, width) if width not in (1, 3, 4) and _large(height) and _large(width):
                return PictureShape(height, width, channels, channels_first=True)
            case (height, width, channels) if channels in (None, *CHANNELS):
                return PictureShape(height, width, channels or 3)
            case (int() as height, int() as width) if min(height, width) >= _SMALLEST:
                return PictureShape(height, width, 1)
            case (int() as n,) if n >= 64 and math.isqrt(n) ** 2 == n:
                return PictureShape(math.isqrt(n), math.isqrt(n), 1)
        return None

    @staticmethod
    def _named(shape: Sequence[int | None], axes: Axes) -> PictureShape | None:
        if location_shape(axes, axes) != ("row", "column") or len(shape) != len(axes):
            return None
        height, width = location_shape(shape, axes)
        channels = channels_in(shape, axes)
        first = channel_axis(axes) == 0
        if channels not in (None, *CHANNELS) or channel_axis(axes) == 1:
            return None
        return PictureShape(height, width, channels or 3, first)

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """View samples of this shape, ``(N, *shape)``, as ``(N, H, W, C)``."""
        if self.channels_first:
            return np.moveaxis(values, 1, -1)
        height, width = values.shape[1:3] if values.ndim > 2 else (self.height or 0, self.width or 0)
        return values.reshape(len(values), height, width, self.channels)

    def as_model_input(self, pictures: NDArray[Any], rank: int) -> NDArray[Any]:
        """View ``(N, H, W, C)`` in the model's shape with `rank` axes after the first: the inverse of `upright`."""
        if self.channels_first:
            return np.moveaxis(pictures, -1, 1)
        return pictures if rank == 3 else pictures[..., 0] if rank == 2 else pictures.reshape(len(pictures), -1)

    def sized_for(self, size: tuple[int, int]) -> PictureShape:
        """Fill in a size that the model leaves open: the picture's own size, with at most `LONGEST` pixels per side.

        Parameters
        ----------
        size
            Width and height of the picture.
        """
        if self.height is not None and self.width is not None:
            return self
        scale = min(1.0, LONGEST / max(size))
        width, height = (max(1, round(side * scale)) for side in size)
        return replace(self, height=self.height or height, width=self.width or width)


def _large(side: int | None) -> bool:
    return side is None or side >= _SMALLEST


def pictures_from(
    values: NDArray[Any], axes: Axes = (), span: tuple[float, float] | None = None
) -> NDArray[np.uint8] | None:
    """Convert an array of pictures to pictures for people.

    Parameters
    ----------
    values
        ``(N, *shape)`` with a shape that `PictureShape` accepts; bytes, or floats in 0..1, -1..1 or 0..255.
    axes
        Names of the axes of ``shape``, if known.
    span
        The smallest and the largest number, if these samples are some of several; by default those of the array.

    Returns
    -------
    ndarray or None
        ``(N, H, W, 3)`` uint8; `None` if these are not pictures, or their range of values is unknown.
    """
    shape = PictureShape.of(values.shape[1:], axes)
    if shape is None or shape.height is None or shape.width is None:
        return None
    if values.dtype.kind not in "uif" or not values.size:
        return None
    low, high = span or (float(values.min()), float(values.max()))
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    numbers = shape.upright(values.astype(np.float32))
    if values.dtype != np.uint8:
        if low < -1 or high > 255:
            return None
        if low < 0 and high <= 1:
            numbers = (numbers + 1) / 2 * 255
        elif low < 0:
            return None
        elif high <= 1:
            numbers = numbers * 255
    pixels: NDArray[np.uint8] = np.rint(numbers).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=3) if shape.channels == 1 else pixels[..., :3])


def numbers_like(pixels: NDArray[np.uint8], dtype: np.dtype[Any], span: tuple[float, float]) -> NDArray[Any] | None:
    """Convert pixels to numbers of the type and the range of pictures as arrays: the inverse of `pictures_from`.

    Parameters
    ----------
    pixels
        0..255.
    dtype, span
        Type of the arrays, and the smallest and the largest number of all of them.

    Returns
    -------
    ndarray or None
        Bytes, or numbers in 0..1, -1..1 or 0..255; `None` if the range is none of these.
    """
    if dtype == np.uint8:
        return pixels
    low, high = span
    if not (low >= -1 and high <= 255) or (low < 0 and high > 1):
        return None
    numbers = pixels.astype(np.float32)
    if high <= 1:
        numbers = numbers / np.float32(255)
        numbers = numbers * 2 - 1 if low < 0 else numbers
    return numbers.astype(dtype)
