"""Copies of gradients and weights within a training step, without changing its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.training.optimizer_updates import OptimizerCall, number
from nnviz3d.errors import ModelError

T = TypeVar("T")


@dataclass
class VariableCopies:
    """A trainable variable with copies of its gradient (still scaled) and of its value before the step.

    Attributes
    ----------
    applied
        The last call of an optimizer with this variable; `None` in custom training loops.
    """

    variable: Any
    gradient: tf.Variable
    before: tf.Variable
    applied: OptimizerCall | None = None

    @staticmethod
    def allocate(variable: Any) -> VariableCopies:
        """Allocate the copies for a built variable, also within a function that is being traced."""
        with tf.init_scope():
            gradient, before = (
                tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False) for _ in range(2)
            )
        return VariableCopies(variable, gradient, before)


class TrainStepHook:
    """Observes the calls of a model's optimizers while it is open.

    It copies inside the compiled step, only on requested steps. The copies are plain assignments: norms in the same XLA
    program would change its rounding, and so the training.

    Parameters
    ----------
    model
        A compiled model; it need not be built.
    take
        Number of samples of the first batch to keep.

    Attributes
    ----------
    on
        Whether copies are made; a `tf.Variable`.
    steps
        Number of steps since the hook was first opened; a `tf.Variable`.
    held
        The variables that the optimizers handled, by their id.
    batch
        The samples kept of the first batch and their targets; `None` before it, or if they cannot be kept.
    failures
        Reasons of failed copies, by the name of the copied part. A failed part is not tried again, and the training
        continues.

    Raises
    ------
    ModelError
        If the model is trained on several devices.
    """

    def __init__(self, model: keras.Model, take: int) -> None:
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise ModelError(
                "TrainingRecorder records training on one device; leave it out under a tf.distribute strategy of "
                f"{model.distribute_strategy.num_replicas_in_sync} replicas."
            )
        self.on = tf.Variable(False, trainable=False)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.held: dict[int, VariableCopies] = {}
        self.batch: KeptBatch | None = None
        self.failures: dict[str, Exception] = {}
        self._model = model
        self._take = take
        self._seen: Any = None
        self._calls: dict[tuple[int, int], OptimizerCall] = {}
        self._made: Counter[int] = Counter()
        self._close: list[Callable[[], None]] = []

    def open(self) -> None:
        """Install the hook; the model compiles its step again."""
        self.close()  # an interrupted training leaves it installed, and the model may have another optimizer
        step = self._model.train_step

        def train_step(data: Any) -> Any:
            self._made.clear()
            # Our operations come last, because seeds of TensorFlow's random operations depend on earlier operations.
            logs = step(data)
            self.steps.assign_add(1)
            self._attempt("the first batch", lambda: self._keep(data))
            return logs

        self._replace(self._model, "train_step", train_step)
        for optimizer in optimizers_of(self._model):
            self._observe(optimizer)
        self._model.train_function = None

    def close(self) -> None:
        """Remove the hook."""
        for put_back in self._close:
            put_back()
        if self._close:
            self._model.train_function = None
        self._close.clear()

    def scalars(self) -> dict[str, float]:
        """Return loss and learning rate of the last step; NaN if unknown, or if the optimizers differ."""
        last = number(self.steps) - 1
        calls = [call for call in self._calls.values() if number(call.step) == last]
        found = {}
        for name, part in (("loss", "loss"), ("learning_rate", "rate")):
            told = {number(getattr(call, part)) for call in calls}
            found[name] = told.pop() if len(told) == 1 else np.nan
        return found

    def _replace(self, owner: Any, name: str, function: Any) -> None:
        own = vars(owner).get(name)
        setattr(owner, name, function)
        self._close.append((lambda: delattr(owner, name)) if own is None else (lambda: setattr(owner, name, own)))

    def _observe(self, optimizer: Any) -> None:
        apply, scale_loss = optimizer.apply, optimizer.scale_loss

        def observed_apply(grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            variables = None if trainable_variables is None else list(trainable_variables)
            call = self._attempt("gradients", lambda: self._copy(optimizer, grads, variables, scale_loss))
            done = apply(grads, variables)
            if call is not None:
                self._attempt("gradients", lambda: self._if_on(call.end))
            return done

        def observed_scale_loss(loss: Any) -> Any:
            self._seen = loss
            return scale_loss(loss)

        self._replace(optimizer, "apply", observed_apply)
        self._replace(optimizer, "scale_loss", observed_scale_loss)

    def _copy(
        self, optimizer: Any, grads: Sequence[Any], variables: Sequence[Any] | None, scale_loss: Callable[[Any], Any]
    ) -> OptimizerCall:
        known = self._model.trainable_variables if variables is None else variables
        call = self._call_of(optimizer, scale_loss)
        rows = [
            (self._copies_of(variable, call), gradient)
            for variable, gradient in zip(known, grads, strict=True)
            if gradient is not None
        ]
        loss, self._seen = self._seen, None
        if not tf.executing_eagerly() and getattr(loss, "graph", None) is not tf.compat.v1.get_default_graph():
            loss = None  # a tensor of another function is not readable here

        def copy() -> None:
            for held, gradient in rows:
                held.gradient.assign(tf.convert_to_tensor(gradient))
                held.before.assign(keras.ops.convert_to_tensor(held.variable))
            call.begin(self.steps, loss)

        self._if_on(copy)
        return call

    def _if_on(self, work: Callable[[], None]) -> None:
        def done() -> Any:
            work()
            return tf.constant(0)

        tf.cond(self.on, done, lambda: tf.constant(0))

    def _attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Run the recorder's own code within a step without ever interrupting the step."""
        if what in self.failures:
            return None
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - observing a training must not end it; a sentence reports it
            self.failures[what] = error
            return None

    def _call_of(self, optimizer: Any, scale_loss: Callable[[Any], Any]) -> OptimizerCall:
        """Return the record for one call of an optimizer within a step."""
        key = (id(optimizer), self._made[id(optimizer)])
        self._made[id(optimizer)] += 1
        if key not in self._calls:
            self._calls[key] = OptimizerCall(optimizer, scale_loss)
        return self._calls[key]

    def _copies_of(self, variable: Any, call: OptimizerCall) -> VariableCopies:
        if id(variable) not in self.held:
            self.held[id(variable)] = VariableCopies.allocate(variable)
        self.held[id(variable)].applied = call
        return self.held[id(variable)]

    def _keep(self, data: Any) -> None:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self._take and self.batch is None:
            with tf.init_scope():
                self.batch = KeptBatch.like(x, y, self._take)
        if self.batch is not None:
            self.batch.keep(x, y)


