"""The limit on memory for the variables of a model that is being built."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.errors import ModelError


@contextmanager
def variables_within_limit(name: str) -> Iterator[None]:
    """Refuse a variable before it takes memory if all variables made inside the context would exceed the limit.

    A few characters of an architecture can describe a layer of any size.

    Parameters
    ----------
    name
        Name of the model for the sentence.

    Raises
    ------
    ModelError
        If a variable is refused.
    """
    kept = vars(keras.Variable).get("__init__")
    initialize = keras.Variable.__init__
    total = 0

    def counted(self: keras.Variable, initializer: Any, shape: Any = None, dtype: Any = None, **options: Any) -> None:
        nonlocal total
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        if all(isinstance(size, int) for size in sizes):  # Keras itself refuses any other shape
            total += math.prod(sizes) * tf.as_dtype(keras.backend.standardize_dtype(dtype)).size
            check_size(f"The model in {name}", total, ModelError)
        initialize(self, initializer, shape, dtype, **options)

    keras.Variable.__init__ = counted
    try:
        yield
    finally:
        if kept is None:
            del keras.Variable.__init__
        else:
            keras.Variable.__init__ = kept
