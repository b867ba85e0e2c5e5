"""Pictures in the shape of a model's input, as bytes 0..255."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nnviz3d.data.files.picture_files import PictureShape, changes_of, eight_bits
from nnviz3d.errors import SampleError

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Picture:
    """A picture for the model, and the same picture for display.

    Parameters
    ----------
    pixels
        ``(H, W, C)`` uint8.
    shown
        ``(H, W, 3)`` uint8.
    notes
        Sentences about a part that was cut off, and about numbers that were changed.
    """

    pixels: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def fit(image: Image.Image, shape: PictureShape, name: str) -> Picture:
    """Resize a picture without distortion and crop it to the middle, as Keras' `smart_resize` does."""
    wanted = shape.sized_for(image)
    if wanted.height is None or wanted.width is None:
        raise SampleError(f"{name} has no size.")
    size = (wanted.width, wanted.height)
    fitted = ImageOps.fit(eight_bits(image, alpha=wanted.channels == 4), size, Image.Resampling.BILINEAR)
    pixels = np.asarray(fitted.convert(_MODES[wanted.channels]))
    solid = eight_bits(fitted)
    shown = np.asarray(solid.convert("L" if wanted.channels == 1 else "RGB").convert("RGB"))
    notes = [f"{name} {change}." for change in changes_of(image)]
    ratio, wanted_ratio = image.width / image.height, wanted.width / wanted.height
    cut = 1 - min(ratio, wanted_ratio) / max(ratio, wanted_ratio)
    if cut > 0.01:
        notes.append(f"{name} was cropped to the middle: {cut:.0%} of it is outside the model's frame.")
    return Picture(pixels.reshape(wanted.height, wanted.width, wanted.channels), shown, tuple(notes))


def noise(shape: PictureShape, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw random noise ``(H, W, C)`` with coarse and fine structure, so that filters of every size respond to it."""
    height, width = shape.height or 224, shape.width or 224
    planes = []
    for _ in range(shape.channels):
        coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16)), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
        planes.append(soft + rng.normal(0, 16, soft.shape).astype(np.float32))
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def stack(pictures: Iterable[Picture]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Stack pictures of one size: ``(N, H, W, C)`` for the model and ``(N, H, W, 3)`` for display."""
    items = list(pictures)
    return np.stack([p.pixels for p in items]), np.stack([p.shown for p in items])
