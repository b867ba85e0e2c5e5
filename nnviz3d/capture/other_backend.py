"""Live models on another backend of Keras than TensorFlow: a copy of the model runs in a process with TensorFlow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.files.array_files import as_array
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.json_lines import read_event, to_line
from nnviz3d.data.printable import reason
from nnviz3d.data.request import NOTHING_MORE, CaptureRequest, Crashed, Finished, Insights, Preprocessing, Refused
from nnviz3d.data.sample_sources import named_sources
from nnviz3d.errors import ModelError, Nnviz3dError, SampleError, UserError
from nnviz3d.parent_process import PARENT, end_process, run_module
from nnviz3d.stopping import DelayedSignals

_GRACE = 15.0
"""Seconds that the process has to clean up before it is killed."""


def other_backend(model: Any) -> str | None:
    """Return the backend of a live Keras model; `None` for TensorFlow, and for what is no model of Keras 3."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(model, getattr(keras, "Model", ())):
        return None
    backend = str(keras.config.backend())
    return None if backend == "tensorflow" else backend


@dataclass(frozen=True)
class SavedCopy:
    """Files with a copy of a live model and of its samples.

    Attributes
    ----------
    model
        The model file.
    inputs
        Values of ``--input``: the file of samples, or the names that the caller gave.
    custom
        The classes and functions that the file needs, ``module:object``.
    trust
        Whether the file contains code, which is the caller's own.
    note
        The sentence that tells that a copy runs with TensorFlow.
    """

    model: Path
    inputs: tuple[str, ...]
    custom: tuple[str, ...]
    trust: bool
    note: str


def save_copy(model: Any, x: Any, labels: Any, folder: Path) -> SavedCopy:
    """Save a live model and its samples.

    Parameters
    ----------
    model, x, labels
        As for `nnviz3d.capture`.
    folder
        The folder for the files.

    Raises
    ------
    ModelError
        If the model cannot be saved, or has classes that no other process can import.
    SampleError
        If the samples cannot be read.
    """
    from nnviz3d.capture.loading.model_archive import read_model_file
    from nnviz3d.capture.loading.needed_code import live_objects, needed_code

    backend = other_backend(model)
    name = f"{type(model).__name__} {model.name!r}"
    path = folder / f"{re.sub(r'[^0-9A-Za-z_.-]', '_', model.name)[:60]}.keras"
    try:
        model.save(path)
    except Exception as error:  # Keras may raise any error for a model that it cannot save
        raise ModelError(
            f"{name} runs on {backend}, so a copy has to run with TensorFlow, but it cannot be saved: {reason(error)} "
            "Run the program with KERAS_BACKEND=tensorflow."
        ) from error
    objects = live_objects(model)
    code = needed_code(read_model_file(path).config)
    custom = tuple(
        _importable(objects.get(str(one.name)), str(one.name), name, backend) for one in code if not one.is_held
    )
    return SavedCopy(
        path,
        _save_samples(model, x, labels, folder),
        custom,
        any(one.is_held for one in code),
        f"{name} runs on {backend}; a copy of it was run with TensorFlow, whose numbers may differ in the last digits.",
    )


def capture_copy(
    model: Any,
    x: Any = None,
    *,
    out: Path | str = "capture.zarr",
    preprocess: Preprocessing | None = None,
    classes: Iterable[str] | None = None,
    labels: Any = None,
    all_weights: bool = False,
    top_k: int = 256,
    seed: int = 0,
    insights: Insights = NOTHING_MORE,
) -> Capture:
    """Capture a copy of a live model in a process with TensorFlow; parameters and errors as `nnviz3d.capture`."""
    with temporary_folder() as folder:
        copy = save_copy(model, x, labels, folder)
        if classes is not None:
            (folder / "classes.txt").write_text("\n".join(map(str, classes)), encoding="utf-8")
        request = CaptureRequest(
            model=str(copy.model),
            inputs=copy.inputs,
            out=Path(out),
            preprocess=preprocess,
            all_weights=all_weights,
            classes=None if classes is None else folder / "classes.txt",
            trust=copy.trust,
            custom=copy.custom,
            top_k=top_k,
            seed=seed,
            insights=insights,
            notes=(copy.note,),
        )
        _run(request)
    return open_capture(out)


def _run(request: CaptureRequest) -> None:
    """Execute a request in a capture process of its own, which imports modules from where this program does."""
    environment = {
        **os.environ,
        PARENT: str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(one or os.getcwd() for one in sys.path),
    }
    with DelayedSignals():
        process = subprocess.Popen(
            run_module("nnviz3d.capture.process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
        )
    try:
        answers, _ = process.communicate(to_line(request) + "\n")
    finally:  # after Ctrl-C the process removes what is unfinished
        with DelayedSignals():
            end_process(process, _GRACE)
    lines = answers.splitlines()
    last = read_event(lines[-1]) if lines else None
    if isinstance(last, Refused):
        raise UserError(last.message)
    if not isinstance(last, Finished):
        why = last.traceback if isinstance(last, Crashed) else f"exit code {process.returncode}"
        raise Nnviz3dError(f"The process that runs the copy of the model died: {why}")


def _importable(found: Any, label: str, name: str, backend: str | None) -> str:
    """Return the name ``module:object`` by which another process imports a class or function of a model."""
    module, path = getattr(found, "__module__", None), getattr(found, "__qualname__", "")
    if module in {None, "__main__"} or not all(part.isidentifier() for part in path.split(".")):
        raise ModelError(
            f"{name} runs on {backend}, so a copy of it has to run with TensorFlow, but no other process can import its "
            f"{label}; move that to a module of its own, or run the program with KERAS_BACKEND=tensorflow."
        )
    return f"{module}:{path}"


def _save_samples(model: Any, x: Any, labels: Any, folder: Path) -> tuple[str, ...]:
    """Write samples to a file, unless they are named; return the values of ``--input``."""
    named = named_sources(x)
    if named is not None:
        if labels is not None:
            raise SampleError(
                "labels go with arrays; pictures and other samples that are named have their own or none."
            )
        return named
    arrays: dict[str, Any] = {} if labels is None else {"y": np.asarray(labels)}
    given = [_array(one) for one in x.values()] if isinstance(x, Mapping) else _in_order(model, x)
    names = list(x) if isinstance(x, Mapping) else [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    if len(given) == 1 or len(names) != len(given):
        names = ["x"] if len(given) == 1 else [f"input_{position}" for position in range(len(given))]
    arrays |= zip(map(str, names), given, strict=True)
    np.savez(folder / "x.npz", **arrays)
    return (str(folder / "x.npz"),)


def _in_order(model: Any, x: Any) -> list[NDArray[Any]]:
    """Return the arrays of samples, one for each input of the model."""
    several = len(getattr(model, "inputs", None) or ()) > 1
    return [_array(one) for one in x] if several and isinstance(x, Sequence) else [_array(x)]


def _array(x: Any) -> NDArray[Any]:
    import keras

    values = as_array(keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else x)
    return values.astype(np.float32) if values.dtype == np.float64 else values
