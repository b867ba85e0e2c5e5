"""Reads pictures, upright and of any kind, and finds pictures in arrays."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nnviz3d.data.limits import check_size
from nnviz3d.data.paths import refuse_special
from nnviz3d.data.words import reason
from nnviz3d.errors import SampleError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What these hold, in Pillow's words. It goes by content alone, and for some formats (EPS) it would start a program."""
_DAMAGES = (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)
"""The errors of Pillow's readers where a file is damaged."""
_PIXEL = 12
"""Bytes of memory: three colours as float32, which is what a model takes."""
_OPENING = Lock()
"""Held while Pillow's own bound is off."""
LONGEST = 512
"""Pixels: how long the longer side may be where the model takes any size."""


@dataclass(frozen=True)
class PictureShape:
    """How a model takes pictures: ``height`` and ``width`` in pixels, `None` where any will do."""

    height: int | None
    width: int | None
    channels: int

    @staticmethod
    def of(shape: tuple[int | None, ...]) -> PictureShape | None:
        """Read ``(H, W, C)``, ``(H, W)`` or ``(n,)``, n a square, as the shape of pictures; `None` if it is none."""
        match shape:
            case (height, width, channels) if channels in (None, 1, 3, 4):
                return PictureShape(height, width, channels or 3)
            case (int() as height, int() as width) if min(height, width) >= 8:
                return PictureShape(height, width, 1)
            case (int() as n,) if n >= 64 and math.isqrt(n) ** 2 == n:
                return PictureShape(math.isqrt(n), math.isqrt(n), 1)
        return None

    def sized_for(self, image: Image.Image) -> PictureShape:
        """Fill in the size where any will do: the picture's own, its longer side at most `LONGEST`."""
        if self.height is not None and self.width is not None:
            return self
        scale = min(1.0, LONGEST / max(image.size))
        width, height = (max(1, round(side * scale)) for side in image.size)
        return PictureShape(self.height or height, self.width or width, self.channels)


def read_image(path: Path, *, least: int | None = None) -> Image.Image:
    """Read a picture file, upright as its EXIF data says; of several frames the first.

    Parameters
    ----------
    least
        So many pixels of its shorter side are enough: JPEG files are then decoded smaller, which is quick.

    Raises
    ------
    SampleError
        If it is no picture, a damaged one, or one that takes more memory than the limit.
    """
    refuse_special(path, SampleError)
    try:
        check_size(path.name, path.stat().st_size, SampleError)
        with _header_of(path) as image:
            check_size(
                f"{path.name}, {image.width:,} by {image.height:,} pixels,", _PIXEL * math.prod(image.size), SampleError
            )
            if least is not None:
                image.draft(None, (least, least))
            image.load()
            return ImageOps.exif_transpose(image)
    except _DAMAGES as error:
        raise SampleError(
            f"{path.name} cannot be read as a picture ({reason(error, 160)}); expected a whole png, jpg, webp, bmp, gif "
            "or tif file."
        ) from None


def _header_of(path: Path) -> Image.Image:
    """Open a picture without Pillow's own bound on pixels, which is global and fixed."""
    with _OPENING:
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = bound


def eight_bits(image: Image.Image) -> Image.Image:
    """Bring any mode to one that converts without clipping: 16-bit grey is scaled, transparency laid on white."""
    if image.mode.startswith(("I", "F")):
        numbers = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(float(numbers.max(initial=0)), 1e-12)
        return Image.fromarray(np.clip(numbers / top * 255, 0, 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        solid = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), solid).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def shown_from(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Make pictures to look at from an array that holds some.

    Parameters
    ----------
    values
        ``(N, *shape)`` with a shape that `PictureShape` knows; bytes, or floats in 0..1, -1..1 or 0..255.

    Returns
    -------
    ndarray or None
        ``(N, H, W, 3)`` uint8; `None` if these are no pictures, or nobody can tell the range they are in.
    """
    shape = PictureShape.of(values.shape[1:])
    if shape is None or shape.height is None or shape.width is None:
        return None
    if values.dtype.kind not in "uif" or not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    numbers: NDArray[Any] = values.astype(np.float32).reshape(len(values), shape.height, shape.width, shape.channels)
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
