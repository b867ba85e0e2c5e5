"""Reader of tables in text files: one sample on each line, with the names of the columns on the first line or without."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.text_files import whole_text
from nnviz3d.data.printable import printable
from nnviz3d.errors import SampleError

LABELS = ("label", "labels", "class", "target", "y")
"""Names of a column that holds the true class of each sample."""
_DELIMITERS = ",;\t|"
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes
    ----------
    file
        Name of the file, for sentences.
    columns
        Names of the columns; `None` if the file gives none.
    rows
        The cells of each line, all with as many cells.
    lines
        Number of each row's line in the file, from 1.
    decimal_comma
        Whether ``3,5`` is a number, in a file whose columns are separated by semicolons.
    """

    file: str
    columns: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    decimal_comma: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def label_column(self, inputs: Sequence[str] = ()) -> int | None:
        """Return the position of the column of true classes; `None` if there is none.

        It is the column with a usual name, such as ``label``. For a model with one input, whose columns have no names of
        the model, it is also the only column of text beside numbers.

        Parameters
        ----------
        inputs
            Names of the model's inputs: a column for one of them holds no classes.
        """
        names = [name.casefold() for name in self.columns or ()]
        taken = {name.casefold() for name in inputs}
        told = next((names.index(name) for name in LABELS if name in names and name not in taken), None)
        if told is not None or len(inputs) > 1 or taken & set(names) or self.width < 2 or self.columns is None:
            return told
        return self._texts[0] if len(self._texts) == 1 else None

    @cached_property
    def _texts(self) -> tuple[int, ...]:
        """Positions of the columns whose first cell is text."""
        return tuple(i for i, cell in enumerate(self.rows[0]) if cell and not self._is_number(cell))

    def text(self, column: int, rows: range) -> NDArray[np.str_]:
        """Return the cells of a column, ``(n,)``."""
        return np.array([self.rows[i][column] for i in rows])

    def numbers(self, column: int, rows: range) -> NDArray[np.float64]:
        """Return the numbers of a column, ``(n,)``; ``true`` and ``false`` are 1 and 0.

        Raises
        ------
        SampleError
            If a cell is empty or no number.
        """
        return np.array([self._number(self.rows[i][column], i, column) for i in rows], dtype=np.float64)

    def labels(
        self, rows: range, inputs: Sequence[str] = ()
    ) -> tuple[NDArray[np.int64], tuple[str, ...] | None] | None:
        """Return the true class of each row, and the names of the classes if the file names them.

        Parameters
        ----------
        inputs
            Names of the model's inputs: a column for one of them holds no classes.
        """
        column = self.label_column(inputs)
        if column is None:
            return None
        cells = [row[column] for row in self.rows]
        try:
            numbers = np.array([self._plain(cell) for cell in cells])
        except ValueError:
            classes = tuple(sorted(set(cells)))
            return np.array([classes.index(cells[i]) for i in rows], dtype=np.int64), classes
        whole = np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all() and numbers.min() >= 0
        return (numbers[rows.start : rows.stop].astype(np.int64), None) if whole else None

    def name_of(self, column: int) -> str:
        """Return a column's name, or its number from 1, for sentences."""
        return f"column {column + 1}" if self.columns is None else f"column {self.columns[column]}"

    def _number(self, cell: str, row: int, column: int) -> float:
        where = f"{self.file}, line {self.lines[row]:,}"
        if not cell:
            raise SampleError(f"{where}: the {self.name_of(column)} is empty; the model needs a number there.")
        try:
            found = self._plain(cell)
        except ValueError:
            raise SampleError(
                f"{where}: the {self.name_of(column)} holds {printable(cell, 40)!r}; the model needs a number there."
            ) from None
        if not np.isfinite(found):
            raise SampleError(
                f"{where}: the {self.name_of(column)} holds {cell}; the model needs a finite number there."
            )
        return found

    def _is_number(self, cell: str) -> bool:
        try:
            self._plain(cell)
        except ValueError:
            return False
        return True

    def _plain(self, cell: str) -> float:
        if cell.casefold() in _TRUTH:
            return _TRUTH[cell.casefold()]
        return float(cell.replace(",", ".") if self.decimal_comma else cell)


def read_table(path: Path) -> Table:
    """Read a table. Its columns are separated by commas, semicolons, tabs or bars, as its first line shows.

    A first line of numbers alone is a sample, unless the numbers count the columns. A first column without a name, in which
    pandas stores its index, is left out.

    Raises
    ------
    SampleError
        If the file cannot be read, holds no samples, or its lines have different numbers of columns.
    """
    text = whole_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend((reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row)))
    except csv.Error as error:
        raise SampleError(f"{path.name}, line {reader.line_num:,}, is no line of a table: {error}.") from None
    if not found:
        raise SampleError(f"{path.name} holds no table; expected names of columns and one sample on each line.")
    head = found[0][1]
    named = not all(map(_is_number, head)) or head == [str(i) for i in range(len(head))]
    rows = found[1:] if named else found
    if not rows:
        raise SampleError(f"{path.name} holds the names of columns and no sample; add a line for each sample.")
    for line, row in rows:
        if len(row) != len(head):
            raise SampleError(
                f"{path.name}, line {line:,}, has {len(row):,} values; the first line has {len(head):,} columns."
            )
    skipped = int(named and len(head) > 1 and (not head[0] or head[0] == "Unnamed: 0"))
    columns = tuple(printable(name) for name in head[skipped:]) if named else None
    twice = next((name for name in columns or () if (columns or ()).count(name) > 1), None)
    if twice is not None:
        raise SampleError(f"{path.name} has several columns called {twice!r}; give each a name of its own.")
    cells = tuple(tuple(row[skipped:]) for _, row in rows)
    return Table(path.name, columns, cells, tuple(line for line, _ in rows), delimiter == ";")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
