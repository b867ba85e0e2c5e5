"""Event files for TensorBoard, written from a recorded training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.training import Training
from nnviz3d.data.training_epochs import VALIDATION
from nnviz3d.data.training_histograms import BINS
from nnviz3d.errors import UserError

_SUFFIX = ".nnviz3d"
"""End of the names of our event files; those of an earlier call are replaced."""
_SCALAR, _TENSOR = 1, 2
"""TensorFlow's classes of the data of a summary."""
_TRAIN, _VALIDATION = "train", "validation"
"""Runs of the event files, as Keras' own callback names them: TensorBoard draws equal tags of both into one chart."""

Values = dict[int, dict[str, float | NDArray[np.float64]]]
"""Values of each step by tag: a number, or a histogram as rows of left end, right end and count."""


def write_events(training: Training, folder: Path) -> Path:
    """Write a training as event files: a run ``train``, and a run ``validation`` if there is one.

    The steps are training steps. The tags are ``batch/loss`` and the like for the recorded steps, ``epoch/loss`` for the
    ends of epochs, ``gradient_norm/LAYER`` and the like for the statistics of layers, and ``weights/LAYER``,
    ``gradients/LAYER`` and ``updates/LAYER`` for the histograms. NaN is left out where a number was not recorded. A loss
    that is NaN from some step until the end is written, so that TensorBoard marks where a training diverged.

    Parameters
    ----------
    folder
        The log folder; it is made if it does not exist. Event files of other programs stay.

    Returns
    -------
    The folder.

    Raises
    ------
    UserError
        If the folder cannot be written, or no step was recorded.
    """
    if not len(training):
        raise UserError("No step of the training has been recorded yet; call fit first.")
    if exists(folder) and not is_folder(folder):
        raise UserError(f"{folder} is a file; give a folder for the event files.")
    runs = {_TRAIN: _train(training), _VALIDATION: _validation(training)}
    with temporary_folder() as unfinished:
        for name, values in runs.items():
            if values:
                _write(unfinished / name, values)
        try:
            for name in runs:
                _replace(unfinished / name, folder / name)
        except OSError as error:
            raise UserError(f"Cannot write {folder}: {error.strerror}.") from error
    return folder


def _train(training: Training) -> Values:
    found: Values = {}
    _add(found, training.steps, "batch/loss", training.loss, odd=_diverged(training.loss))
    batch = {"batch/learning_rate": training.learning_rate}
    batch |= {f"batch/{'mean loss of the epoch' if n == 'loss' else n}": v for n, v in training.metrics.items()}
    for tag, values in batch.items():
        _add(found, training.steps, tag, values)
    for number, statistic in enumerate(training.statistics):
        for place, layer in enumerate(training.layers):
            _add(found, training.steps, f"{statistic}/{layer}", training.series[:, place, number])
    ends = training.epoch_ends
    for name, values in ends.metrics.items():
        if not name.startswith(VALIDATION):
            odd = _diverged(values) if name == "loss" else None
            _add(found, ends.steps, f"epoch/{name}", values, odd=odd)
    histograms = training.histograms
    for layer, quantity in histograms.entries:
        recorded = histograms.of(layer, quantity)
        if recorded is not None:
            for row in np.flatnonzero(recorded.known):
                step = int(histograms.steps[row])
                found.setdefault(step, {})[f"{quantity}/{layer}"] = _buckets(recorded.limits[row], recorded.counts[row])
    return found


def _buckets(limits: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the bins as TensorBoard takes them; numbers beyond the limits are bins without a width at the limits."""
    edges = np.linspace(limits[0], limits[1], BINS + 1)
    left = np.concatenate([edges[:1], edges])
    right = np.concatenate([edges, edges[-1:]])
    return np.stack([left, right, counts.astype(np.float64)], axis=1)


def _validation(training: Training) -> Values:
    found: Values = {}
    ends = training.epoch_ends
    for name, values in ends.validation.items():
        odd = _diverged(values) if name == f"{VALIDATION}loss" else None
        _add(found, ends.steps, f"epoch/{name.removeprefix(VALIDATION)}", values, odd=odd)
    return found


def _diverged(loss: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a loss is NaN until the end; nowhere if it was never a number, because it was not recorded then."""
    later = np.logical_and.accumulate(np.isnan(loss)[::-1])[::-1]
    return later if not later.all() else np.zeros(len(loss), dtype=bool)


def _add(
    found: Values,
    steps: NDArray[np.int64],
    tag: str,
    values: NDArray[np.floating],
    *,
    odd: NDArray[np.bool_] | None = None,
) -> None:
    """Add the numbers of a tag, and NaN only where it is `odd`."""
    written = ~np.isnan(values) if odd is None else ~np.isnan(values) | odd
    for step, value in zip(steps[written].tolist(), values[written].tolist(), strict=True):
        found.setdefault(step, {})[tag] = value


def _write(folder: Path, values: Values) -> None:
    """Write one run; a summary holds everything of a step, because a call for each number takes much longer."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=_SUFFIX)
    with writer.as_default(), tf.summary.record_if(True):
        for step in sorted(values):
            summary = tf.compat.v1.Summary(value=[_summary(tag, one) for tag, one in values[step].items()])
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)
    writer.close()


def _summary(tag: str, value: float | NDArray[np.float64]) -> Any:
    """Return the summary of a number or a histogram, with the name of the plugin of TensorBoard that shows it."""
    scalar = isinstance(value, float)
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars" if scalar else "histograms")
    kind = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=_SCALAR if scalar else _TENSOR)
    tensor = tf.make_tensor_proto(value, dtype=tf.float32 if scalar else tf.float64)
    return tf.compat.v1.Summary.Value(tag=tag, tensor=tensor, metadata=kind)


def _replace(made: Path, run: Path) -> None:
    """Copy the event files of a run into its folder, each of them whole, in place of those of an earlier call."""
    files = sorted(made.glob("*")) if made.exists() else []
    if files:
        run.mkdir(parents=True, exist_ok=True)
    earlier = list(run.glob(f"*{_SUFFIX}")) if run.exists() else []
    for file in files:
        unfinished = run / f".{file.name}.unfinished"
        try:
            shutil.copyfile(file, unfinished)
            unfinished.replace(run / file.name)
        finally:
            unfinished.unlink(missing_ok=True)
    for old in earlier:
        old.unlink()
