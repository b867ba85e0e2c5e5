"""Copies of weights and gradients for a custom training loop, which makes its updates by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.training.optimizer_updates import OptimizerCall, iterations_of
from nnviz3d.capture.training.recorder_arguments import check_gradients
from nnviz3d.capture.training.train_step_hook import VariableCopies


class LoopCopies:
    """Copies of the trainable variables of a model before a step, and of their gradients in the step.

    Attributes
    ----------
    held
        The variables with their copies, by their id.
    """

    def __init__(self) -> None:
        self.held: dict[int, VariableCopies] = {}
        self._iterations: int | None = None

    def remember(self, variables: Sequence[Any]) -> None:
        """Copy the values of variables before an update that will be recorded."""
        self.allocate(variables)
        for variable in variables:
            self.held[id(variable)].before.assign(keras.ops.convert_to_tensor(variable))

    def expect_step(self, variables: Sequence[Any], optimizer: Any) -> None:
        """Copy everything that has to be known before a step that will be recorded."""
        self.remember(variables)
        self._iterations = iterations_of(optimizer)

    def allocate(self, variables: Sequence[Any]) -> None:
        """Allocate copies of variables that have none."""
        for variable in variables:
            if id(variable) not in self.held:
                self.held[id(variable)] = VariableCopies.allocate(variable)

    def hold(self, model: keras.Model, grads: Sequence[Any] | None, optimizer: Any, step: int) -> None:
        """Keep the gradients of a step, and what the optimizer did with them if that is known."""
        check_gradients(model, grads)
        variables = model.trainable_variables
        call = OptimizerCall.between(optimizer, self._iterations, step)
        for variable, gradient in zip(variables, grads or [None] * len(variables), strict=True):
            held = self.held[id(variable)]
            held.applied = call
            held.gradient.assign(tf.zeros_like(held.gradient) if gradient is None else tf.convert_to_tensor(gradient))


def first_samples(x: Any, y: Any, take: int) -> tuple[Any, Any]:
    """Return the first samples of a batch and their targets as NumPy arrays."""
    first_x, first_y = keras.tree.map_structure(lambda t: None if t is None else np.asarray(t)[:take], (x, y))
    return first_x, first_y
