"""Rows of a table as samples: columns go to the inputs of the same name, or all of them to the one input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.files.picture_arrays import pictures_from
from nnviz3d.data.files.table_files import Table, read_table
from nnviz3d.data.printable import folded, printable
from nnviz3d.data.sample_sources import is_series, series_name
from nnviz3d.data.source_names import SampleFile
from nnviz3d.errors import SampleError

_SHOWN = 12
"""Most columns that a sentence lists."""


def table_samples(located: SampleFile, specs: Sequence[InputSpec]) -> Samples:
    """Read the rows of a table.

    Raises
    ------
    SampleError
        If the table is damaged, lacks a column, or holds what an input does not take.
    """
    table = read_table(located.path)
    rows = located.chosen(len(table.rows))
    if is_series(table, rows, [spec.accepted for spec in specs]):
        return _series(table, specs[0], rows, series_name(located))
    columns = _by_name(table, specs)
    if columns is None:
        if len(specs) > 1:
            raise SampleError(_lacking(table, specs))
        samples = _whole_rows(table, specs[0], rows)
        used = set(range(table.width))
    else:
        used = set(columns)
        arrays = [
            _cells(table, [column], spec, rows).reshape(len(rows), *_sizes(spec))
            for spec, column in zip(specs, columns, strict=True)
        ]
        samples = Samples(tuple(arrays), _names(located, rows), (False,) * len(specs))
    labels = table.labels(rows, [spec.name for spec in specs])
    label = table.label_column([spec.name for spec in specs])
    if labels is not None and label is not None:
        used.add(label)
        samples = replace(samples, labels=labels[0], classes=labels[1])
    extra = [table.name_of(i).removeprefix("column ") for i in range(table.width) if i not in used]
    if extra:
        are = "are no inputs of the model and are" if len(extra) > 1 else "is no input of the model and is"
        samples = replace(samples, notes=((f"{table.file}: {_listed(extra)} {are} not read.",),) * len(rows))
    return samples


def _by_name(table: Table, specs: Sequence[InputSpec]) -> list[int] | None:
    """Return the column of each input, by its name; `None` if an input has none of its own."""
    known = {folded(name): i for i, name in reversed(list(enumerate(table.columns or ())))}
    found = [known.get(folded(spec.name)) for spec in specs]
    single = all(math.prod(_sizes(spec)) == 1 for spec in specs)
    return [i for i in found if i is not None] if single and None not in found else None


def _whole_rows(table: Table, spec: InputSpec, rows: range) -> Samples:
    """Return rows whose cells are the numbers of the one input, in order; a column of classes may stand among them."""
    columns = list(range(table.width))
    sizes = _sizes(spec)
    size = math.prod(sizes) if None not in spec.accepted else None
    label = table.label_column([spec.name])
    if label is not None and len(columns) != size:
        columns.remove(label)
    if size is None and len(spec.shape) == 1:
        size, sizes = len(columns), (len(columns),)
    if len(columns) != size:
        named = table.columns is not None
        held = f" ({_listed([table.name_of(i).removeprefix('column ') for i in columns])})" if named else ""
        beside = "" if label is None or label in columns else f" beside its {table.name_of(label)}"
        steps = spec.shape[0] if len(spec.shape) == 2 and spec.shape[1] == table.width else None
        way = f", or {steps:,} lines of {table.width:,}, as in {table.file}[0:{steps}]" if steps else ""
        raise SampleError(
            f"{table.file} has {len(columns):,} columns{held}{beside}; the model's input {spec.name!r} takes "
            f"{_numbers_in(spec)} a sample, one from each column{way}."
        )
    values = _cells(table, columns, spec, rows).reshape(len(rows), *sizes)
    names = tuple(table.columns[i] for i in columns) if table.columns is not None else None
    shown = pictures_from(values, spec.axes) if len(spec.shape) > 1 else None
    return Samples(
        (values,),
        tuple(f"{table.file}[{i}]" for i in rows),
        (False,),
        {} if shown is None else {spec.name: shown},
        columns={spec.name: names} if names is not None and len(sizes) == 1 else {},
    )


def _series(table: Table, spec: InputSpec, rows: range, name: str) -> Samples:
    """Return lines as the time steps of one sample."""
    values = _cells(table, list(range(table.width)), spec, rows)[None]
    named = {} if table.columns is None else {spec.name: table.columns}
    return Samples((values,), (name,), (False,), columns=named)


def _cells(table: Table, columns: Sequence[int], spec: InputSpec, rows: range) -> NDArray[Any]:
    """Return the cells of some columns as an input takes them, ``(n, columns)``."""
    if spec.dtype == "string":
        return np.stack([table.text(column, rows) for column in columns], axis=1)
    values = np.stack([table.numbers(column, rows) for column in columns], axis=1)
    if "int" in spec.dtype and not (values == np.floor(values)).all():
        _, column = np.argwhere(values != np.floor(values))[0]
        raise SampleError(
            f"{table.file}: the {table.name_of(columns[column])} holds fractions, but the model's input {spec.name!r} "
            "takes whole numbers; round them first."
        )
    return values.astype(spec.dtype if "int" in spec.dtype else np.float32)


def _sizes(spec: InputSpec) -> tuple[int, ...]:
    return tuple(n or 1 for n in spec.shape)


def _names(located: SampleFile, rows: range) -> tuple[str, ...]:
    return tuple(f"{located.path.name}[{i}]" for i in rows)


def _lacking(table: Table, specs: Sequence[InputSpec]) -> str:
    """Return the sentence that names the inputs without a column."""
    if table.columns is None:
        return (
            f"{table.file} does not name its columns; its first line has to, because the model has the inputs "
            f"{_listed([spec.name for spec in specs])}."
        )
    known = set(map(folded, table.columns))
    missing = [spec.name for spec in specs if folded(spec.name) not in known]
    if not missing:
        wide = [spec.name for spec in specs if math.prod(_sizes(spec)) != 1]
        return (
            f"{table.file} has one number a sample for {_listed(wide)}, where the model takes more; give an .npz file with "
            "an array for each input."
        )
    return (
        f"{table.file} has no column for the input{'s' * (len(missing) > 1)} {_listed(missing)}; its columns are "
        f"{_listed(table.columns)}."
    )


def _numbers_in(spec: InputSpec) -> str:
    size = math.prod(_sizes(spec))
    return f"{size:,} number{'s' * (size != 1)}" if None not in spec.accepted else f"samples of {spec.accepted}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name, 40) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
