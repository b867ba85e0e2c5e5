"""Arrays, from files or from the user, as samples in the shapes of a model's inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows, RowsOnDemand, converted, few_in_memory, ranges
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.axes import Axes
from nnviz3d.data.files.array_files import ArrayFile, batch_shape
from nnviz3d.data.files.picture_arrays import PictureShape, pictures_from
from nnviz3d.data.source_names import SampleFile
from nnviz3d.errors import SampleError

_EXTRA = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2"})
"""Types of numbers that other packages add to NumPy, and that float32 represents exactly."""
_SEARCHED = 2**28
"""Most bytes of an array in a file that are read to find its range; of a larger array, samples spread evenly are read."""
Span = tuple[float, float]
"""The smallest and the largest of some numbers, NaN if one is NaN."""


def file_samples(located: SampleFile, specs: Sequence[InputSpec]) -> Samples:
    """Read the samples in a ``.npy`` or ``.npz`` file, or only the requested rows.

    Raises
    ------
    SampleError
        If the file is damaged or has too few rows, or an array is missing or does not fit.
    """
    file, name = ArrayFile(located.path), located.path.name
    keys = file.arrays_for([spec.name for spec in specs])
    _check_number(keys, specs, name)
    heads = [file.headers[key] for key in keys]
    fits = [_fitting(head.shape, head.dtype, spec, name) for head, spec in zip(heads, specs, strict=True)]
    count = _count(fits, specs, name)
    rows = located.chosen(count)
    arrays = [_rows_in(file, key, rows, fit) for key, fit in zip(keys, fits, strict=True)]
    key = file.labels()
    truth = None
    if key is not None and len(file.headers[key].shape) > 2 and file.headers[key].shape[0] == count:
        truth = _rows_in(file, key, rows, file.headers[key].shape)
    labels = file.read(key).reshape(-1) if key is not None and truth is None else None
    known = labels is not None and labels.size == count and labels.dtype.kind in "iu"
    alone = count == 1 and located.rows is None
    some = len(rows) < count
    spans = [_span_in(file, key, fit) if some else None for key, fit in zip(keys, fits, strict=True)]
    return _samples(
        arrays,
        specs,
        (name,) if alone else tuple(f"{name}[{i}]" for i in rows),
        labels[rows.start : rows.stop].astype(np.int64) if labels is not None and known else None,
        truth,
        spans,
    )


def array_samples(
    data: NDArray[Any] | Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]],
    specs: Sequence[InputSpec],
    name: str,
) -> Samples:
    """Make samples from one array, or from an array for each input, by name or in order.

    Parameters
    ----------
    data
        A batch ``(N, *shape)`` for each input, or a single sample ``shape``. Arrays of bytes in the shape of pictures
        are pictures, to be preprocessed; other arrays are used as they are.
    name
        Name of the samples.

    Raises
    ------
    SampleError
        If an array is missing or does not fit.
    """
    if isinstance(data, Mapping):
        given = [data[spec.name] for spec in specs]
    else:
        given = [data] if isinstance(data, np.ndarray) else list(data)
    _check_number(given, specs, name)
    arrays = [np.asarray(array) for array in given]
    fits = [_fitting(array.shape, array.dtype, spec, name) for array, spec in zip(arrays, specs, strict=True)]
    count = _count(fits, specs, name)
    return _samples(
        [array.reshape(fit) for array, fit in zip(arrays, fits, strict=True)],
        specs,
        (name,) if count == 1 else tuple(f"{name}[{i}]" for i in range(count)),
    )


def _rows_in(file: ArrayFile, key: str, rows: range, fit: tuple[int, ...]) -> Rows:
    """Return some rows of an array in a file as samples ``(n, *fit[1:])``, which are read in ranges if they are large."""
    shape, dtype = (len(rows), *fit[1:]), file.headers[key].dtype
    if fit[0] == 1 or not file.reads_rows(key):
        # A single sample may come without the axis of samples.
        return file.read(key, None if fit[0] == 1 else rows).reshape(shape)

    def read(start: int, stop: int) -> NDArray[Any]:
        return file.read(key, range(rows.start + start, rows.start + stop)).reshape(stop - start, *fit[1:])

    read(len(rows) - 1, len(rows))  # a file that is cut short is refused at once
    return few_in_memory(RowsOnDemand(shape, dtype, read))


def _samples(
    arrays: Sequence[Rows],
    specs: Sequence[InputSpec],
    names: tuple[str, ...],
    labels: NDArray[np.int64] | None = None,
    truth: Rows | None = None,
    spans: Sequence[Span | None] = (),
) -> Samples:
    """Make samples of arrays.

    Parameters
    ----------
    spans
        For each input, the range of the array that the samples are only a part of; `None` if they are all of it.
    """
    arrays = [
        converted(array, lambda values: values.astype(np.float32)) if array.dtype.name in _EXTRA else array
        for array in arrays
    ]
    for array, spec in zip(arrays, specs, strict=True):
        if "int" in spec.dtype and array.dtype.kind == "f" and not all(map(_is_whole, _parts(array))):
            raise SampleError(
                f"{names[0]} holds fractions, but the model's input {spec.name!r} takes whole numbers ({spec.dtype}); "
                "round them first, array.round()."
            )
    found = {
        spec.name: (span or span_of(array))
        for array, spec, span in zip(arrays, specs, spans or [None] * len(arrays), strict=True)
        if _may_be_pictures(array.shape, array.dtype, spec)
    }
    ranged = {name: span for name, span in found.items() if span is not None}
    shown = {spec.name: _shown(array, spec, ranged.get(spec.name)) for array, spec in zip(arrays, specs, strict=True)}
    return Samples(
        tuple(arrays),
        names,
        tuple(_is_picture(array, spec) for array, spec in zip(arrays, specs, strict=True)),
        {key: value for key, value in shown.items() if value is not None},
        labels,
        truth=truth if truth is not None and truth.dtype.kind in "biuf" else None,
        spans=ranged,
    )


def _parts(rows: Rows) -> Iterator[NDArray[Any]]:
    """Read all samples, range by range."""
    return (rows[part] for part in ranges(rows))


def _is_whole(values: NDArray[Any]) -> bool:
    return np.array_equal(values, np.trunc(values))


def _may_be_pictures(shape: tuple[int, ...], dtype: np.dtype[Any], spec: InputSpec) -> bool:
    """Whether an array has the shape of pictures, and holds numbers."""
    return PictureShape.of(shape[1:], spec.axes) is not None and dtype.kind in "uif"


def _shown(rows: Rows, spec: InputSpec, span: Span | None) -> Rows | None:
    """Return samples as pictures for people; `None` if they are none."""
    if span is None or pictures_from(rows[:1], spec.axes, span) is None:
        return None
    return converted(rows, lambda values: _as_pictures(values, spec.axes, span))


def span_of(rows: Rows) -> Span | None:
    """Return the smallest and the largest number of all samples; `None` if there are no numbers."""
    return _span(_parts(rows))


def _span(parts: Iterable[NDArray[Any]]) -> Span | None:
    ends = [(float(part.min()), float(part.max())) for part in parts if part.size]
    if not ends:
        return None
    # A minimum of Python's would lose a NaN.
    return float(np.min([low for low, _ in ends])), float(np.max([high for _, high in ends]))


def _span_in(file: ArrayFile, key: str, fit: tuple[int, ...]) -> Span | None:
    """Return the range of an array in a file, whatever samples of it are taken; `None` if it would take too long."""
    status = file.path.stat()
    return _kept_span(file.path.absolute(), key, fit, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _kept_span(path: Path, key: str, fit: tuple[int, ...], modified: int, size: int) -> Span | None:
    """Return the range of an array in a file that was modified at a time, in nanoseconds, and has a size in bytes."""
    del modified, size
    file = ArrayFile(path)
    dtype = file.headers[key].dtype
    total = math.prod(fit) * dtype.itemsize
    if dtype.kind not in "uif" and dtype.name not in _EXTRA:
        return None
    if total > _SEARCHED and not file.reads_rows(key):
        return None
    rows = _rows_in(file, key, range(fit[0]), fit)
    step = math.ceil(total / _SEARCHED)
    parts = _parts(rows) if step <= 1 else (rows[i : i + 1] for i in range(0, fit[0], step))
    return _span(part.astype(np.float32) if dtype.name in _EXTRA else part for part in parts)


def _as_pictures(values: NDArray[Any], axes: Axes, span: tuple[float, float]) -> NDArray[np.uint8]:
    found = pictures_from(values, axes, span)
    if found is None:
        raise SampleError(f"Samples of the shape {values.shape[1:]} are no pictures.")
    return found


def _check_number(arrays: Sequence[Any], specs: Sequence[InputSpec], name: str) -> None:
    if len(arrays) != len(specs):
        names = ", ".join(spec.name for spec in specs)
        way = "; give an .npz file with an array of each name" if name.endswith(".npy") else ""
        raise SampleError(
            f"{name} gives {len(arrays)} array{'s' * (len(arrays) != 1)}; the model has {len(specs)} "
            f"input{'s' * (len(specs) != 1)}: {names}{way}."
        )


def _fitting(shape: tuple[int, ...], dtype: np.dtype[Any], spec: InputSpec, name: str) -> tuple[int, ...]:
    """Return the shape ``(N, *shape)`` of an array as the model's input."""
    numbers, text = dtype.kind in "biuf" or dtype.name in _EXTRA, dtype.kind in "US"
    if spec.dtype == "string" and not text:
        raise SampleError(f"{name} holds {dtype}; the model's input {spec.name!r} takes text: an array of str.")
    if spec.dtype != "string" and not numbers:
        held = "text" if text else str(dtype)
        raise SampleError(f"{name} holds {held}; expected numbers for the input {spec.name!r}.")
    fit = batch_shape(shape, spec.shape) or batch_shape(shape, spec.accepted)
    if fit is None:
        comma = "," * (len(spec.shape) == 1)
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in spec.accepted) + comma + ")"
        raise SampleError(
            f"{name} has the shape {shape}; the model's input {spec.name!r} takes samples of {wanted}, one or a batch "
            "of them."
        )
    return fit


def _count(fits: Sequence[tuple[int, ...]], specs: Sequence[InputSpec], name: str) -> int:
    """Return the number of samples, which must be the same for every input."""
    counts = {fit[0] for fit in fits}
    if len(counts) != 1:
        raise SampleError(
            f"{name} gives {', '.join(f'{fit[0]} for {s.name!r}' for fit, s in zip(fits, specs, strict=True))}; "
            "expected as many samples for every input."
        )
    count = counts.pop()
    if count == 0:
        raise SampleError(f"{name} holds no samples; its shape is {fits[0]}. Give one at least.")
    return count


def _is_picture(array: Rows, spec: InputSpec) -> bool:
    return (
        array.dtype == np.uint8
        and spec.dtype.startswith(("float", "bfloat"))
        and PictureShape.of(array.shape[1:], spec.axes) is not None
    )
