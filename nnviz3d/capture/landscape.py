"""Computes loss landscapes: the loss of a model over a plane through its weights.

Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913. Two random
directions span the plane, filter by filter as large as the model's weights; or the two principal directions of the
weights that a recorded training kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.model_loss import Loss
from nnviz3d.capture.programs.frozen import Compiled, frozen
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.weights import layers_of
from nnviz3d.capture.work import Work
from nnviz3d.data.capabilities.landscape import LossLandscape, write_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.array_files import ArrayFile
from nnviz3d.data.files.paths import is_file, user_path
from nnviz3d.data.printable import reason
from nnviz3d.data.request import Notice, Progress
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.training import Training
from nnviz3d.errors import ModelError, SampleError, UserError

BATCH = 32
"""Samples in a batch, as in Keras' `Model.evaluate`."""
_BEYOND = 0.25
"""Distance of the grid's edge from the path of a training, for an extent of 1, as a share of the path's size."""
_SAME = 1e-12
"""Share of the weights' squared distances below which a direction is rounding error."""
Tensors = Sequence[NDArray[np.float32] | None]
"""One array for each variable, of its shape; `None` for zeros."""


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
        raise ModelError("A loss landscape needs a model with one output; this one has several.")
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
        count=len(samples),
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
        raise SampleError(
            "The data set of the loss landscape brings no true classes; capture the model with --landscape --dataset DATA "
            "--labels FILE."
        )
    if len(targets) != count:
        raise SampleError(f"There are {len(targets):,} targets for {count:,} samples; give one for each.")
    return targets


