"""Reads pictures and brings them to the shape that a model takes, as bytes 0..255."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nnviz3d.capture.words import reason
from nnviz3d.errors import SampleError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"})
LONGEST = 512
"""Pixels: how long the longer side may be where the model takes any size."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


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


@dataclass(frozen=True)
class Picture:
    """A picture as the model's shape wants it, and as people look at it.

    Parameters
    ----------
    pixels
        ``(H, W, C)`` uint8.
    shown
        ``(H, W, 3)`` uint8.
    note
        What was lost on the way, if anything.
    """

    pixels: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    note: str | None = None


def read_image(path: Path) -> Image.Image:
    """Read a picture file, upright as its EXIF data says; of several frames the first.

    Raises
    ------
    SampleError
        If it is no picture, or a damaged one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SampleError(
            f"{path.name} cannot be read as a picture ({reason(error, 160)}); expected a whole png, "
            f"jpg, "
            "webp, bmp or gif file."
        ) from None


def pictures_in(folder: Path) -> list[Path]:
    """List a folder's pictures by name.

    Raises
    ------
    SampleError
        If there are none.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise SampleError(f"The folder {folder.name} holds no pictures; expected {', '.join(sorted(SUFFIXES))} files.")
    return found


def fit(image: Image.Image, shape: PictureShape, name: str) -> Picture:
    """Resize a picture without distorting it, cutting what sticks out on two sides, as Keras' `smart_resize` does."""
    wanted = shape.sized_for(image)
    if wanted.height is None or wanted.width is None:
        raise SampleError(f"{name} has no size.")
    size = (wanted.width, wanted.height)
    fitted = ImageOps.fit(_eight_bits(image), size, Image.Resampling.BILINEAR)
    pixels = np.asarray(fitted.convert(_MODES[wanted.channels]))
    shown = np.asarray(fitted.convert("L" if wanted.channels == 1 else "RGB").convert("RGB"))
    ratio, wanted_ratio = image.width / image.height, wanted.width / wanted.height
    cut = 1 - min(ratio, wanted_ratio) / max(ratio, wanted_ratio)
    note = f"{name} was cropped to the middle: {cut:.0%} of it is outside the model's frame." if cut > 0.01 else None
    return Picture(pixels.reshape(wanted.height, wanted.width, wanted.channels), shown, note)


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
    if shape is None or shape.height is None or shape.width is None or values.dtype.kind not in "uif":
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


def noise(shape: PictureShape, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw soft noise ``(H, W, C)``: blotches with grain, so that filters of every size find something."""
    height, width = shape.height or 224, shape.width or 224
    planes = []
    for _ in range(shape.channels):
        coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16)), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
        planes.append(soft + rng.normal(0, 16, soft.shape).astype(np.float32))
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring any mode to one that converts without clipping: 16-bit grey is scaled, transparency laid on white."""
    if image.mode.startswith(("I", "F")):
        numbers = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(float(numbers.max(initial=0)), 1e-12)
        return Image.fromarray(np.clip(numbers / top * 255, 0, 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        solid = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), solid).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def stack(pictures: Iterable[Picture]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Stack pictures of one size: ``(N, H, W, C)`` for the model and ``(N, H, W, 3)`` to look at."""
    items = list(pictures)
    return np.stack([p.pixels for p in items]), np.stack([p.shown for p in items])
