"""The grammar of ``--input``: which file, text or bundled sample a name means, without opening it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nnviz3d.data.bundled import digits
from nnviz3d.data.files.paths import PathKind, exists, kind_of, quoted, refuse_special, user_path
from nnviz3d.data.files.picture_files import HEIC, SUFFIXES, refuse_heic
from nnviz3d.data.files.sound_files import SOUNDS
from nnviz3d.data.printable import read_integer
from nnviz3d.errors import SampleError

ARRAYS = frozenset({".npy", ".npz"})
TABLES = frozenset({".csv", ".tsv"})
TEXTS = frozenset({".txt"})
KNOWN = SUFFIXES | ARRAYS | TABLES | TEXTS | SOUNDS
"""The endings of all files that hold samples."""
DIGIT_NAMES = tuple(str(digit) for digit in range(10))
TEXT = "text:"
"""Prefix of a text that is itself the sample."""
_DIGITS = re.compile(r"digits:(\d+)(?:-(\d+))?")
_ROWS = re.compile(
    r"(?P<path>.+\.(?:np[yz]|csv|tsv|txt))\[(?P<first>\d+)(?P<more>:(?P<end>\d+))?\]", re.IGNORECASE | re.DOTALL
)
_NAMED = re.compile(r"(?P<name>[^\s=:]+)=(?P<source>.+)", re.DOTALL)
_NEXT = "\n"
"""Separates the parts of a sample of several inputs."""
_EXPECTED = (
    "expected a picture, a folder of pictures, a .npy, .npz, .csv, .txt or .wav file, text:WORDS for a model of text, "
    "digits:N, sklearn:NAME or random"
)


@dataclass(frozen=True)
class SampleFile:
    """The file or folder that holds samples.

    Parameters
    ----------
    path
        A picture, a sound, a folder, or a file of arrays, of a table or of texts.
    rows
        First sample and end of the range in a file of several samples; `None` means all samples.
    """

    path: Path
    rows: tuple[int, int] | None = None

    @property
    def suffix(self) -> str:
        """The ending of the file's name, in lower case."""
        return self.path.suffix.lower()

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


def named_parts(source: str) -> Mapping[str, str] | None:
    """Split the sources of a sample of several inputs, ``left=a.png``; `None` for a sample without names of inputs.

    A part that is neither a file nor looks like the name of one is the value itself: ``age=31``, ``color=red``.

    Returns
    -------
    Mapping or None
        The source for each named input. A single sample of several inputs has all of them, as `named` writes it.
    """
    if source.startswith((TEXT, "digits:", "sklearn:")) or "=" not in source or exists(user_path(source), SampleError):
        return None
    found = [_NAMED.fullmatch(part) for part in source.split(_NEXT)]
    if not all(found):
        return None
    return {match["name"]: _value_or_source(match["source"]) for match in found if match is not None}


def _value_or_source(part: str) -> str:
    if part == "random" or part.startswith((TEXT, "digits:", "sklearn:")) or "/" in part or names_file(part):
        return part
    path = user_path(part)
    return part if path.suffix.lower() in HEIC or exists(path, SampleError) else f"{TEXT}{part}"


def named(parts: Mapping[str, str]) -> str:
    """Return one source for a sample of several inputs, from the source for each input."""
    return _NEXT.join(f"{name}={source}" for name, source in parts.items())


def sentence_in(source: str) -> str | None:
    """Return the text that a source itself is: after ``text:``, or several words that name no file; `None` for others."""
    if source.startswith(TEXT):
        return source.removeprefix(TEXT)
    if len(source.split()) < 2 or source.startswith(("digits:", "sklearn:")):
        return None
    match = _ROWS.fullmatch(source)
    path = user_path(source if match is None else match["path"])
    if path.suffix.lower() in KNOWN | HEIC or exists(path, SampleError):
        return None
    return source


