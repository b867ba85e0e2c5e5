"""Event files for TensorBoard, written from a recorded training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.training import Training
from nnviz3d.data.training_epochs import VALIDATION
from nnviz3d.errors import UserError

_SUFFIX = ".nnviz3d"
"""End of the names of our event files; those of an earlier call are replaced."""
_TRAIN, _VALIDATION = "train", "validation"
"""Runs of the event files, as Keras' own callback names them: TensorBoard draws equal tags of both into one chart."""

Scalars = dict[int, dict[str, float]]
"""Numbers of each step by their tag."""


def write_events(training: Training, folder: Path) -> Path:
    """Write the scalars of a training as event files: a run ``train``, and a run ``validation`` if there is one.

    The steps are training steps. The tags are ``batch/loss`` and the like for the recorded steps, ``epoch/loss`` for the
    ends of epochs, and ``gradient_norm/LAYER`` and the like for the statistics of layers. NaN is left out where a number
    was not recorded.

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
        for name, scalars in runs.items():
            if scalars:
                _write(unfinished / name, scalars)
        try:
            for name in runs:
                _replace(unfinished / name, folder / name)
        except OSError as error:
            raise UserError(f"Cannot write {folder}: {error.strerror}.") from error
    return folder


def _train(training: Training) -> Scalars:
    found: Scalars = {}
    batch = {"batch/loss": training.loss, "batch/learning_rate": training.learning_rate}
    batch |= {f"batch/{'mean loss of the epoch' if n == 'loss' else n}": v for n, v in training.metrics.items()}
    for tag, values in batch.items():
        _add(found, training.steps, tag, values)
    for number, statistic in enumerate(training.statistics):
        for place, layer in enumerate(training.layers):
            _add(found, training.steps, f"{statistic}/{layer}", training.series[:, place, number])
    ends = training.epoch_ends
    for name, values in ends.metrics.items():
        if not name.startswith(VALIDATION):
            _add(found, ends.steps, f"epoch/{name}", values)
    return found


def _validation(training: Training) -> Scalars:
    found: Scalars = {}
    ends = training.epoch_ends
    for name, values in ends.validation.items():
        _add(found, ends.steps, f"epoch/{name.removeprefix(VALIDATION)}", values)
    return found


def _add(found: Scalars, steps: np.ndarray, tag: str, values: np.ndarray) -> None:
    for step, value in zip(steps.tolist(), values.tolist(), strict=True):
        if not np.isnan(value):
            found.setdefault(step, {})[tag] = value


def _write(folder: Path, scalars: Mapping[int, Mapping[str, float]]) -> None:
    """Write one run; a summary holds all numbers of a step, because a call for each number takes much longer."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=_SUFFIX)
    with writer.as_default():
        for step in sorted(scalars):
            summary = tf.compat.v1.Summary(value=list(_values(scalars[step])))
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)
    writer.close()


def _values(numbers: Mapping[str, float]) -> Iterator[tf.compat.v1.Summary.Value]:
    kind = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1
    )
    for tag, number in numbers.items():
        tensor = tf.make_tensor_proto(number, dtype=tf.float32)
        yield tf.compat.v1.Summary.Value(tag=tag, tensor=tensor, metadata=kind)


def _replace(made: Path, run: Path) -> None:
    """Move the event files of a run into its folder, in place of those of an earlier call."""
    files = sorted(made.glob("*")) if made.exists() else []
    if files:
        run.mkdir(parents=True, exist_ok=True)
    for old in run.glob(f"*{_SUFFIX}") if run.exists() else ():
        old.unlink()
    for file in files:
        shutil.move(file, run / file.name)
