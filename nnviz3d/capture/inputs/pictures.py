"""Pictures in the shape of a model's input, as bytes 0..255."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nnviz3d.capture.inputs.rows import Rows, RowsOnDemand, few_in_memory, samples_at_once
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.files.picture_files import PictureHeader, eight_bits, read_header, read_image

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class PictureSource:
    """A picture that can be read again and again.

    Attributes
    ----------
    name
        Name of the sample.
    header, read
        Return what is known without the pixels, and the picture.
    """

    name: str
    header: Callable[[], PictureHeader]
    read: Callable[[], Image.Image]

    @staticmethod
    def of_file(name: str, path: Path) -> PictureSource:
        """Return the picture in a file."""
        return PictureSource(name, lambda: read_header(path), lambda: read_image(path))

    @staticmethod
    def of_bytes(name: str, pixels: NDArray[np.uint8]) -> PictureSource:
        """Return a picture in memory, ``(H, W)``."""
        return PictureSource(name, lambda: PictureHeader(pixels.shape[::-1]), lambda: Image.fromarray(pixels))


@dataclass(frozen=True, eq=False)
class PictureRows:
    """Pictures of one size, as bytes for the model; they are read in ranges.

    Attributes
    ----------
    sources
        The pictures.
    shape
        Their size and channels.
    """

    sources: tuple[PictureSource, ...]
    shape: PictureShape

    @property
    def pixels(self) -> Rows:
        """The pixels, ``(N, H, W, C)`` uint8."""
        height, width = self.shape.height or 0, self.shape.width or 0
        shape = (len(self.sources), height, width, self.shape.channels)
        return few_in_memory(RowsOnDemand(shape, np.dtype(np.uint8), self._read))

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        step = samples_at_once((self.shape.height or 0) * (self.shape.width or 0) * self.shape.channels)
        if len(self.sources) <= step:
            return np.stack([fit(source.read(), self.shape) for source in self.sources[start:stop]])
        found = [
            _range_of(self, first, step)[max(start - first, 0) : stop - first]
            for first in range(start // step * step, stop, step)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)


@lru_cache(maxsize=2)
def _range_of(rows: PictureRows, start: int, count: int) -> NDArray[np.uint8]:
    """Read some pictures. The last two ranges are kept: one is run by the model while the other is written."""
    return np.stack([fit(source.read(), rows.shape) for source in rows.sources[start : start + count]])


def fit(image: Image.Image, shape: PictureShape) -> NDArray[np.uint8]:
    """Resize a picture without distortion and crop it to the middle, as Keras' `smart_resize` does.

    Parameters
    ----------
    shape
        The size, and the channels.

    Returns
    -------
    ndarray
        ``(H, W, C)``.
    """
    size = (shape.width or 0, shape.height or 0)
    fitted = ImageOps.fit(eight_bits(image, alpha=shape.channels == 4), size, Image.Resampling.BILINEAR)
    return np.asarray(fitted.convert(_MODES[shape.channels])).reshape(*size[::-1], shape.channels)


def notes_on(header: PictureHeader, shape: PictureShape, name: str) -> tuple[str, ...]:
    """Return sentences about a part of a picture that was cut off, and about numbers that were changed."""
    notes = [f"{name} {change}." for change in header.changes]
    ratio, wanted_ratio = header.size[0] / header.size[1], (shape.width or 1) / (shape.height or 1)
    cut = 1 - min(ratio, wanted_ratio) / max(ratio, wanted_ratio)
    if cut > 0.01:
        notes.append(f"{name} was cropped to the middle: {cut:.0%} of it is outside the model's frame.")
    return tuple(notes)


def shown_from(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures for people, ``(N, H, W, 3)``, of those for a model, ``(N, H, W, C)``: on white if transparent."""
    channels = pixels.shape[-1]
    if channels == 4:
        return np.stack([np.asarray(eight_bits(Image.fromarray(picture))) for picture in pixels])
    return np.repeat(pixels, 3, axis=3) if channels == 1 else pixels


def noise(shape: PictureShape, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw random noise ``(H, W, C)`` with coarse and fine structure, so that filters of every size respond to it."""
    height, width = shape.height or 224, shape.width or 224
    planes = []
    for _ in range(shape.channels):
        coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16)), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
        planes.append(soft + rng.normal(0, 16, soft.shape).astype(np.float32))
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)
