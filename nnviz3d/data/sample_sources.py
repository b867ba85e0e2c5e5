"""Names of samples: splits the inputs on the command line into one source per sample, without running a model."""

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
from nnviz3d.data.files.paths import PathKind, exists, is_folder, kind_of, quoted, refuse_special, user_path
from nnviz3d.data.files.picture_files import SUFFIXES, eight_bits, pictures_from, read_image
from nnviz3d.data.files.picture_folders import find_in_folder, read_folder
from nnviz3d.data.graph import Shape
from nnviz3d.data.printable import printable, read_integer
from nnviz3d.errors import SampleError

_DIGITS = re.compile(r"digits:(\d+)(?:-(\d+))?")
_ROWS = re.compile(r"(?P<path>.+\.np[yz])\[(?P<first>\d+)(?P<more>:(?P<end>\d+))?\]", re.IGNORECASE)
_ARRAYS = frozenset({".npy", ".npz"})
_LISTED = 500
"""Bytes of memory per sample in a list of samples."""
DIGIT_NAMES = tuple(str(digit) for digit in range(10))
_EXPECTED = "expected a picture, a folder of pictures, a .npy or .npz file, digits:N, sklearn:NAME or random"


@dataclass(frozen=True)
class InputSample:
    """One sample that could be captured.

    Parameters
    ----------
    source
        Name of exactly this sample in a `CaptureRequest`: ``photos/cat.jpg``, ``x.npy[3]``, ``digits:7``.
    name
        Name of the sample in the capture: ``cat.jpg``, ``x.npy[3]``, ``digits:7``.
    label
        Its true class, if known.
    """

    source: str
    name: str
    label: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))


@dataclass(frozen=True)
class SampleFile:
    """The file or folder that holds samples.

    Parameters
    ----------
    path
        A picture, a folder of them, or a file of arrays.
    rows
        First sample and end of the range in a file of arrays; `None` means all samples.
    """

    path: Path
    rows: tuple[int, int] | None = None

    def chosen(self, count: int) -> range:
        """Return the range of samples, given the number of samples in the file.

        Raises
        ------
        SampleError
            If the file has fewer samples.
        """
        first, end = self.rows or (0, count)
        if not first < end <= count:
            asked = f"[{first}]" if end == first + 1 else f"[{first}:{end}]"
            holds = "one sample, 0" if count == 1 else f"samples 0 to {count - 1}"
            raise SampleError(f"{self.path.name}{asked} is out of range; {self.path.name} holds {holds}.")
        return range(first, end)


def locate(source: str) -> SampleFile | None:
    """Find the file or folder of a sample; `None` for ``random`` and ``digits:N``, which have no file of their own.

    Raises
    ------
    SampleError
        If there is no such file, or its name is not that of a sample.
    """
    if source == "random" or source.startswith("digits:"):
        return None
    if source.startswith("sklearn:"):
        return SampleFile(_photograph(source.removeprefix("sklearn:")))
    if not source:
        raise SampleError(f"An input's name is empty; {_EXPECTED}.")
    path, rows = user_path(source), None
    match = _ROWS.fullmatch(source)
    if match is not None and not exists(path, SampleError):
        first = read_integer(match["first"])
        path, rows = user_path(match["path"]), (first, read_integer(match["end"]) if match["more"] else first + 1)
    kind = kind_of(path, SampleError)
    if kind is None:
        text = " Text goes into a .npy file: numpy.save('x.npy', numpy.array([...]))." * (" " in source.strip())
        raise SampleError(f"There is no input {quoted(path if rows else source)}; {_EXPECTED}.{text}")
    refuse_special(path, SampleError)
    if kind is not PathKind.FOLDER and path.suffix.lower() not in SUFFIXES | _ARRAYS:
        table = (
            " Save the numbers of a table as an array, one row a sample: "
            "numpy.save('x.npy', numpy.loadtxt(file, delimiter=','))."
        ) * (path.suffix.lower() == ".csv")
        raise SampleError(
            f"{path.name} is no input that nnviz3d knows; expected {', '.join(sorted(SUFFIXES))}, .npy or .npz.{table}"
        )
    return SampleFile(path, rows)


