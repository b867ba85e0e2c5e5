"""The samples that inputs name: one source for each, listed without running a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.data.bundled import digits
from nnviz3d.data.files.array_files import ArrayFile, Header, batch_shape
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import is_folder
from nnviz3d.data.files.picture_arrays import pictures_from
from nnviz3d.data.files.picture_files import eight_bits, read_image
from nnviz3d.data.files.sample_folders import find_in_folder, read_folder
from nnviz3d.data.files.sound_files import SOUNDS
from nnviz3d.data.files.table_files import Table, read_table
from nnviz3d.data.files.text_files import named_by, text_lines
from nnviz3d.data.graph import Shape
from nnviz3d.data.printable import printable
from nnviz3d.data.source_names import (
    ARRAYS,
    DIGIT_NAMES,
    TABLES,
    TEXTS,
    SampleFile,
    digit_numbers,
    is_picture,
    locate,
    named,
    named_parts,
    row_source,
    sentence_in,
)
from nnviz3d.errors import SampleError

_LISTED = 500
"""Bytes of memory per sample in a list of samples."""


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
        If an input does not exist or cannot be read, or the named inputs have different numbers of samples.
    """
    found: list[InputSample] = []
    together = named_inputs(inputs)
    if together is not None:
        return _side_by_side({name: expand(one, seed=seed, shapes=_of(name, shapes)) for name, one in together.items()})
    for source in inputs or ("random",):
        located = locate(source)
        if source == "random":
            found.append(InputSample(source, f"random (seed {seed})"))
        elif located is None and source.startswith("digits:"):
            labels = digits()[1]
            found.extend(InputSample(f"digits:{i}", f"digits:{i}", int(labels[i])) for i in digit_numbers(source))
        elif located is None:
            found.append(InputSample(source, named_by(sentence_in(source) or source)))
        elif is_folder(located.path, SampleError):
            found.extend(InputSample(one.source, one.name, one.label) for one in read_folder(located.path).samples)
        elif located.suffix in ARRAYS:
            found.extend(_rows(source, located, shapes or {}))
        elif located.suffix in TABLES:
            found.extend(_table_rows(source, located, shapes or {}))
        else:
            member = find_in_folder(source)
            if member is not None:
                found.append(InputSample(source, member[1].name, member[1].label))
            elif located.suffix in TEXTS:
                lines = text_lines(located.path)
                found.extend(
                    InputSample(row_source(source, located, i), named_by(lines[i])) for i in located.chosen(len(lines))
                )
            else:
                found.append(InputSample(source, located.path.name))
    return tuple(found)


def named_inputs(inputs: Sequence[str]) -> dict[str, list[str]] | None:
    """Return the sources for each input of the model, in order, from ``name=FILE``; `None` if no input is named.

    Raises
    ------
    SampleError
        If some inputs are named and others are not.
    """
    split = [named_parts(source) for source in inputs]
    if not any(split):
        return None
    found: dict[str, list[str]] = {}
    for source, parts in zip(inputs, split, strict=True):
        if parts is None:
            raise SampleError(
                f"{printable(source, 80)} names no input of the model, but others do; write NAME=FILE for each."
            )
        for name, part in parts.items():
            found.setdefault(name, []).append(part)
    return found


def _side_by_side(each: Mapping[str, Sequence[InputSample]]) -> tuple[InputSample, ...]:
    """Return the samples of several inputs: the first of each input together, then the second of each."""
    counts = {name: len(samples) for name, samples in each.items()}
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{count} for {name!r}" for name, count in counts.items())
        raise SampleError(f"There are {told}; expected as many samples for every input.")
    return tuple(
        InputSample(
            named({name: one.source for name, one in zip(each, row, strict=True)}),
            joined_name([one.name for one in row]),
            next((one.label for one in row if one.label is not None), None),
        )
        for row in zip(*each.values(), strict=True)
    )


def joined_name(names: Sequence[str]) -> str:
    """Return the name of a sample of several inputs: equal names once."""
    return ", ".join(dict.fromkeys(names))


def _of(name: str, shapes: Mapping[str, Shape] | None) -> Mapping[str, Shape] | None:
    return {name: shapes[name]} if shapes and name in shapes else None


