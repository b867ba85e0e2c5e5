"""Brings arrays, from files or from a user's own hands, to the shapes of a model's inputs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.graph import InputSpec
from nnviz3d.capture.pictures import PictureShape, shown_from
from nnviz3d.capture.sample_set import Samples
from nnviz3d.capture.words import reason
from nnviz3d.errors import SampleError

_COMMON = ("x", "images", "inputs", "x_test", "data")
_LABELS = ("labels", "y", "y_test", "label")


def load_array(path: Path) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """Read a ``.npy`` or ``.npz`` file, never by unpickling.

    Raises
    ------
    SampleError
        If it is damaged, or holds Python objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise SampleError(
                f"{path.name} holds Python objects or is no NumPy file; expected an array of numbers, saved with "
                f"numpy.save "
                "or numpy.savez. Nothing is ever unpickled."
            ) from None
        raise SampleError(f"{path.name} is damaged: {reason(error)}") from None
    except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise SampleError(f"{path.name} is no whole NumPy file: {reason(error)}") from None


def array_samples(
    data: NDArray[Any] | Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]],
    specs: Sequence[InputSpec],
    name: str,
) -> Samples:
    """Make samples of one array, of one for each input by name, or of one for each input in order.

    Parameters
    ----------
    data
        A batch ``(N, *shape)`` for each input, or a single sample ``shape``. Bytes that look like pictures are
        pictures and still want preprocessing; anything else is taken as it is.
    name
        What to call them: the file's name, or the argument's.

    Raises
    ------
    SampleError
        If an array is missing or does not fit.
    """
    labels: NDArray[Any] | None = None
    if isinstance(data, Mapping):
        arrays = _by_name(data, specs, name)
        labels = next((np.asarray(data[key]) for key in _LABELS if key in data), None)
    elif isinstance(data, np.ndarray):
        arrays = [data]
    else:
        arrays = [np.asarray(item) for item in data]
    if len(arrays) != len(specs):
        raise SampleError(
            f"{name} gives {len(arrays)} arrays; the model has {len(specs)} inputs: {', '.join(s.name for s in specs)}."
        )
    fitted = [fit_array(array, spec, name) for array, spec in zip(arrays, specs, strict=True)]
    counts = {len(array) for array in fitted}
    if len(counts) != 1:
        raise SampleError(
            f"{name} gives {', '.join(f'{len(a)} for {s.name!r}' for a, s in zip(fitted, specs, strict=True))}; "
            f"expected as "
            "many samples for every input."
        )
    count = counts.pop()
    if count == 0:
        raise SampleError(f"{name} holds no samples; its shape is {arrays[0].shape}.")
    pixels = tuple(_is_picture(a, s) for a, s in zip(fitted, specs, strict=True))
    shown = {spec.name: shown_from(array) for array, spec in zip(fitted, specs, strict=True)}
    truth = labels.reshape(-1) if labels is not None and labels.size == count and labels.dtype.kind in "iu" else None
    return Samples(
        tuple(fitted),
        (name,) if count == 1 else tuple(f"{name}[{i}]" for i in range(count)),
        pixels,
        {key: value for key, value in shown.items() if value is not None},
        None if truth is None else truth.astype(np.int64),
    )


def fit_array(array: NDArray[Any], spec: InputSpec, name: str) -> NDArray[Any]:
    """Bring an array to ``(N, *shape)`` of an input, adding only axes of length 1.

    Raises
    ------
    SampleError
        If it has another shape, or holds no numbers.
    """
    if array.dtype.kind not in "biuf" and not (spec.dtype == "string" and array.dtype.kind in "US"):
        if array.dtype.name not in {"bfloat16", "float8_e4m3fn", "float8_e5m2"}:
            raise SampleError(f"{name} holds {array.dtype}; expected numbers for the input {spec.name!r}.")
        array = array.astype(np.float32)
    for candidate in (array, array[None], array[..., None], array[None, ..., None]):
        found, wanted = candidate.shape[1:], spec.shape
        if (
            candidate.ndim
            and len(found) == len(wanted)
            and all(n is None or n == m for n, m in zip(wanted, found, strict=True))
        ):
            return candidate
    wanted_text = (
        "(" + ", ".join("any" if n is None else str(n) for n in spec.shape) + ("," * (len(spec.shape) == 1)) + ")"
    )
    raise SampleError(
        f"{name} has the shape {array.shape}; the model's input {spec.name!r} takes samples of {wanted_text}, one or "
        f"a batch "
        "of them."
    )


def _by_name(data: Mapping[str, NDArray[Any]], specs: Sequence[InputSpec], name: str) -> list[NDArray[Any]]:
    if all(spec.name in data for spec in specs):
        return [np.asarray(data[spec.name]) for spec in specs]
    if len(specs) == 1:
        rest = [key for key in data if key not in _LABELS]
        key = next((key for key in _COMMON if key in data), rest[0] if len(rest) == 1 else None)
        if key is not None:
            return [np.asarray(data[key])]
    held, wanted = ", ".join(data) or "nothing", ", ".join(spec.name for spec in specs)
    raise SampleError(f"{name} holds {held}; the model's inputs are called {wanted}.")


def _is_picture(array: NDArray[Any], spec: InputSpec) -> bool:
    return (
        array.dtype == np.uint8
        and spec.dtype.startswith(("float", "bfloat"))
        and PictureShape.of(array.shape[1:]) is not None
    )
