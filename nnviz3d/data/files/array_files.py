"""Reader of NumPy files: whole arrays, or some of their rows. It never unpickles."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import refuse_special
from nnviz3d.data.graph import Shape
from nnviz3d.data.printable import reason
from nnviz3d.errors import SampleError

_COMMON = ("x", "images", "inputs", "x_test", "data")
_LABELS = ("labels", "y", "y_test", "label")
_KINDS = 4
"""Most types that a sentence lists."""
_PIECE = 2**20
"""Bytes per read."""
_HEADERS = {(1, 0): (npy.read_array_header_1_0, 2), (2, 0): (npy.read_array_header_2_0, 4)}
"""For each version the reader of the header, and the number of bytes that hold the header's length."""
_LONGEST_HEADER = 10_000
"""Most bytes of a header, as in NumPy."""
_LONGEST_AXIS = 2**62


@dataclass(frozen=True)
class Header:
    """Shape, type and memory order of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool = False


class ArrayFile:
    """A ``.npy`` or ``.npz`` file. Opening it reads only the headers; `read` reads the numbers.

    Parameters
    ----------
    path
        The file. The array of a ``.npy`` file has the empty name.

    Attributes
    ----------
    headers
        Header of each array, by its name.

    Raises
    ------
    SampleError
        If the file is damaged, holds Python objects, or is a device or a pipe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_special(path, SampleError)
        with self._errors():
            with path.open("rb") as file:
                self._packed = file.read(2) == b"PK"
            if self._packed:
                with zipfile.ZipFile(path) as archive:
                    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
                self.headers = {name: self._header(name) for name in names}
            else:
                self.headers = {"": self._header("")}

    def read(self, name: str, rows: range | None = None) -> NDArray[Any]:
        """Read an array, or some of its rows.

        Raises
        ------
        SampleError
            If the file is damaged or cut short, or the array takes more memory than the limit.
        """
        header = self.headers[name]
        with self._errors(), self._open(name) as (file, size):
            _read_header(file)
            start = file.tell()
            if rows is None or header.columns_first:
                whole_size = math.prod(header.shape) * header.dtype.itemsize
                _check_end(start + whole_size, size)
                self._check_size(name, whole_size)
                shape = header.shape[::-1] if header.columns_first else header.shape
                values = _numbers(file, shape, header.dtype)
                whole = values.T if header.columns_first else values
                return whole if rows is None else whole[rows.start : rows.stop]
            row = math.prod(header.shape[1:]) * header.dtype.itemsize
            _check_end(start + rows.stop * row, size)
            self._check_size(name, len(rows) * row)
            file.seek(start + rows.start * row)
            return _numbers(file, (len(rows), *header.shape[1:]), header.dtype)

    def reads_rows(self, name: str) -> bool:
        """Whether some rows of an array are read without the others: not of one that is packed or lies by columns."""
        return not (self._packed or self.headers[name].columns_first)

    def labels(self) -> str | None:
        """Return the name of the array that holds the true classes, if there is one."""
        return next((name for name in _LABELS if name in self.headers), None)

    def _check_size(self, name: str, size: int) -> None:
        check_size(f"{name} of {self.path.name}" if name else self.path.name, size, SampleError)

    def _header(self, name: str) -> Header:
        with self._open(name) as (file, _):
            header = _read_header(file)
        if header.dtype.hasobject:
            raise SampleError(
                f"{self.path.name} holds Python objects or is no NumPy file; expected an array of numbers, saved with "
                "numpy.save or numpy.savez, or of text (first array.astype(str)). Nothing is ever unpickled."
            )
        return header

    def arrays_for(self, inputs: Sequence[str]) -> list[str]:
        """Return the names of the arrays for a model's inputs, in the order of the inputs.

        Parameters
        ----------
        inputs
            Names of the inputs; empty if they are unknown, which returns all possible arrays.

        Raises
        ------
        SampleError
            If the arrays cannot be matched to the inputs.
        """
        if not self._packed:
            return [""]
        if inputs and all(name in self.headers for name in inputs):
            return list(inputs)
        rest = [name for name in self.headers if name not in _LABELS]
        one = next((name for name in _COMMON if name in self.headers), rest[0] if len(rest) == 1 else None)
        if len(inputs) <= 1 and one is not None:
            return [one]
        if rest and not inputs:
            return rest
        held = ", ".join(self.headers) or "nothing"
        wanted = (
            f"the model's inputs are called {', '.join(inputs)}, and each needs an array of its name"
            if inputs
            else "expected samples"
        )
        raise SampleError(f"{self.path.name} holds {held}; {wanted}.")

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """Open the stored bytes of an array; also yields their number."""
        if not self._packed:
            with self.path.open("rb") as file:
                yield file, self.path.stat().st_size
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as member:
            yield member, archive.getinfo(f"{name}.npy").file_size

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise SampleError(f"{self.path.name} is damaged or not a NumPy file: {reason(error)}") from None
        except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise SampleError(f"{self.path.name} is an incomplete or damaged NumPy file: {reason(error)}") from None


