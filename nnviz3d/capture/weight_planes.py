"""Planes through the weights of a model: by two random directions, or by the principal directions of a training.

Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.training import Training
from nnviz3d.errors import UserError

_BEYOND = 0.25
"""Distance of the grid's edge from the path of a training, for an extent of 1, as a share of the path's size."""
_SAME = 1e-12
"""Share of the weights' squared distances below which a direction is rounding error."""
Tensors = Sequence[NDArray[np.float32] | None]
"""One array for each variable, of its shape; `None` for zeros."""


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
