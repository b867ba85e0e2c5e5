"""Capture of a live model object, in the process of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.capture_model import capture_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.inputs.arrays import array_samples
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.loading.live_copy import check_copy, is_of_keras_2, loaded_from
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, expected_inputs
from nnviz3d.capture.programs.trace import with_axes
from nnviz3d.data.batches import first_batch, is_data_frame
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.files.array_files import as_array
from nnviz3d.data.request import NOTHING_MORE, Event, Insights, Preprocessing
from nnviz3d.data.sample_sources import named_sources
from nnviz3d.data.source_names import names_file
from nnviz3d.errors import SampleError


def capture(
    model: keras.Model,
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
    keep: str | Iterable[str] = (),
    float16: bool = False,
) -> Capture:
    """Run a live model once on some samples and store every number that it computes.

    The model stays unchanged, including its random generators.

    Parameters
    ----------
    model
        A Keras model, which may be of your own class. It need not be built.
    x
        An array ``(N, *shape)``, or one sample; for several inputs a list of arrays or a dictionary by name; for a
        model of text also a list of sentences; a table of pandas; a `tf.data.Dataset`, a generator or another data set,
        of which the first batch is taken, with its labels; or a value of ``--input``: a path, ``digits:7``, ``random``,
        or a list of those. By default ``random``.
    out
        The capture to write, ``*.zarr`` or ``*.zarr.zip``; an earlier capture there is replaced.
    preprocess
        ``tf``, ``torch``, ``caffe``, ``unit`` or ``none``. By default pictures, including arrays of bytes, are
        preprocessed in the way that suits the model, and other arrays are used as they are; `Capture.provenance` holds
        the choice and its reason.
    classes
        Names of the classes.
    labels
        ``(N,)`` integers: the true class of each sample; or ``(N, rows, columns, ...)``: its true output, such as a mask.
    all_weights
        Whether to store all variables, not only those of small layers.
    top_k
        Number of connections to store for each pair of layers and each ranking.
    seed
        Seed for ``random``.
    insights
        Requests beyond one forward pass: gradients, attributions, attention, features, embeddings.
    keep
        Names or patterns of layers, such as ``conv*``: only their numbers are stored, and those of the model's inputs and
        outputs. By default those of all layers.
    float16
        Whether the numbers of layers, and gradients by them, are rounded to float16 when they are stored.

    Raises
    ------
    ModelError
        If the model cannot be traced or fails on the samples.
    SampleError
        If the samples cannot be read or do not fit.
    UserError
        If the capture cannot be written, a pattern in `keep` fits no layer, or a number is too large for float16.
    """
    kept = prepare_live_model(model, x, classes=classes, labels=labels)
    labels = None if kept.held is not None else labels
    samples = kept.samples(kept.sources, seed=seed)
    if labels is not None:
        samples = _with_labels(samples, np.asarray(labels))
    settings = CaptureSettings(
        Path(out),
        preprocess,
        kept.classes,
        all_weights,
        top_k,
        seed,
        insights=insights,
        keep=(keep,) if isinstance(keep, str) else tuple(keep),
        float16=float16,
    )
    capture_model(kept.traced, samples, settings, _silent, kept.samples)
    return open_capture(out)


def prepare_live_model(
    model: keras.Model, x: Any = None, *, classes: Iterable[str] | None = None, labels: Any = None
) -> CachedModel:
    """Prepare a live model for several captures, on the samples in `x` or on others.

    Parameters
    ----------
    model, x, classes, labels
        As for `capture`. Requests and the capture name the rows of arrays ``x[3]``.

    Raises
    ------
    ModelError
        If it is not a Keras model, or it was never built and `x` holds no arrays.
    SampleError
        If arrays do not fit.
    """
    original, loaded = model, loaded_from(model)
    model = loaded.model
    names = tuple(str(name) for name in classes) if classes is not None else None
    batch = first_batch(x)
    if batch is not None:
        x, labels = batch.x, batch.labels if labels is None else labels
        names = names or batch.classes
    sources = named_sources(x)
    known = expected_inputs(model)
    if sources and known is not None and _are_sentences(sources, known):
        x, sources = list(sources), None
    if sources is not None:
        return CachedModel(loaded, sources=sources, classes=names, live=True)
    inputs = with_axes(model, known or _inputs_like(x))
    samples = array_samples(_flat(x, inputs), inputs.specs, "x")
    if is_of_keras_2(original):
        check_copy(original, model, inputs, samples.arrays)
    if is_data_frame(x) and len(inputs.specs) == 1 and len(samples.arrays[0].shape) == 2:
        samples = replace(samples, columns={inputs.specs[0].name: tuple(map(str, x.columns))})
    held = samples if labels is None else _with_labels(samples, np.asarray(labels))
    return CachedModel(loaded, inputs=inputs, held=held, classes=names, live=True)


def _are_sentences(sources: Sequence[str], inputs: Inputs) -> bool:
    """Whether strings are text for a model of text, not names of files."""
    takes_text = [spec.dtype for spec in inputs.specs] == ["string"]
    return takes_text and not any(source == "random" or names_file(source) for source in sources)


def _silent(_event: Event) -> None:
    """Discard an event; the provenance holds all notes."""


def _flat(x: Any, inputs: Inputs) -> Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]:
    """Convert `x` to arrays by name, or in the order of the model's inputs."""
    names = [spec.name for spec in inputs.specs]
    by_column = is_data_frame(x) and (len(names) > 1 or names[0] in x.columns)
    if by_column or isinstance(x, Mapping):
        missing = [name for name in names if name not in x]
        if not missing:
            return {name: _array(x[name]) for name in names}
        # A dictionary may also have the keys of the model's first argument, which are not always names of inputs.
        if by_column or not isinstance(inputs.structure, Mapping) or set(inputs.structure) != set(x):
            held = ", ".join(map(str, x))
            raise SampleError(
                f"x has nothing for the input{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {held}."
            )
    if len(inputs.specs) > 1 or isinstance(x, Mapping):
        return [_array(item) for item in keras.tree.flatten(x)]
    return [_array(x)]


