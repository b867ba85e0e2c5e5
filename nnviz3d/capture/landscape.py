"""Computation of loss landscapes: the loss of a model over a plane through its weights.

Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913. Two random
directions span the plane, filter by filter as large as the model's weights; or the two principal directions of the
weights that a recorded training kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.model_loss import Loss
from nnviz3d.capture.programs.frozen import Compiled, frozen
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.weight_planes import Plane, Tensors
from nnviz3d.capture.weights import layers_of
from nnviz3d.capture.work import Work
from nnviz3d.data.capabilities.landscape import NO_LABELS, SEVERAL_OUTPUTS, LossLandscape, write_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.array_files import ArrayFile
from nnviz3d.data.files.paths import is_file, user_path
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.printable import reason
from nnviz3d.data.request import Notice, Progress
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.training import Training
from nnviz3d.errors import ModelError, SampleError, UserError

BATCH = 32
"""Samples in a batch, as in Keras' `Model.evaluate`."""


def check_landscape(work: Work) -> None:
    """Refuse a landscape for which the model or the request lacks something.

    Raises
    ------
    ModelError
        If the model has several outputs, or a weight that it was trained with is missing in the recorded training.
    UserError
        If there is no such training, or it kept too few weights.
    """
    if not work.insights.landscape:
        return
    if len(work.model.described.graph.outputs) != 1:
        raise ModelError(SEVERAL_OUTPUTS)
    if work.insights.landscape_options.training:
        _recorded(work)


