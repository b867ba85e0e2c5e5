"""What people call samples: from names on the command line to one source for each sample, without running anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.data.bundled import digits
from nnviz3d.data.files.array_files import ArrayFile, Header, batch_shape
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import Kind, exists, is_folder, kind_of, quoted, refuse_special, user_path
from nnviz3d.data.files.picture_files import SUFFIXES, eight_bits, read_image, shown_from
from nnviz3d.data.files.picture_folders import find_in_folder, read_folder
from nnviz3d.data.graph import Shape
from nnviz3d.data.printable import capped, printable
from nnviz3d.errors import SampleError

_DIGITS = re.compile(r"digits:(\d+)(?:-(\d+))?")
_ROWS = re.compile(r"(?P<path>.+\.np[yz])\[(?P<first>\d+)(?P<more>:(?P<end>\d+))?\]", re.IGNORECASE)
_ARRAYS = frozenset({".npy", ".npz"})
_LISTED = 500
"""Bytes of memory per sample in a list of samples."""
DIGIT_NAMES = tuple(str(digit) for digit in range(10))
_EXPECTED = "expected a picture, a folder of pictures, a .npy or .npz file, digits:N, sklearn:NAME or random"


@dataclass(frozen=True)
class SampleSource:
    """One sample that could be captured.

    Parameters
    ----------
    source
        What a `CaptureRequest` understands as exactly this sample: ``photos/cat.jpg``, ``x.npy[3]``, ``digits:7``.
    name
        What the capture will call it: ``cat.jpg``, ``x.npy[3]``, ``digits:7``.
    label
        Its true class, if known.
    """

    source: str
    name: str
    label: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))


@dataclass(frozen=True)
class Located:
    """Where samples stand.

    Parameters
    ----------
    path
        A picture, a folder of them, or a file of arrays.
    rows
        Which samples of a file of arrays are meant, first and end; `None` means all.
    """

    path: Path
    rows: tuple[int, int] | None = None

    def chosen(self, count: int) -> range:
        """Return which of so many samples are meant.

        Raises
        ------
        SampleError
            If there are not as many.
        """
        first, end = self.rows or (0, count)
        if not first < end <= count:
            asked = f"[{first}]" if end == first + 1 else f"[{first}:{end}]"
            holds = "one sample, 0" if count == 1 else f"samples 0 to {count - 1}"
            raise SampleError(f"{self.path.name}{asked} is out of range; {self.path.name} holds {holds}.")
        return range(first, end)


def locate(source: str) -> Located | None:
    """Return where a sample stands; `None` for ``random`` and ``digits:N``, which are in no file of their own.

    Raises
    ------
    SampleError
        If nothing is there, or its name is not that of a sample.
    """
    if source == "random" or source.startswith("digits:"):
        return None
    if source.startswith("sklearn:"):
        return Located(_photograph(source.removeprefix("sklearn:")))
    if not source:
        raise SampleError(f"An input's name is empty; {_EXPECTED}.")
    path, rows = user_path(source), None
    match = _ROWS.fullmatch(source)
    if match is not None and not exists(path, SampleError):
        first = capped(match["first"])
        path, rows = user_path(match["path"]), (first, capped(match["end"]) if match["more"] else first + 1)
    kind = kind_of(path, SampleError)
    if kind is None:
        text = " Text goes into a .npy file: numpy.save('x.npy', numpy.array([...]))." * (" " in source.strip())
        raise SampleError(f"There is no input {quoted(path if rows else source)}; {_EXPECTED}.{text}")
    refuse_special(path, SampleError)
    if kind is not Kind.FOLDER and path.suffix.lower() not in SUFFIXES | _ARRAYS:
        table = (
            " Save the numbers of a table as an array, one row a sample: "
            "numpy.save('x.npy', numpy.loadtxt(file, delimiter=','))."
        ) * (path.suffix.lower() == ".csv")
        raise SampleError(
            f"{path.name} is no input that nnviz3d knows; expected {', '.join(sorted(SUFFIXES))}, .npy or .npz.{table}"
        )
    return Located(path, rows)


def expand(
    inputs: Sequence[str], *, seed: int = 0, shapes: Mapping[str, Shape] | None = None
) -> tuple[SampleSource, ...]:
    """List the samples that some inputs name, in the order in which they are captured. No numbers are read but labels.

    Parameters
    ----------
    inputs
        As for a `CaptureRequest`; none means ``random``.
    seed
        For the name of ``random``.
    shapes
        By the name of each of the model's inputs, the shape of one sample: of a capture, that of the graph's input
        nodes. While they are not known, a vector and a picture of bytes count as one sample, and the first axis of
        any other array counts samples.

    Raises
    ------
    SampleError
        If something is not there or cannot be read.
    """
    found: list[SampleSource] = []
    for source in inputs or ("random",):
        located = locate(source)
        if source == "random":
            found.append(SampleSource(source, f"random (seed {seed})"))
        elif located is None:
            labels = digits()[1]
            found.extend(SampleSource(f"digits:{i}", f"digits:{i}", int(labels[i])) for i in digit_numbers(source))
        elif is_folder(located.path, SampleError):
            found.extend(SampleSource(one.source, one.name, one.label) for one in read_folder(located.path).pictures)
        elif is_picture(located.path):
            member = find_in_folder(source)
            name, label = (located.path.name, None) if member is None else (member[1].name, member[1].label)
            found.append(SampleSource(source, name, label))
        else:
            found.extend(_rows(source, located, shapes or {}))
    return tuple(found)


def classes_in(inputs: Sequence[str]) -> tuple[str, ...] | None:
    """Return the class names that some inputs hold, if all of them hold the same names.

    Raises
    ------
    SampleError
        If an input does not exist.
    """
    found: set[tuple[str, ...] | None] = set()
    for source in inputs:
        located = locate(source)
        if source.startswith("digits:"):
            found.add(DIGIT_NAMES)
        elif located is not None and is_folder(located.path, SampleError):
            found.add(read_folder(located.path).classes)
        else:
            found.add(None)
    return found.pop() if len(found) == 1 else None


def notices_on(inputs: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each folder among some inputs of which not everything is read.

    Raises
    ------
    SampleError
        If an input does not exist.
    """
    located = (locate(source) for source in inputs if source != "random")
    folders = (found.path for found in located if found is not None and is_folder(found.path, SampleError))
    notices = (read_folder(path).notice for path in folders)
    return tuple(dict.fromkeys(notice for notice in notices if notice is not None))