def expand(
    inputs: Sequence[str], *, seed: int = 0, shapes: Mapping[str, Shape] | None = None
) -> tuple[InputSample, ...]:
    """List the samples of inputs, in the order in which they are captured. Only labels are read, no other numbers.

    Parameters
    ----------
    inputs
        As in a `CaptureRequest`; an empty list means ``random``.
    seed
        Seed in the name of ``random``.
    shapes
        Shape of one sample for each input of the model, by name: for a capture, the shapes of the graph's input nodes.
        If they are unknown, a vector and a picture of bytes count as one sample, and the first axis of any other array
        counts samples.

    Raises
    ------
    SampleError
        If an input does not exist or cannot be read.
    """
    found: list[InputSample] = []
    for source in inputs or ("random",):
        located = locate(source)
        if source == "random":
            found.append(InputSample(source, f"random (seed {seed})"))
        elif located is None:
            labels = digits()[1]
            found.extend(InputSample(f"digits:{i}", f"digits:{i}", int(labels[i])) for i in digit_numbers(source))
        elif is_folder(located.path, SampleError):
            found.extend(InputSample(one.source, one.name, one.label) for one in read_folder(located.path).pictures)
        elif is_picture(located.path):
            member = find_in_folder(source)
            name, label = (located.path.name, None) if member is None else (member[1].name, member[1].label)
            found.append(InputSample(source, name, label))
        else:
            found.extend(_rows(source, located, shapes or {}))
    return tuple(found)


def classes_in(inputs: Sequence[str]) -> tuple[str, ...] | None:
    """Return the class names of inputs, if all of them have the same names.

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
    """Return a sentence for each folder among the inputs that is read only in part.

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
    """Return the names of samples in a Python argument; `None` if the argument holds the samples themselves."""
    if x is None:
        return ()
    if isinstance(x, str | Path):
        return (str(x),)
    if isinstance(x, list | tuple) and x and all(isinstance(item, str | Path) for item in x):
        return tuple(str(item) for item in x)
    return None


def thumbnail_of(source: str, side: int = 64) -> NDArray[np.uint8] | None:
    """Read a sample as a small picture for people.

    Parameters
    ----------
    source
        One sample, as `expand` names it.
    side
        Most pixels of the longer side.

    Returns
    -------
    ndarray or None
        ``(H, W, 3)``; `None` if the sample is not a picture.

    Raises
    ------
    SampleError
        If it does not exist or cannot be read.
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
    """Whether a source names an array file, or rows of an array file."""
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
        If the source has another form, or there are no such digits.
    """
    match = _DIGITS.fullmatch(source)
    if match is None:
        raise SampleError(f"{quoted(source)!r} is not understood; expected digits:N, such as digits:7, or digits:A-B.")
    first = read_integer(match[1])
    last = read_integer(match[2]) if match[2] else first
    count = len(digits()[1])
    if not first <= last < count:
        raise SampleError(
            f"{quoted(source)} is out of range; the bundled test digits are digits:0 to digits:{count - 1}."
        )
    return range(first, last + 1)


def _rows(source: str, located: SampleFile, shapes: Mapping[str, Shape]) -> list[InputSample]:
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
        InputSample(
            stem if whole else f"{stem}[{i}]",
            located.path.name if whole else f"{located.path.name}[{i}]",
            None if truth is None else int(truth[i]),
        )
        for i in chosen
    ]


def _count(file: ArrayFile, shapes: Mapping[str, Shape]) -> int:
    """Return the number of samples in a file."""
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


def _first_picture(located: SampleFile) -> NDArray[np.uint8] | None:
    """Return the first chosen sample as a picture; `None` if it is not a picture."""
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
        shown = pictures_from(values)
        if shown is not None:
            first: NDArray[np.uint8] = shown[0]
            return first
    return None


def _photograph(name: str) -> Path:
    """Find a photograph that comes with scikit-learn, without importing scikit-learn, which takes a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise SampleError(f"sklearn:{name} comes with scikit-learn, which is not installed: pip install scikit-learn.")
    folder = Path(package.origin).parent / "datasets" / "images"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    if name not in names:
        listed = ", ".join(f"sklearn:{other}" for other in names)
        raise SampleError(f"scikit-learn comes with no photograph {name!r}; there are {listed}.")
    return folder / name