def compute_landscape(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Compute the landscape that was asked for, and write it.

    Raises
    ------
    ModelError
        If the loss cannot be computed.
    SampleError
        If the data set has no targets, or not one for each sample.
    UserError
        If the recorded training kept too few different weights.
    """
    options = work.insights.landscape_options
    samples, arrays = work.samples, work.arrays
    if work.insights.dataset:
        samples = work.read(work.insights.dataset, shapes=work.samples.shapes)
        arrays = work.prepare(samples)
    targets = _targets(options.labels, samples.labels, len(samples))
    if not options.labels:
        arrays, targets = _labelled(arrays, targets, report)
    graph = work.model.described.graph
    loss = Loss.of(work.loaded, graph.node(graph.outputs[0]), targets)
    if loss.chosen:
        report(Notice(text=f"{work.loaded.name} does not say its loss; the landscape shows the {loss.name}."))
    plane = Plane.of_training(*_recorded(work)) if options.training else Plane.random(work.loaded.model, options.seed)
    if not plane.through_model:
        other = (
            f"the training kept other weights at its last step, {plane.steps[-1]:,}; they are the landscape's centre"
        )
        report(Notice(text=f"{work.loaded.name} has weights of its own: {other}."))
    evaluated = PlaneLoss(work.loaded.model, loss, plane, arrays)
    along, across = plane.grid(options.resolution, options.extent)
    total, done = len(across) * len(along) + len(plane.steps), 0
    values = np.empty((len(across), len(along)), dtype=np.float32)
    losses = np.empty(len(plane.steps), dtype=np.float32)
    try:
        for row, column in np.ndindex(values.shape):
            report(Progress(stage="landscape", done=done, total=total))
            values[row, column] = evaluated(float(along[column]), float(across[row]))
            done += 1
        for number in range(len(losses)):
            report(Progress(stage="landscape", done=done, total=total))
            losses[number] = evaluated.at_step(number)
            done += 1
    except UserError:
        raise
    except Exception as error:  # Keras and TensorFlow may raise anything over targets that do not fit
        raise ModelError(
            f"The {loss.name} of {work.loaded.name} cannot be computed with targets of the shape "
            f"{targets.shape[1:] or 'one number'}: {reason(error)}"
        ) from error
    found = LossLandscape(
        loss=loss.name,
        dataset=", ".join(work.insights.dataset) or " to ".join(dict.fromkeys((samples.names[0], samples.names[-1]))),
        count=len(targets),
        along=along,
        across=across,
        values=values,
        shares=plane.shares,
        steps=plane.steps,
        path=plane.path,
        path_losses=losses,
        distances=plane.distances,
        settings={"resolution": options.resolution, "extent": options.extent, "seed": options.seed}
        | ({"training": user_path(options.training).name} if options.training else {}),
    )
    write_landscape(writer, found)


def _targets(file: str, labels: NDArray[np.int64] | None, count: int) -> NDArray[Any]:
    """Return the target of each sample, ``(N, ...)``."""
    if file:
        if not is_file(user_path(file), SampleError):
            raise SampleError(f"There is no file {file}; --labels is a .npy or .npz file.")
        opened = ArrayFile(user_path(file))
        names, labelled = list(opened.headers), opened.labels()
        if len(names) != 1 and labelled is None:
            raise SampleError(
                f"--labels {file} holds the arrays {', '.join(names)}; expected one, or one called labels."
            )
        targets = opened.read(labelled or names[0])
    elif labels is not None:
        targets = np.asarray(labels)
    else:
        raise SampleError(NO_LABELS)
    if len(targets) != count:
        raise SampleError(f"There are {len(targets):,} targets for {count:,} samples; give one for each.")
    return targets


def _labelled(
    arrays: Sequence[Rows], labels: NDArray[np.int64], report: Report
) -> tuple[Sequence[Rows], NDArray[np.int64]]:
    """Return the samples that have a label, as the model takes them, and their labels."""
    known = labels != NO_LABEL
    if known.all():
        return arrays, labels
    without = int((~known).sum())
    told = "1 sample without a label is" if without == 1 else f"{without:,} samples without a label are"
    report(Notice(text=f"{told} left out of the loss landscape, which shows the loss of {known.sum():,}."))
    return [np.asarray(array)[known] for array in arrays], labels[known]


def _recorded(work: Work) -> tuple[Training, Mapping[tuple[str, str], Any]]:
    """Return the recorded training, and the model's variables by layer and name as the training has them."""
    file = work.insights.landscape_options.training
    training = open_capture(user_path(file)).training
    if training is None:
        raise UserError(f"--training {file} holds no recorded training; record one with nnviz3d.TrainingRecorder.")
    variables: dict[tuple[str, str], Any] = {}
    for node, own in layers_of(work.model.described):
        known = training.weights(node.path)
        for name, variable in own.items() if known else ():
            if name not in known or tuple(variable.shape) != known[name].shape:
                raise ModelError(f"--training {file} was recorded of another model: {node.id} has other weights there.")
            real = "float" in str(variable.dtype)  # counters and seeds have no values in between
            if real and not any(variable is other for other in variables.values()):
                variables[node.path, name] = variable
    if not variables:
        raise UserError(f"--training {file} kept no weights of this model; record it with weights_every=N.")
    return training, variables


class PlaneLoss:
    """The loss of a model on a data set as a function of two coordinates in a plane through its weights.

    It is the mean over batches of `BATCH` samples, weighted by their sizes, in inference mode and in 32-bit numbers, as
    Keras' `Model.evaluate` computes it. The model's variables are not changed.

    Parameters
    ----------
    arrays
        For each input of the model the data set as it takes it, ``(N, *shape)``.
    """

    def __init__(self, model: keras.Model, loss: Loss, plane: Plane, arrays: Sequence[Rows]) -> None:
        self._model, self._loss, self._plane = model, loss, plane
        self._kinds = [tf.as_dtype(variable.dtype) for variable in plane.variables]
        self._origin = self._held(plane.origin)
        self._directions = [self._held(direction) for direction in plane.directions]
        targets = loss.targets
        self._batches = [
            ([tf.constant(array[i : i + BATCH]) for array in arrays], tf.constant(targets[i : i + BATCH]))
            for i in range(0, len(targets), BATCH)
        ]
        self._compiled = Compiled(self._batch_loss, own=[v for v in self._origin if v is not None])

    def _held(self, tensors: Tensors) -> list[Any]:
        """Hold arrays in TensorFlow's own memory, because a graph with large constants is slow."""
        return [
            None if array is None else tf.Variable(tf.cast(array, kind), trainable=False)
            for array, kind in zip(tensors, self._kinds, strict=True)
        ]

    def __call__(self, along: float, across: float) -> np.float32:
        """Return the loss at two coordinates."""
        a, b = tf.constant(along, tf.float32), tf.constant(across, tf.float32)
        total, count = np.float32(0), np.float32(0)
        for x, y in self._batches:
            size = np.float32(len(y))
            total += np.float32(self._compiled(a, b, y, *x).numpy()) * size
            count += size
        return np.float32(total / count)

    def at_step(self, number: int) -> np.float32:
        """Return the loss for the weights that the training kept at one of its steps."""
        before = [variable.numpy() for variable in self._origin]
        try:
            for variable, values in zip(self._origin, self._plane.kept(number), strict=True):
                variable.assign(tf.cast(values, variable.dtype))
            return self(0.0, 0.0)
        finally:
            for variable, values in zip(self._origin, before, strict=True):
                variable.assign(values)

    def _batch_loss(self, along: Any, across: Any, y: Any, *x: Any) -> Any:
        with frozen() as scope:
            for number, variable in enumerate(self._plane.variables):
                held = self._origin[number]
                value = variable.value if held is None else held
                moved = [
                    tf.cast(at, value.dtype) * direction[number]
                    for at, direction in zip((along, across), self._directions, strict=True)
                    if direction[number] is not None
                ]
                scope.state_mapping[id(variable)] = value + (moved[0] + moved[1])
            inputs = x[0] if len(x) == 1 else list(x)
            return self._loss.function(inputs, y, self._model(inputs, training=False))