@dataclass(frozen=True)
class Plane:
    """A plane through the weights of a model.

    Attributes
    ----------
    variables
        The variables that differ somewhere in the plane.
    origin
        Their values at (0, 0); `None` for the model's own.
    directions
        Two directions.
    shares, steps, path, distances
        See `LossLandscape`; empty for random directions.
    kept
        Returns the values of the variables at one of the steps, by its number.
    """

    variables: Sequence[Any]
    origin: Tensors
    directions: tuple[Tensors, Tensors]
    shares: NDArray[np.float64]
    steps: NDArray[np.int64]
    path: NDArray[np.float64]
    distances: NDArray[np.float64]
    kept: Callable[[int], Tensors]

    @staticmethod
    def random(model: keras.Model, seed: int) -> Plane:
        """Return the plane of two random directions.

        A direction is normally distributed; each of its filters is scaled to the norm of the model's filter (section 4 of
        the paper). Biases, parameters of normalizations and their statistics do not change, as in the paper's appendix.
        """
        weights = [(variable, axes) for variable, axes in filters_of(model) if axes]
        rng = np.random.default_rng(seed)
        first, second = ([_filtered(rng, variable, axes) for variable, axes in weights] for _ in range(2))
        none = np.empty(0)
        return Plane(
            [variable for variable, _ in weights],
            [None] * len(weights),
            (first, second),
            none,
            np.empty(0, dtype=np.int64),
            np.empty((0, 2)),
            none,
            lambda number: [],
        )

    @staticmethod
    def of_training(training: Training, variables: Mapping[tuple[str, str], Any]) -> Plane:
        """Return the plane of the two principal directions of the weights that a training kept.

        The directions are those of the matrix [θ_0 - θ_n, ..., θ_(n-1) - θ_n] (section 7 of the paper) through the last
        weights θ_n. All variables belong to θ, the statistics of batch normalization too: without them, the losses of the
        kept weights could not be computed again (appendix of the paper).

        Raises
        ------
        UserError
            If fewer than three of the kept weights differ.
        """
        count = len(training.weight_steps)
        gram = np.zeros((count, count))
        for _, change in _changes(training, variables):
            gram += change @ change.T
        values, vectors = np.linalg.eigh(gram)
        if count < 3 or values[-2] <= _SAME * values[-1]:
            raise UserError(
                f"The plane of a training needs weights of at least three different steps that are not in one line; this "
                f"training kept {count}. Record it with TrainingRecorder(..., weights_every=N) for a smaller N."
            )
        lengths = np.sqrt(values[-2:][::-1])
        mixed = vectors[:, -2:][:, ::-1] / lengths
        # The sign is free: the training starts on the right and in front.
        path = vectors[:, -2:][:, ::-1] * lengths
        signs = np.where(path[0] < 0, -1.0, 1.0)
        mixed, path = mixed * signs, path * signs
        path[-1] = 0
        first, second = [], []
        for variable, change in _changes(training, variables):
            both = (mixed.T @ change).astype(np.float32).reshape(2, *variable.shape)
            first.append(both[0])
            second.append(both[1])

        def kept(number: int) -> Tensors:
            return [np.asarray(training.weights(layer, number)[name]) for layer, name in variables]

        rest = np.clip(np.diagonal(gram) - (path**2).sum(axis=1), 0, None)
        rest[rest <= _SAME * np.diagonal(gram).max()] = 0
        return Plane(
            list(variables.values()),
            kept(-1),
            (first, second),
            values[-2:][::-1] / values.sum(),
            training.weight_steps,
            path,
            np.sqrt(rest),
            kept,
        )

    @property
    def through_model(self) -> bool:
        """Whether the model's own weights are at (0, 0)."""
        own = (keras.ops.convert_to_numpy(variable).astype(np.float32) for variable in self.variables)
        return all(kept is None or np.array_equal(values, kept) for values, kept in zip(own, self.origin, strict=True))

    def grid(self, resolution: int, extent: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the coordinates of the grid along both directions; (0, 0) is one of its points."""
        if not len(self.steps):
            axis = np.linspace(-extent, extent, resolution)
            axis[resolution // 2] = 0
            return axis, axis
        margin = _BEYOND * extent * float(np.ptp(self.path, axis=0).max())
        axes = []
        for k in (0, 1):
            low, high = self.path[:, k].min() - margin, self.path[:, k].max() + margin
            axis = np.linspace(low, high, resolution)
            axis -= axis[np.abs(axis).argmin()]
            axes.append(axis)
        return axes[0], axes[1]


def _changes(training: Training, variables: Mapping[tuple[str, str], Any]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Yield each variable and how it differs at each step from its last kept value, ``(W, numbers)``.

    A layer's variables lie side by side in the capture, so they are read together.
    """
    for layer, keys in groupby(variables, key=lambda key: key[0]):
        steps = [training.weights(layer, at) for at in range(len(training.weight_steps))]
        for key in keys:
            rows = np.stack([kept[key[1]].reshape(-1) for kept in steps]).astype(np.float64)
            yield variables[key], rows - rows[-1]


def filters_of(model: keras.Model) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield each trainable weight of a model once, frozen layers included, and the axes that count its filters.

    A filter is a slice along all other axes: of a convolution the weights of one output channel, of a dense layer those
    of one output neuron. Biases and the parameters of normalizations have none.
    """
    done: set[int] = set()
    for layer in model._flatten_layers():
        for variable in getattr(layer, "_trainable_variables", ()):
            if id(variable) not in done:
                done.add(id(variable))
                yield variable, _filter_axes(layer, variable)


def _filter_axes(layer: keras.Layer, variable: Any) -> tuple[int, ...]:
    rank = len(variable.shape)
    # The biases of attention layers have two axes: heads, and numbers of a head.
    if rank < 2 or "bias" in variable.name or "Normalization" in type(layer).__name__:
        return ()
    if "Embedding" in type(layer).__name__:
        return (0,)
    if "depthwise" in variable.name or "Depthwise" in type(layer).__name__:
        return (rank - 2, rank - 1)
    if "Transpose" in type(layer).__name__:
        return (rank - 2,)
    if isinstance(layer, keras.layers.EinsumDense) and variable.name == "kernel":
        given, _, out = layer.equation.replace(" ", "").replace("...", "").partition("->")
        taken, _, kernel = given.partition(",")
        return tuple(i for i, letter in enumerate(kernel) if letter in out and letter not in taken) or (rank - 1,)
    return (rank - 1,)


def _filtered(rng: np.random.Generator, variable: Any, axes: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw a direction for a weight, each filter of which has the norm of the weight's filter."""
    values = np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)
    drawn = rng.standard_normal(values.shape)
    others = tuple(i for i in range(values.ndim) if i not in axes)
    norms = [np.sqrt((array**2).sum(axis=others, keepdims=True)) for array in (values, drawn)]
    return np.asarray(drawn * (norms[0] / norms[1]), dtype=np.float32)


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
