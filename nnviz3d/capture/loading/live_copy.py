"""Live models as loaded ones: a model of Keras 3 is itself, a model of Keras 2 is copied into Keras 3 through a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.loading.keras_file import load_file
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.loading.model_archive import read_model_file
from nnviz3d.capture.loading.model_kind import check_model, keras_2_package
from nnviz3d.capture.loading.needed_code import live_objects, needed_code
from nnviz3d.capture.programs.flat_program import Inputs
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

_WAY = (
    "Build the same model with `import keras` (Keras 3, TF_USE_LEGACY_KERAS unset), and copy its weights: "
    "new.set_weights(old.get_weights())."
)
_CLOSE = 1e-3
"""Largest difference of an output between both versions, relative to its largest number; float32 gives 1e-6 to 1e-4."""


def loaded_from(model: Any) -> LoadedModel:
    """Return a live model as a loaded one.

    Raises
    ------
    ModelError
        If it is no Keras model, or a model of Keras 2 that Keras 3 cannot run.
    """
    name = f"{type(model).__name__} {getattr(model, 'name', '')!r}"
    if is_of_keras_2(model):
        return replace(_copied(model, name), name=name, sha256=None)
    check_model(model)
    return LoadedModel(model, name)


def is_of_keras_2(model: object) -> bool:
    """Whether a live model is one of Keras 2."""
    return keras_2_package(type(model)) is not None and callable(getattr(model, "save", None))


def check_copy(original: Any, copy: keras.Model, inputs: Inputs, arrays: Sequence[Rows]) -> None:
    """Refuse a copy of a model of Keras 2 that computes other numbers than the original.

    Parameters
    ----------
    arrays
        Samples ``(N, *shape)`` for each input; the first of them is used.

    Raises
    ------
    ModelError
        If an output differs, unless the original itself gives two answers.
    """
    pairs = zip(arrays, inputs.specs, strict=True)
    given = [array[:1] if spec.dtype == "string" else array[:1].astype(spec.dtype) for array, spec in pairs]
    names = getattr(original, "input_names", None) or [spec.name for spec in inputs.specs]
    by_name = {spec.name: array for spec, array in zip(inputs.specs, given, strict=True)}
    ordered = [by_name[name] for name in names] if set(names) == set(by_name) else given
    known = _outputs(original, ordered if len(ordered) > 1 else ordered[0])
    again = _outputs(original, ordered if len(ordered) > 1 else ordered[0])
    if not all(np.array_equal(one, other, equal_nan=True) for one, other in zip(known, again, strict=True)):
        return  # the model draws random numbers
    computed = _outputs(copy, keras.tree.pack_sequence_as(inputs.structure, given))
    for position, (one, other) in enumerate(zip(known, computed, strict=True)):
        largest = np.abs(one).max(initial=0.0)
        if one.shape != other.shape or not np.allclose(one, other, rtol=0, atol=_CLOSE * largest, equal_nan=True):
            raise ModelError(
                f"{type(original).__name__} {original.name!r} is a model of Keras 2, and Keras 3 computes other numbers "
                f"at its output {position}. {_WAY}"
            )


def _outputs(model: Callable[..., Any], x: Any) -> list[NDArray[np.float64]]:
    """Return a model's numerical outputs without training."""
    found = [np.asarray(output) for output in keras.tree.flatten(model(x, training=False))]
    return [output.astype(np.float64) for output in found if output.dtype.kind in "fiub"]


def _copied(model: Any, name: str) -> LoadedModel:
    """Save a model of Keras 2 to a temporary file, and load that with Keras 3."""
    if not getattr(model, "built", False):
        raise ModelError(f"{name} is a model of Keras 2 that was never built; call it once on data, model(x), before.")
    problem: ModelError | None = None
    with temporary_folder() as folder:
        for ending in ("keras", "h5"):
            path = folder / f"model.{ending}"
            try:
                _save(model, path, name)
                return _loaded(model, path, name)
            except ModelError as error:
                problem = problem or error
    raise problem or ValueError("no form was tried")


def _save(model: Any, path: Path, name: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras 2 advises against .h5
            model.save(path)
    except Exception as error:  # Keras 2 may raise any error for a model that it cannot save in this form
        raise ModelError(f"{name} is a model of Keras 2 that cannot be saved ({reason(error)}) {_WAY}") from error


def _loaded(model: Any, path: Path, name: str) -> LoadedModel:
    file = replace(read_model_file(path), label=name, advice=_WAY)
    functions = {name: one for name, one in live_objects(model).items() if not isinstance(one, type)}
    missing = [str(one.name) for one in needed_code(file.config) if not one.is_held and one.name not in functions]
    if missing:
        raise ModelError(
            f"{name} is a model of Keras 2 with classes of its own, {', '.join(missing)[:200]}, which Keras 3 cannot run. "
            f"Let their modules import keras in place of tf_keras. {_WAY}"
        )
    # The model is the caller's own, so its Lambda layers are trusted.
    loaded = load_file(file, trust=True, custom=functions, beside=path)
    note = "The model is of Keras 2; a copy of it was run with Keras 3."
    return replace(loaded, notes=(note, *(one for one in loaded.notes if "trusted" not in one)))
