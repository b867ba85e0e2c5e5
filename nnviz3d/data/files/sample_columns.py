"""Reader of a table about samples: columns of numbers or words, with a line for each sample of a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.paths import exists, quoted, refuse_special, user_path
from nnviz3d.data.files.table_files import read_table
from nnviz3d.data.printable import printable
from nnviz3d.errors import SampleError

NO_WORD = -1
"""Code of an empty cell, as of an unknown class."""
_FEW = 10
"""Most different whole numbers of a column that are categories, such as the numbers of classes or folds."""
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|nan|[-+]?inf(?:inity)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class SampleColumn:
    """One column of a table about samples: either categories or numbers.

    Attributes
    ----------
    words
        The different words of a column of categories, in order: whole numbers by size, others by their text. Empty for a
        column of numbers.
    codes
        ``(M,)``: for each sample the index of its word, `NO_WORD` for an empty cell; empty for a column of numbers.
    numbers
        ``(M,)`` float64, NaN for an empty cell; `None` for a column of categories.
    """

    name: str
    words: tuple[str, ...]
    codes: NDArray[np.int64]
    numbers: NDArray[np.float64] | None = None

    def in_order(self, order: NDArray[np.int64]) -> SampleColumn:
        """Return the column with its lines in another order: indices of lines, ``(M,)``."""
        codes = self.codes[order] if len(self.codes) else self.codes
        return SampleColumn(self.name, self.words, codes, None if self.numbers is None else self.numbers[order])


@dataclass(frozen=True, eq=False)
class SampleTable:
    """A table about samples.

    Attributes
    ----------
    file
        Name of the file, for sentences.
    count
        Number of lines, M.
    """

    file: str
    count: int
    columns: tuple[SampleColumn, ...]

    def columns_for(self, names: Sequence[str], whose: str) -> tuple[SampleColumn, ...]:
        """Return the columns in the order of some samples.

        If a column holds the names of exactly these samples, it says which line belongs to which; folders and capital
        letters do not count where the names differ without them. Without such a column the lines stand in the order of
        the samples.

        Parameters
        ----------
        whose
            The samples in words, for the error message.

        Raises
        ------
        SampleError
            If the table has another number of lines, or a column holds the names of half the samples but not of all.
        """
        if self.count != len(names):
            raise SampleError(
                f"{printable(self.file)} has {self.count:,} line{'s' * (self.count != 1)} below its names of columns, and "
                f"{whose} has {len(names):,} samples; the table needs a line for each sample, in the same order."
            )
        for key in (str, _file_name):
            keys = [key(name) for name in names]
            order = next(filter(None, (_order(column, key, keys) for column in self.columns)), None)
            if order is not None:
                lines = np.array(order, dtype=np.int64)
                return tuple(column.in_order(lines) for column in self.columns)
        keys = [_file_name(name) for name in names]
        for column in self.columns:
            if not all(map(str.isdecimal, column.words)):  # not the numbers of classes, say
                self._refuse_other_names(column, names, keys)
        return self.columns

    def _refuse_other_names(self, column: SampleColumn, names: Sequence[str], keys: list[str]) -> None:
        """Refuse a column of names that leaves open which line belongs to which sample.

        Parameters
        ----------
        keys
            What counts of each name.

        Raises
        ------
        SampleError
            If it holds the names of half the samples, but not of all, or all of them in another order and some twice.
        """
        cells = _cells(column, _file_name)
        held = set(cells)
        missing = [name for name, key in zip(names, keys, strict=True) if key not in held]
        if missing and 2 * len(missing) <= len(names):
            raise SampleError(
                f"{printable(self.file)}: the column {column.name} holds the names of {len(names) - len(missing):,} of the "
                f"{len(names):,} samples, but not {printable(missing[0])}; write each sample's name on its line."
            )
        if sorted(keys) == sorted(cells) and keys != cells:
            twice = next(name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1)
            raise SampleError(
                f"{printable(self.file)}: the column {column.name} holds the names of the samples in another order, and "
                f"several are called {printable(PurePath(twice).name)}; write the lines in the order of the samples, or "
                "the names with their folders."
            )


def _order(column: SampleColumn, key: Callable[[str], str], keys: Sequence[str]) -> list[int] | None:
    """Return the line of each sample, if a column holds their names, each once."""
    line = {cell: number for number, cell in enumerate(_cells(column, key))}
    return [line[one] for one in keys] if len(line) == len(keys) and line.keys() == set(keys) else None


def _cells(column: SampleColumn, key: Callable[[str], str]) -> list[str]:
    """Return what counts of each cell of a column; nothing for a column of numbers."""
    words = [*map(key, column.words), ""]  # the last one is that of an empty cell
    return [words[code] for code in column.codes.tolist()]


def _file_name(name: str) -> str:
    """Return what counts of the name of a sample in another table: the name of the file."""
    return PurePath(name).name.casefold()


def read_sample_table(path: str) -> SampleTable:
    """Read a table about samples: a text file with the names of the columns on its first line.

    A column whose cells are all numbers is one of numbers, unless they are at most ten different whole numbers, which are
    categories. Every other column is one of words. Cells may be empty.

    Raises
    ------
    SampleError
        If the file cannot be read, or is no such table.
    """
    found = user_path(path)
    if not exists(found, SampleError):
        raise SampleError(f"There is no table {quoted(found)}.")
    refuse_special(found, SampleError)
    try:
        state = found.stat()
    except OSError as error:
        raise SampleError(f"{quoted(found)} cannot be read: {error.strerror or error}.") from None
    return _read(found, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, _size: int) -> SampleTable:
    """Read a table; the same one as long as the file stays the same."""
    table = read_table(path)
    columns = []
    for at in range(table.width):
        name = table.name_of(at) if table.columns is None else table.columns[at] or table.name_of(at)
        cells = [row[at] for row in table.rows]
        columns.append(_column(printable(name), cells, decimal_comma=table.decimal_comma))
    return SampleTable(path.name, len(table.rows), tuple(columns))


def _column(name: str, cells: list[str], *, decimal_comma: bool) -> SampleColumn:
    numbers = _numbers(cells, decimal_comma=decimal_comma)
    if numbers is not None and not _are_few(numbers):
        return SampleColumn(name, (), np.empty(0, dtype=np.int64), numbers)
    if numbers is None:
        texts = [printable(cell, None) for cell in cells]
        words = tuple(sorted(set(texts) - {""}))
    else:
        texts = ["" if np.isnan(value) else str(int(value)) for value in numbers.tolist()]
        words = tuple(sorted(set(texts) - {""}, key=int))
    code = {word: number for number, word in enumerate(words)} | {"": NO_WORD}
    return SampleColumn(name, words, np.array([code[text] for text in texts], dtype=np.int64))


def _numbers(cells: list[str], *, decimal_comma: bool) -> NDArray[np.float64] | None:
    """Return the numbers of a column; `None` if a cell holds something else, or all are empty."""
    found = [cell.replace(",", ".") if decimal_comma else cell for cell in cells]
    if not any(found) or any(cell and _NUMBER.fullmatch(cell) is None for cell in found):
        return None
    return np.array([float(cell) if cell else np.nan for cell in found], dtype=np.float64)


def _are_few(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers are categories."""
    known = numbers[~np.isnan(numbers)]
    whole = bool(len(known)) and bool((np.isfinite(known) & (known == np.floor(known))).all())
    return whole and len(np.unique(known)) <= _FEW