def named_sources(x: Any) -> tuple[str, ...] | None:
    """Return the names in what somebody hands over in Python, if it names samples instead of being some."""
    if x is None:
        return ()
    if isinstance(x, str | Path):
        return (str(x),)
    if isinstance(x, list | tuple) and x and all(isinstance(item, str | Path) for item in x):
        return tuple(str(item) for item in x)
    return None


def thumbnail_of(source: str, side: int = 64) -> NDArray[np.uint8] | None:
    """Read a sample as a small picture to look at.

    Parameters
    ----------
    source
        One sample, as `expand` names it.
    side
        Pixels of the longer side, at most.

    Returns
    -------
    ndarray or None
        ``(H, W, 3)``; `None` for what is no picture.

    Raises
    ------
    SampleError
        If it is not there or cannot be read.
    """
    located = locate(source)
    if source == "random":
        return None
    if located is None:
        image = Image.fromarray(digits()[0][digit_numbers(source)[0]])
    elif is_folder(located.path, SampleError):
        return None
    elif is_picture(located.path):
        image = eight_bits(read_image(located.path, least=side))
    else:
        pixels = _first_picture(located)
        if pixels is None:
            return None
        image = Image.fromarray(pixels)
    image = image.convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def names_arrays(source: str) -> bool:
    """Whether a source's name is that of an array file, or of rows of one."""
    match = _ROWS.fullmatch(source)
    return Path(source if match is None else match["path"]).suffix.lower() in _ARRAYS


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