def _read_header(file: IO[bytes]) -> Header:
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"its format is {version[0]}.{version[1]}, which holds no plain numbers")
    read, field = _HEADERS[version]
    length = file.read(field)
    claimed = int.from_bytes(length, "little")
    if claimed > _LONGEST_HEADER:  # NumPy would read all of it before raising an error
        raise ValueError(f"its header claims {claimed:,} bytes")
    try:
        shape, columns_first, dtype = read(io.BytesIO(length + file.read(claimed)))
    except tokenize.TokenError:
        raise ValueError("its header has no end") from None
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    if max(shape, default=0) > _LONGEST_AXIS:
        raise ValueError(f"its shape is {shape}, of which an axis is longer than any memory")
    return Header(shape, dtype, columns_first)


def _check_end(end: int, size: int) -> None:
    """Check that an array ends within its file, before memory is allocated."""
    if end > size:
        raise EOFError(f"its numbers would end at byte {end:,}, but it has only {size:,} bytes")


def _numbers(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    values = np.empty(shape, dtype)
    if values.size and dtype.itemsize:
        memory = values.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(memory):  # in pieces, because zipfile is slow for one large read
            piece = file.read(min(_PIECE, len(memory) - filled))
            if not piece:
                raise EOFError(f"it ends after {filled} of {len(memory)} bytes of numbers")
            memory[filled : filled + len(piece)] = piece
            filled += len(piece)
    return values


def batch_shape(found: tuple[int, ...], wanted: Shape) -> tuple[int, ...] | None:
    """Return the shape ``(N, *shape)`` that makes an array a batch for an input; `None` if there is none.

    Only axes of length 1 are added.

    Parameters
    ----------
    found
        Shape of the array: a batch, or one sample.
    wanted
        Shape of one sample that the input takes.
    """
    for shape in (found, (1, *found), (*found, 1), (1, *found, 1)):
        sample = shape[1:]
        if shape and len(sample) == len(wanted) and all(n in (None, m) for n, m in zip(wanted, sample, strict=True)):
            return shape
    return None


def as_array(x: Any) -> NDArray[Any]:
    """Convert a value to an array of numbers or of text; text may come as Python objects or as bytes.

    Raises
    ------
    SampleError
        If the value holds anything else, or rows of unequal length.
    """
    try:
        values = np.asarray(x)
    except ValueError:  # rows of unequal length
        values = np.empty(0, dtype=object)
    if values.dtype.kind != "O":
        return values
    kinds = {type(item) for item in values.flat}
    if kinds and kinds <= {str, bytes, np.str_, np.bytes_}:
        return _text(values)
    odd = ", ".join(sorted(kind.__name__ for kind in kinds)[:_KINDS])
    held = f"Python objects ({odd})" if odd else "Python objects"
    raise SampleError(f"x holds {held}, or rows of unequal length; expected an array of numbers, or of text alone.")


def _text(values: NDArray[Any]) -> NDArray[Any]:
    try:
        found = [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in values.flat]
    except UnicodeDecodeError:
        raise SampleError("x holds bytes that are no UTF-8 text; expected an array of numbers, or of text.") from None
    return np.array(found).reshape(values.shape)
