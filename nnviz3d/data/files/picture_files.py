"""Reader of picture files, and detection of pictures in arrays."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nnviz3d.data.axes import Axes, channel_axis, channels_in, location_shape
from nnviz3d.data.files.memory_limit import check_size, limit
from nnviz3d.data.files.paths import refuse_special
from nnviz3d.data.printable import reason
from nnviz3d.errors import SampleError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
HEIC = frozenset({".heic", ".heif"})
"""Endings of pictures that Pillow reads only with the package pillow-heif."""
WITH_HEIF = "by the package pillow-heif: pip install 'nnviz3d[heic]'"
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Pillow's names of the accepted formats. Pillow ignores file names, and would start a program for some formats (EPS)."""
_DAMAGES = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error),
    Image.DecompressionBombError,
)
"""Errors that Pillow's readers raise for damaged files."""
_PIXEL = 12
"""Bytes of memory per pixel: three colours as float32, the input of a model."""
_FRAMES = "nnviz3d frames"
"""Key of Pillow's facts about a picture: the number of pictures in its file."""
_ORIENTATION = 0x0112
"""Number of the EXIF entry that says how a picture is turned."""
_TURNED = frozenset({5, 6, 7, 8})
"""Its values for pictures whose rows are columns."""
_TIFF = " If it holds numbers of another kind, such as colours of 32 bits, save them as a .npy file."
_END = 64
"""Bytes at the end of a file in which a complete picture's mark is looked for."""
_ENDS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
"""For each format the mark at the end of a complete picture."""
_OPENING = Lock()
"""Held while Pillow's own limit on pixels is another one."""
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


@dataclass(frozen=True)
class PictureHeader:
    """The size and notes of a picture, read without its pixels.

    Attributes
    ----------
    size
        Width and height in pixels, upright.
    changes
        What reading its pixels changes or leaves out, as the ends of sentences that begin with its name.
    """

    size: tuple[int, int]
    changes: tuple[str, ...] = ()

    @staticmethod
    def of(image: Image.Image) -> PictureHeader:
        """Return the header of a picture that was read."""
        return PictureHeader(image.size, changes_of(image))


def read_header(path: Path) -> PictureHeader:
    """Read what the beginning of a picture file says; pixels are read only where that is not enough.

    Raises
    ------
    SampleError
        As `read_image`, except that a file may be cut short.
    """
    refuse_special(path, SampleError)
    with _damage_as_sentence(path):
        with _header_of(path) as image:
            check_size(_told(path, image), _PIXEL * math.prod(image.size), SampleError)
            # TIFF files are turned by their reader, and notes on other numbers than bytes need the numbers.
            if image.format != "TIFF" and not image.mode.startswith(("I", "F")):
                size = image.size[::-1] if image.getexif().get(_ORIENTATION) in _TURNED else image.size
                return PictureHeader(size, _frames_left_out(getattr(image, "n_frames", 1)))
        return PictureHeader.of(read_image(path))


