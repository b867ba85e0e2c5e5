"""First batch of a data set or a generator in Python, by its protocol alone: no library of data sets is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import SampleError


@dataclass(frozen=True)
class FirstBatch:
    """The first element that a data set yields.

    Attributes
    ----------
    x
        The samples: an array, or one for each input.
    labels
        ``(N,)``: the true classes, if the element has some: whole numbers, or one-hot vectors.
    classes
        Names of the classes, if the data set has them, as `keras.utils.image_dataset_from_directory` gives them.
    """

    x: Any
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] | None = None


def first_batch(x: Any) -> FirstBatch | None:
    """Return the first element of a data set, generator or loader; `None` for arrays, texts and names of samples.

    An element is the samples, or a tuple of samples, labels and perhaps weights, as for `keras.Model.fit`. An element
    without the axis of samples is one sample.

    Raises
    ------
    SampleError
        If there is no element.
    """
    if x is None or isinstance(x, str | bytes | Path | list | tuple | Mapping):
        return None
    if any(hasattr(x, name) for name in ("__array__", "shape", "dtype")):
        return None
    if not isinstance(x, Iterable) and not hasattr(x, "__getitem__"):  # a PyDataset of Keras has only items
        return None
    element = next(iter(x), None)
    if element is None:
        raise SampleError("x yields no samples; expected a data set with at least one batch.")
    names = getattr(x, "class_names", None)
    classes = tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else None
    if not isinstance(element, tuple):
        return FirstBatch(element, classes=classes)
    return FirstBatch(element[0], labels_in(element[1]) if len(element) > 1 else None, classes)


def labels_in(y: Any) -> NDArray[np.int64] | None:
    """Return the true classes in the targets of a batch, ``(N,)``: whole numbers or one-hot vectors; `None` for others."""
    if isinstance(y, Mapping | list | tuple) or y is None:
        return None
    values = np.asarray(y)
    if values.dtype.kind not in "biuf" or not values.size:
        return None
    if values.ndim == 2 and values.shape[1] > 1:
        hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        return values.argmax(axis=1).astype(np.int64) if hot else None
    whole = values.dtype.kind != "f" or (values == np.floor(values)).all()
    if (values.ndim > 1 and values.shape[1:] != (1,)) or not whole or values.min() < 0:
        return None
    return values.reshape(-1).astype(np.int64)


def is_data_frame(x: Any) -> bool:
    """Whether a value is a table of pandas, or one that behaves like it."""
    return all(hasattr(x, name) for name in ("columns", "to_numpy", "to_csv"))