def locate(source: str) -> SampleFile | None:
    """Find the file or folder of a sample; `None` for a text, ``random`` and ``digits:N``, which have no file.

    Raises
    ------
    SampleError
        If there is no such file, or its name is not that of a sample.
    """
    if source == "random" or source.startswith("digits:"):
        return None
    if source.startswith("sklearn:"):
        return SampleFile(_photograph(source.removeprefix("sklearn:")))
    if not source.removeprefix(TEXT).strip():
        raise SampleError(f"An input's name is empty; {_EXPECTED}.")
    if source.startswith(TEXT):
        return None
    path, rows = user_path(source), None
    match = _ROWS.fullmatch(source)
    if match is not None and not exists(path, SampleError):
        first = read_integer(match["first"])
        path, rows = user_path(match["path"]), (first, read_integer(match["end"]) if match["more"] else first + 1)
    kind = kind_of(path, SampleError)
    if kind is None:
        if sentence_in(source) is not None:
            return None
        raise SampleError(f"There is no input {quoted(path if rows else source)}; {_EXPECTED}.")
    refuse_special(path, SampleError)
    suffix = path.suffix.lower()
    if kind is not PathKind.FOLDER:
        refuse_heic(path)
        if suffix not in KNOWN | HEIC:
            raise SampleError(
                f"{path.name} is no input that nnviz3d knows; expected a file that ends in {', '.join(sorted(KNOWN))}."
            )
    return SampleFile(path, rows)


def in_folder(folder: Path, source: str) -> str:
    """Return a source whose file is relative to a folder; one that names no file, such as ``digits:7``, stays as it is."""
    if source == "random" or source.startswith((TEXT, "digits:", "sklearn:")):
        return source
    parts = [_NAMED.fullmatch(part) for part in source.split(_NEXT)]
    if "=" in source and all(parts) and not exists(folder / user_path(source), SampleError):
        return named({part["name"]: _part_in(folder, part["source"]) for part in parts if part is not None})
    if sentence_in(source) is not None and not exists(folder / user_path(source), SampleError):
        return source
    return str((folder / user_path(source)).absolute())


def _part_in(folder: Path, part: str) -> str:
    """Return the part of a sample of several inputs: a file relative to a folder, or a value as it is."""
    path = folder / user_path(part)
    is_file = "/" in part or names_file(part) or path.suffix.lower() in HEIC or exists(path, SampleError)
    return in_folder(folder, part) if is_file else part


def check_source(source: str) -> None:
    """Refuse a source whose file, or a file of its parts, does not exist.

    Raises
    ------
    SampleError
        If there is no such file, or its name is not that of a sample.
    """
    for part in (named_parts(source) or {"": source}).values():
        locate(part)


def names_file(source: str) -> bool:
    """Whether a source is, by its ending, the name of a file of samples, or of rows of one."""
    match = _ROWS.fullmatch(source)
    return Path(source if match is None else match["path"]).suffix.lower() in KNOWN


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES | HEIC


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


def row_source(source: str, located: SampleFile, i: int) -> str:
    """Return the source of one row of a file, ``x.npy[3]``."""
    return f"{source if located.rows is None else source.rpartition('[')[0]}[{i}]"


def joined_rows(sources: Sequence[str]) -> tuple[str, ...]:
    """Join sources of rows that follow each other in one file: ``x.npy[3]`` and ``x.npy[4]`` become ``x.npy[3:5]``."""
    found: list[str] = []
    name, first, end = "", 0, -1
    for source in sources:
        match = _ROWS.fullmatch(source)
        single = match is not None and not match["more"] and named_parts(source) is None
        if match is None or not single:
            name, end = "", -1
            found.append(source)
            continue
        row = read_integer(match["first"])
        if match["path"] == name and row == end:
            end += 1
            found[-1] = f"{name}[{first}:{end}]"
        else:
            name, first, end = match["path"], row, row + 1
            found.append(source)
    return tuple(found)


def _photograph(name: str) -> Path:
    """Find a photograph that comes with scikit-learn, without importing scikit-learn, which takes a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise SampleError(
            f"sklearn:{quoted(name)} comes with scikit-learn, which is not installed: pip install scikit-learn."
        )
    folder = Path(package.origin).parent / "datasets" / "images"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    if name not in names:
        listed = ", ".join(f"sklearn:{other}" for other in names)
        raise SampleError(f"scikit-learn comes with no photograph {quoted(name)!r}; there are {listed}.")
    return folder / name