def optimizers_of(model: keras.Model) -> list[Any]:
    """Find the optimizers that may train a model: the compiled one, and those among the model's attributes."""
    found: dict[int, Any] = {}
    for value in (model.optimizer, *vars(model).values()):
        several = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        found.update((id(one), one) for one in several if isinstance(one, keras.optimizers.Optimizer))
    # An optimizer inside another one is called by that one alone.
    within = {id(getattr(one, "inner_optimizer", None)) for one in found.values()}
    return [one for key, one in found.items() if key not in within]


class KeptBatch:
    """Variables for some samples of one batch, in the form of the model's input.

    Attributes
    ----------
    count
        Number of kept samples; 0 at first.
    """

    def __init__(self, structure: Any, leaves: Sequence[tf.Variable], take: int) -> None:
        self.count = tf.Variable(0, trainable=False)
        self._structure = structure
        self._leaves = leaves
        self._take = take

    @staticmethod
    def like(x: Any, y: Any, take: int) -> KeptBatch | None:
        """Allocate variables for samples like these; `None` if sizes vary or they are not plain numbers."""
        tensors = [t for t in keras.tree.flatten((x, y)) if t is not None]
        if not tensors or not all(_is_plain(t) for t in tensors):
            return None
        leaves = [tf.Variable(tf.zeros((take, *t.shape[1:]), t.dtype), trainable=False) for t in tensors]
        return KeptBatch(keras.tree.map_structure(lambda t: None if t is None else 0, (x, y)), leaves, take)

    def keep(self, x: Any, y: Any) -> None:
        """Keep the first samples of a batch, if none are kept yet."""
        tensors = [tf.convert_to_tensor(t) for t in keras.tree.flatten((x, y)) if t is not None]
        shapes = [leaf.shape[1:] for leaf in self._leaves]
        if [t.shape[1:] for t in tensors] != shapes:
            return  # a trace for batches of another shape

        def copy() -> Any:
            for leaf, tensor in zip(self._leaves, tensors, strict=True):
                # The length is static because XLA needs that; the surplus is dropped below.
                leaf.assign(tf.gather(tensor, tf.range(self._take) % tf.shape(tensor)[0]))
            self.count.assign(tf.minimum(smallest, self._take))
            return tf.constant(0)

        smallest = tf.reduce_min(tf.stack([tf.shape(tensor)[0] for tensor in tensors]))
        tf.cond(tf.equal(self.count, 0) & (smallest > 0), copy, lambda: tf.constant(0))

    def read(self) -> tuple[Any, Any] | None:
        """Return the kept samples as ``(x, y)``, NumPy arrays ``(n, *shape)``; `None` before the first batch."""
        count = int(number(self.count))
        if not count:
            return None
        leaves = iter(self._leaves)
        x, y = keras.tree.map_structure(
            lambda s: None if s is None else next(leaves).read_value().numpy()[:count], self._structure
        )
        return x, y


def _is_plain(tensor: Any) -> bool:
    if not tf.is_tensor(tensor) or isinstance(tensor, tf.SparseTensor | tf.RaggedTensor) or tensor.dtype == tf.string:
        return False
    return bool(tensor.shape.rank) and None not in tensor.shape[1:]