def read_image(path: Path, *, least: int | None = None) -> Image.Image:
    """Read a picture file, rotated by its EXIF data; the first frame if there are several.

    Parameters
    ----------
    least
        Fewest pixels of the shorter side that are needed: larger JPEG files are decoded at a smaller size, which is
        faster.

    Raises
    ------
    SampleError
        If the file is not a picture, is damaged, or takes more memory than the limit.
    """
    refuse_special(path, SampleError)
    with _damage_as_sentence(path):
        check_size(path.name, path.stat().st_size, SampleError)
        with _header_of(path) as image:
            check_size(_told(path, image), _PIXEL * math.prod(image.size), SampleError)
            if least is not None:
                image.draft(None, (least, least))
            frames = getattr(image, "n_frames", 1)
            # Pillow compares the tiles of a TIFF file with its own limit.
            with _pixels_up_to(limit() // _PIXEL) if image.format == "TIFF" else nullcontext():
                image.load()
            if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
                raise SampleError(f"{path.name} holds NaN or infinite numbers; expected a picture of finite ones.")
            upright = ImageOps.exif_transpose(image)
            upright.info[_FRAMES] = frames
            return upright


def read_paint(path: Path, size: tuple[int, int], *, formats: tuple[str, ...] = _FORMATS) -> Image.Image:
    """Read a picture to put over another one, as RGBA; nothing is decoded before format, size and mode are checked.

    Parameters
    ----------
    size
        Width and height of the picture below, in pixels.
    formats
        Pillow's names of the accepted formats.

    Raises
    ------
    SampleError
        If the file is no picture of these formats and of this size, is damaged, or has other numbers than bytes.
    """
    refuse_special(path, SampleError)
    with _damage_as_sentence(path):
        with _pixels_up_to(None):
            opened = Image.open(path, formats=formats)
        with opened as image:
            check_size(_told(path, image), _PIXEL * math.prod(image.size), SampleError)
            if image.size != size:
                given = f"{image.width} x {image.height}"
                raise SampleError(f"The paint is {given} pixels; the picture is {size[0]} x {size[1]}.")
            if image.mode.startswith(("I", "F")):
                raise SampleError("The paint has more than 8 bits a colour; save it as an RGBA picture of 8 bits.")
            image.load()
            return ImageOps.exif_transpose(image).convert("RGBA")


def _told(path: Path, image: Image.Image) -> str:
    return f"{path.name}, {image.width:,} by {image.height:,} pixels,"


@contextmanager
def _damage_as_sentence(path: Path) -> Iterator[None]:
    """Turn the errors of Pillow's readers into a `SampleError`."""
    try:
        yield
    except _DAMAGES as error:
        # Pillow's own sentence holds the path of the file, which a browser must not learn.
        unknown = isinstance(error, UnidentifiedImageError)
        why = "its content is of no known kind" if unknown else reason(error, 160)
        raise SampleError(
            f"{path.name} cannot be read as a picture ({why}); expected a complete {_kinds()} file."
            f"{_TIFF if path.suffix.lower() in {'.tif', '.tiff'} else ''}"
        ) from None


def refuse_heic(path: Path) -> None:
    """Refuse a HEIC picture if the package that reads it is not installed.

    Raises
    ------
    SampleError
        If it is not.
    """
    if path.suffix.lower() in HEIC and not reads_heic():
        raise SampleError(f"{path.name} is a HEIC picture, read {WITH_HEIF}. Or export the picture as .jpg.")


def _kinds() -> str:
    """Return the endings of the pictures that can be read, as words."""
    kinds = ["png", "jpg", "webp", "bmp", "gif", "tif", *(["heic"] if reads_heic() else [])]
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def reads_heic() -> bool:
    """Whether the package that reads HEIC pictures is installed."""
    return find_spec("pillow_heif") is not None


def damage_of(path: Path) -> str | None:
    """Return why a file is no complete picture; `None` if it is one.

    Pictures whose end shows that they are complete are not decoded.
    """
    try:
        return _damage_at(path, path.stat().st_mtime_ns, path.stat().st_size)
    except OSError as error:
        return str(error.strerror or error)


@lru_cache(maxsize=10_000)
def _damage_at(path: Path, _changed: int, size: int) -> str | None:
    if not size:
        return "empty"
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - _END))
            end = file.read(_END)
        with _header_of(path) as image:
            if image.format in _ENDS and _ENDS[image.format] in end:
                return None
        read_image(path)
    except (SampleError, *_DAMAGES):
        return "damaged or no picture"
    return None


def _header_of(path: Path) -> Image.Image:
    """Open a picture without Pillow's own limit on pixels, which is global."""
    formats: tuple[str, ...] = _FORMATS
    if path.suffix.lower() in HEIC:
        refuse_heic(path)
        import_module("pillow_heif").register_heif_opener()
        formats = ("HEIF",)
    with _pixels_up_to(None):
        return Image.open(path, formats=formats)


@contextmanager
def _pixels_up_to(most: int | None) -> Iterator[None]:
    """Set Pillow's own limit on pixels, which is global, for a block of code."""
    with _OPENING:
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, most
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = bound


def eight_bits(image: Image.Image, *, alpha: bool = False) -> Image.Image:
    """Convert any mode to 8 bits. Transparent pixels are blended with white, unless `alpha` keeps them.

    Whole numbers of 16 bits are scaled to 0..255. Floats in 0..1 are multiplied by 255, floats in 0..255 rounded; other
    ranges are stretched to 0..255.
    """
    if image.mode.startswith(("I", "F")):
        numbers = np.asarray(image, dtype=np.float64)
        low, high = _range_of(image)
        return Image.fromarray(np.rint((numbers - low) / max(high - low, 1e-300) * 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        solid = image.convert("RGBA")
        if alpha:
            return solid
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), solid).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def changes_of(image: Image.Image) -> tuple[str, ...]:
    """Return what reading a picture changed or left out, as the ends of sentences that begin with its name."""
    found = list(_frames_left_out(image.info.get(_FRAMES, 1)))
    if image.mode.startswith(("I", "F")):
        low, high = _range_of(image)
        kind = "whole numbers" if image.mode.startswith("I") else "floats"
        found.append(f"holds {kind}, of which {low:g} to {high:g} became 0 to 255")
    return tuple(found)


def _frames_left_out(frames: int) -> tuple[str, ...]:
    return (f"holds {frames:,} pictures, of which the first is used",) if frames > 1 else ()


def _range_of(image: Image.Image) -> tuple[float, float]:
    """Return the numbers of a picture of one channel that become 0 and 255."""
    numbers = np.asarray(image)
    low, high = float(numbers.min(initial=0)), float(numbers.max(initial=0))
    usual = (65535.0,) if image.mode.startswith("I") else (1.0, 255.0)
    top = next((top for top in usual if high <= top), None)
    return (0.0, top) if low >= 0 and top is not None else (float(numbers.min()), high)


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
