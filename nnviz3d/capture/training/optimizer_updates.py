"""Records of optimizer calls: whether a call updated the weights, kept gradients for later, or skipped the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class OptimizerCall:
    """Record of one optimizer call in a training step. A step may have several, of several optimizers.

    Attributes
    ----------
    step
        Number of steps before this call's step; a `tf.Variable`, -1 at first.
    before, after
        Number of the optimizer's updates before and after the call; a `tf.Variable` each.
    loss, rate
        The batch's loss, NaN if unknown, and the learning rate; a `tf.Variable` each.
    factor, next_factor
        Loss scale (factor of loss and gradients) of this step and of the next; a `tf.Variable` each.
    """

    def __init__(self, optimizer: Any, scale_loss: Callable[[Any], Any]) -> None:
        self._optimizer = optimizer
        self._scale_loss = scale_loss
        with tf.init_scope():
            self.step, self.before, self.after = (tf.Variable(-1, dtype=tf.int64, trainable=False) for _ in range(3))
            self.loss, self.rate, self.factor, self.next_factor = (
                tf.Variable(np.nan, dtype=tf.float32, trainable=False) for _ in range(4)
            )

    def begin(self, step: Any, loss: Any) -> None:
        """Record everything except the result, before the call."""
        self.step.assign(tf.cast(step, tf.int64))
        self.before.assign(tf.cast(keras.ops.convert_to_tensor(self._optimizer.iterations), tf.int64))
        self.loss.assign(np.nan if loss is None else tf.cast(loss, tf.float32))
        self.rate.assign(tf.cast(self._optimizer.learning_rate, tf.float32))
        self.factor.assign(tf.cast(self._scale_loss(tf.ones(())), tf.float32))

    def end(self) -> None:
        """Record the result, after the call."""
        self.after.assign(tf.cast(keras.ops.convert_to_tensor(self._optimizer.iterations), tf.int64))
        self.next_factor.assign(tf.cast(self._scale_loss(tf.ones(())), tf.float32))

    @staticmethod
    def between(optimizer: Any, before: int | None, step: int) -> OptimizerCall | None:
        """Return the record of a step in a custom training loop; `None` if the optimizer had no known part in it.

        Parameters
        ----------
        before
            Result of `iterations_of` before the step, if known.
        step
            The step.
        """
        after = iterations_of(optimizer)
        if before is None or after is None or (after == before and not _may_wait(optimizer)):
            return None
        call = OptimizerCall(optimizer, lambda loss: loss)
        for variable, value in ((call.step, step), (call.before, before), (call.after, after), (call.factor, 1.0)):
            variable.assign(value)
        return call

    @property
    def updated(self) -> bool:
        """Whether the call applied the gradients, and neither kept them for later nor refused them."""
        return bool(number(self.after) > number(self.before))

    @property
    def refused(self) -> bool:
        """Whether the optimizer threw the gradients away because its loss scale made them overflow."""
        return not self.updated and bool(number(self.next_factor) < number(self.factor))


def _may_wait(optimizer: Any) -> bool:
    """Whether an optimizer that is in use may leave the weights unchanged at a step."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    inner = optimizer.inner_optimizer if scales else optimizer
    return bool(optimizer.built and (scales or inner.gradient_accumulation_steps))


def iterations_of(optimizer: Any) -> int | None:
    """Return an optimizer's count of iterations, if it has one."""
    iterations = getattr(optimizer, "iterations", None)
    return None if iterations is None else int(keras.ops.convert_to_numpy(iterations))


def number(variable: Any) -> Any:
    """Read a scalar variable, also one that a strategy of `tf.distribute` made."""
    return variable.read_value().numpy().item()
