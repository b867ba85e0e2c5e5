"""Numbers of single weights in a step: histograms for each layer, and each weight before the step with its gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.training.train_step_hook import VariableCopies
from nnviz3d.capture.training.weight_statistics import VariableState
from nnviz3d.data.packing import Packing
from nnviz3d.data.training_histograms import BINS, QUANTITIES, Entries, histogram_of

MOST_UPDATED = 2**24
"""Most numbers of all trainable variables together whose updates are recorded one by one; they take 8 bytes each."""

Variables = Sequence[tuple[str, str, Any]]
"""Layer, name and variable."""
States = Mapping[int, VariableState]
"""State of each variable in a step, by the variable's id."""


class StepNumbers:
    """Reads the numbers of the trainable variables in a step from the copies of a `TrainStepHook`.

    Parameters
    ----------
    described
        The model's graph.
    held
        The trainable variables with their copies; later ones have histograms too, but no updates of single weights.
    weights
        All variables of the model.

    Attributes
    ----------
    entries
        Layer and quantity of each histogram.
    updates
        Packing of the variables whose single weights are recorded; empty if there are more than `MOST_UPDATED` of them.
    """

    def __init__(self, described: DescribedModel, held: Mapping[int, VariableCopies], weights: Variables) -> None:
        self._held = held
        self._of_layer: dict[str, list[Any]] = {}
        for node in described.graph:
            operation = described.call(node.id).operation
            own = operation.weights if isinstance(operation, keras.Layer) else []
            own = [v for v in (*own, *described.call(node.id).variables) if "float" in str(v.dtype)]
            if own and node.call == 0:
                self._of_layer[node.id] = own
        self.entries: Entries = tuple((layer, quantity) for layer in self._of_layer for quantity in QUANTITIES)
        self._updated = [one for one in weights if id(one[2]) in held]
        if sum(math.prod(v.shape) for *_, v in self._updated) > MOST_UPDATED:
            self._updated = []
        self.updates = Packing(tuple((layer, name, tuple(v.shape)) for layer, name, v in self._updated))

    def states(self, made: int | None, *, finite: bool, gradients: bool, ratios: bool) -> States:
        """Return the state of each variable in a step.

        Parameters
        ----------
        made, finite
            As for `WeightMeasure`.
        gradients, ratios
            Whether gradients, and the weights before the step, are known.
        """
        found = {}
        for key, held in self._held.items():
            state = VariableState.of(held, made, finite=finite)
            unit = state.gradient_unit if gradients else np.nan
            found[key] = VariableState(state.moves, state.updated and ratios, unit)
        return found

    def histograms(self, states: States) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the limits and the counts of all histograms, ``(entries, 2)`` and ``(entries, BINS + 2)``."""
        limits = np.full((len(self.entries), 2), np.nan)
        counts = np.zeros((len(self.entries), BINS + 2), np.int64)
        for place, own in enumerate(self._of_layer.values()):
            moving = [v for v in own if id(v) in states and states[id(v)].moves]
            if not moving:
                continue
            for k, numbers in enumerate(self._numbers(moving, states)):
                at = len(QUANTITIES) * place + k
                limits[at], counts[at] = histogram_of(numbers)
        return limits, counts

    def rows(self, states: States) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the weights before the step and their gradients, a row of `updates` each; NaN where they are unknown."""
        before, gradients = [], []
        for *_, variable in self._updated:
            state, held = states[id(variable)], self._held[id(variable)]
            unknown = np.full(tuple(variable.shape), np.nan, np.float32)
            before.append(_numbers_of(held.before) if state.moves and state.updated else unknown)
            gradients.append(_numbers_of(held.gradient) * np.float32(state.gradient_unit) if state.moves else unknown)
        return self.updates.pack(before), self.updates.pack(gradients)

    def _numbers(self, variables: Sequence[Any], states: States) -> list[NDArray[np.float32]]:
        """Return all weights, gradients and updates of some variables."""
        found: list[list[NDArray[np.float32]]] = [[], [], []]
        for variable in variables:
            state, held = states[id(variable)], self._held[id(variable)]
            after = _numbers_of(keras.ops.convert_to_tensor(variable))
            gradient = _numbers_of(held.gradient) * np.float32(state.gradient_unit)
            change = after - _numbers_of(held.before) if state.updated else np.full_like(after, np.nan)
            for part, numbers in zip(found, (after, gradient, change), strict=True):
                part.append(numbers.reshape(-1))
        return [np.concatenate(part) for part in found]


def _numbers_of(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tf.cast(tensor, tf.float32))