def digit_numbers(source: str) -> range:
    """Read ``digits:N`` or ``digits:A-B``.

    Raises
    ------
    SampleError
        If it is something else, or there are no such digits.
    """
    match = _DIGITS.fullmatch(source)
    if match is None:
        raise SampleError(f"{quoted(source)!r} is not understood; expected digits:N, such as digits:7, or digits:A-B.")
    first = capped(match[1])
    last = capped(match[2]) if match[2] else first
    count = len(digits()[1])
    if not first <= last < count:
        raise SampleError(
            f"{quoted(source)} is out of range; the bundled test digits are digits:0 to digits:{count - 1}."
        )
    return range(first, last + 1)


def _rows(source: str, located: Located, shapes: Mapping[str, Shape]) -> list[SampleSource]:
    file = ArrayFile(located.path)
    count = _count(file, shapes)
    chosen = located.chosen(count)
    check_size(f"The list of the {len(chosen):,} samples in {located.path.name}", _LISTED * len(chosen), SampleError)
    name = file.labels()
    labels = file.read(name).reshape(-1) if name is not None else np.empty(0, np.int64)
    truth = labels if labels.shape == (count,) and labels.dtype.kind in "iu" else None
    whole = count == 1 and located.rows is None
    stem = source if located.rows is None else source.rpartition("[")[0]
    return [
        SampleSource(
            stem if whole else f"{stem}[{i}]",
            located.path.name if whole else f"{located.path.name}[{i}]",
            None if truth is None else int(truth[i]),
        )
        for i in chosen
    ]


def _count(file: ArrayFile, shapes: Mapping[str, Shape]) -> int:
    """Tell how many samples a file holds."""
    names = file.arrays_for(list(shapes))
    wanted: list[Shape | None] = list(shapes.values()) if len(shapes) == len(names) else [None] * len(names)
    counts = set()
    for name, shape in zip(names, wanted, strict=True):
        header = file.headers[name]
        batch = batch_shape(header.shape, shape) if shape is not None else None
        counts.add(batch[0] if batch is not None else 1 if _seems_one(header) else header.shape[0])
    if len(counts) != 1 or 0 in counts:
        held = ", ".join(f"{name} {file.headers[name].shape}".strip() for name in names)
        raise SampleError(f"{file.path.name} holds {held}; expected as many samples, at least one, for every input.")
    return counts.pop()


def _seems_one(header: Header) -> bool:
    """Whether an array seems to be one sample and not a batch: a vector, or a picture of bytes."""
    shape = header.shape
    picture = len(shape) == 3 and shape[-1] in (1, 3, 4) and min(shape[:2]) >= 8
    return len(shape) < 2 or (picture and header.dtype == np.uint8)


def _first_picture(located: Located) -> NDArray[np.uint8] | None:
    """Make a picture of the first sample that is meant, if it is one."""
    file = ArrayFile(located.path)
    for name in file.arrays_for(()):
        header = file.headers[name]
        if located.rows is None or _seems_one(header):
            values = file.read(name)
            values = values if header.shape[:1] == (1,) else values[None]
        elif located.rows[0] < header.shape[0]:
            values = file.read(name, range(located.rows[0], located.rows[0] + 1))
        else:
            continue
        shown = shown_from(values)
        if shown is not None:
            first: NDArray[np.uint8] = shown[0]
            return first
    return None


def _photograph(name: str) -> Path:
    """Find one of the photographs that come with scikit-learn, without importing it, which takes a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise SampleError(f"sklearn:{name} comes with scikit-learn, which is not installed: pip install scikit-learn.")
    folder = Path(package.origin).parent / "datasets" / "images"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    if name not in names:
        listed = ", ".join(f"sklearn:{other}" for other in names)
        raise SampleError(f"scikit-learn comes with no photograph {name!r}; there are {listed}.")
    return folder / name