def _array(x: Any) -> NDArray[Any]:
    if isinstance(x, tf.RaggedTensor):
        x = _of_one_length(x)
    values = as_array(keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else x)
    # Plain numbers become float64 in Python and NumPy, but models compute in float32; the capture notes exceptions.
    return values.astype(np.float32) if values.dtype == np.float64 else values


def _of_one_length(x: Any) -> Any:
    """Return a ragged tensor as a tensor. Zeros at the end of shorter rows would give other numbers than those rows."""
    whole = x.to_tensor()
    if int(tf.size(whole)) != int(tf.size(x.flat_values)):
        raise SampleError(
            "x is a ragged tensor with rows of unequal length, but a capture's samples have one length; give one row, "
            "x[:1].to_tensor(), or pad the rows as in training, x.to_tensor()."
        )
    return whole


def _inputs_like(x: Any) -> Inputs:
    """Find the inputs of a model that was never built from its samples, which may be nested."""
    leaves = keras.tree.flatten(x)
    if not isinstance(x, Mapping) and (len(leaves) < 2 or not all(getattr(leaf, "shape", ()) for leaf in leaves)):
        leaves, x = [x], 0  # one array, perhaps as lists of numbers
    arrays = [_array(leaf) for leaf in leaves]
    names = ["_".join(str(part) for part in path) or "input" for path, _ in keras.tree.flatten_with_path(x)]
    specs = tuple(
        InputSpec(
            f"input_{name}" if name.isdigit() else name,
            tuple(array.shape[1:]),
            "float32" if array.dtype == np.uint8 else array.dtype.name,
        )
        for name, array in zip(names, arrays, strict=True)
    )
    return Inputs(specs, keras.tree.map_structure(lambda _: 0, x))


def _with_labels(samples: Samples, labels: NDArray[Any]) -> Samples:
    if labels.ndim > 2 and len(labels) == len(samples) and labels.dtype.kind in "biuf":
        return replace(samples, truth=labels)
    if labels.reshape(-1).shape != (len(samples),) or labels.dtype.kind not in "iu":
        raise SampleError(
            f"labels has the shape {labels.shape} of {labels.dtype}; expected {len(samples)} integers, or "
            "as many true outputs, such as masks."
        )
    return replace(samples, labels=labels.reshape(-1).astype(np.int64))