def classes_in(inputs: Sequence[str]) -> tuple[str, ...] | None:
    """Return the class names of inputs, if all of them that have labels have the same names.

    Raises
    ------
    SampleError
        If an input does not exist.
    """
    found: set[tuple[str, ...] | None] = set()
    for source in inputs:
        if named_parts(source) is not None:
            return None
        located = locate(source)
        if source.startswith("digits:"):
            found.add(DIGIT_NAMES)
        elif located is not None and is_folder(located.path, SampleError):
            found.add(read_folder(located.path).classes)
        elif located is not None and located.suffix in TABLES:
            labels = read_table(located.path).labels(range(0))
            found.add(None if labels is None else labels[1])
        elif located is not None and located.suffix in ARRAYS:
            found.add(None)
        elif located is not None and (member := find_in_folder(source)) is not None:
            found.add(member[0].classes)
    return found.pop() if len(found) == 1 else None


def needs_model(source: str) -> bool:
    """Whether reading a sample needs to know a vocabulary or a rate of the model: of texts, sounds and random samples."""
    for part in (named_parts(source) or {"": source}).values():
        located = locate(part)
        if located is None:
            told = not part.startswith("digits:")
        elif is_folder(located.path, SampleError):
            told = read_folder(located.path).kind != "pictures"
        else:
            told = located.suffix in TEXTS | SOUNDS
        if told:
            return True
    return False


def notices_on(inputs: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each folder among the inputs that is read only in part.

    Raises
    ------
    SampleError
        If an input does not exist.
    """
    sources = [part for source in inputs for part in (named_parts(source) or {"": source}).values()]
    located = (locate(source) for source in sources if source != "random")
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
    parts = named_parts(source)
    if parts is not None:
        found = (thumbnail_of(part, side) for part in parts.values())
        return next((picture for picture in found if picture is not None), None)
    located = locate(source)
    if located is None and source.startswith("digits:"):
        image = Image.fromarray(digits()[0][digit_numbers(source)[0]])
    elif located is None or is_folder(located.path, SampleError):
        return None
    elif is_picture(located.path):
        image = eight_bits(read_image(located.path, least=side))
    elif located.suffix not in ARRAYS:
        return None
    else:
        pixels = _first_picture(located)
        if pixels is None:
            return None
        image = Image.fromarray(pixels)
    image = image.convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def _rows(source: str, located: SampleFile, shapes: Mapping[str, Shape]) -> list[InputSample]:
    file = ArrayFile(located.path)
    count = _count(file, shapes)
    chosen = located.chosen(count)
    check_size(f"The list of the {len(chosen):,} samples in {located.path.name}", _LISTED * len(chosen), SampleError)
    name = file.labels()
    labels = file.read(name).reshape(-1) if name is not None else np.empty(0, np.int64)
    truth = labels if labels.shape == (count,) and labels.dtype.kind in "iu" else None
    whole = count == 1 and located.rows is None
    return [
        InputSample(
            source if whole else row_source(source, located, i),
            located.path.name if whole else f"{located.path.name}[{i}]",
            None if truth is None else int(truth[i]),
        )
        for i in chosen
    ]


def _table_rows(source: str, located: SampleFile, shapes: Mapping[str, Shape]) -> list[InputSample]:
    table = read_table(located.path)
    rows = located.chosen(len(table.rows))
    if is_series(table, rows, list(shapes.values())):
        return [InputSample(source, series_name(located))]
    labels = table.labels(rows, tuple(shapes))
    return [
        InputSample(
            row_source(source, located, i),
            f"{located.path.name}[{i}]",
            None if labels is None else int(labels[0][i - rows.start]),
        )
        for i in rows
    ]


def is_series(table: Table, rows: range, shapes: Sequence[Shape]) -> bool:
    """Whether some lines of a table are the time steps of one sample: the model takes as many numbers at each step."""
    if len(shapes) != 1 or len(shapes[0]) != 2:
        return False
    steps, width = shapes[0]
    return width == table.width and steps in (None, len(rows))


def series_name(located: SampleFile) -> str:
    """Return the name of a sample whose time steps are lines of a table: ``x.csv``, ``x.csv[0:50]``."""
    rows = located.rows
    return located.path.name if rows is None else f"{located.path.name}[{rows[0]}:{rows[1]}]"


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
