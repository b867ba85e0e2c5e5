"""Reader of picture files, with the damages and the facts that files show."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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
