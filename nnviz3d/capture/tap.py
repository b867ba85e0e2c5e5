"""Takes copies of what a training step computes, without a change to what it computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.errors import ModelError


@dataclass(frozen=True)
class Held:
    """A trainable variable with room for the gradient by it, still scaled, and for what it was before the step."""

    variable: Any
    gradient: tf.Variable
    before: tf.Variable

    @staticmethod
    def room_for(variable: Any) -> Held:
        """Make room for a variable, which has its shape by now; within a function that is being traced too."""
        with tf.init_scope():
            gradient, before = (
                tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False) for _ in range(2)
            )
        return Held(variable, gradient, before)


class Tap:
    """Stands between a model and its optimizer while it is open.

    The copies are made inside the compiled step, on the steps that are asked for only. They are plain assignments: norms
    computed in the same XLA program make it round otherwise, and the training goes another way.

    Parameters
    ----------
    model
        A compiled model; it need not be built.
    take
        How many samples to keep of the first batch that comes by.

    Attributes
    ----------
    on
        Whether copies are made; a `tf.Variable`.
    steps
        How many steps were made since the tap was opened first; a `tf.Variable`.
    loss, rate, factor
        Of the last copied step: the batch's loss, the learning rate, and what loss and gradients were multiplied by.
    held
        The variables that the optimizer was given, by their id.
    batch
        The samples kept of the first batch and their targets; `None` until there are any, or where they cannot be kept.
    """

    def __init__(self, model: keras.Model, take: int) -> None:
        if tf.distribute.has_strategy() or model.distribute_strategy.num_replicas_in_sync > 1:
            raise ModelError(
                "TrainingRecorder records training on one device; leave it out under a tf.distribute strategy."
            )
        self.on = tf.Variable(False, trainable=False)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.loss, self.rate, self.factor = (tf.Variable(np.nan, dtype=tf.float32, trainable=False) for _ in range(3))
        self.held: dict[int, Held] = {}
        self.batch: KeptBatch | None = None
        self._model = model
        self._take = take
        self._seen: Any = None
        self._close: list[Callable[[], None]] = []

    def open(self) -> None:
        """Put it in; the model compiles its step anew."""
        self.close()  # an interrupted training leaves it in, and the model may have another optimizer since
        step = self._model.train_step

        def train_step(data: Any) -> Any:
            # What is added comes last: seeds of TensorFlow's own random operations count the operations before them.
            logs = step(data)
            self.steps.assign_add(1)
            self._keep(data)
            return logs

        self._replace(self._model, "train_step", train_step)
        optimizer = self._model.optimizer
        if optimizer is not None:
            apply, scale_loss = optimizer.apply, optimizer.scale_loss

            def tapped_apply(grads: Any, trainable_variables: Any = None) -> Any:
                grads = list(grads)
                variables = (
                    self._model.trainable_variables if trainable_variables is None else list(trainable_variables)
                )
                self._copy(grads, variables, scale_loss)
                return apply(grads, None if trainable_variables is None else variables)

            def tapped_scale_loss(loss: Any) -> Any:
                self._seen = loss
                return scale_loss(loss)

            self._replace(optimizer, "apply", tapped_apply)
            self._replace(optimizer, "scale_loss", tapped_scale_loss)
        self._model.train_function = None

    def close(self) -> None:
        """Take it out."""
        for put_back in self._close:
            put_back()
        if self._close:
            self._model.train_function = None
        self._close.clear()

    def _replace(self, owner: Any, name: str, function: Any) -> None:
        own = vars(owner).get(name)
        setattr(owner, name, function)
        self._close.append((lambda: delattr(owner, name)) if own is None else (lambda: setattr(owner, name, own)))

    def _copy(self, grads: Sequence[Any], variables: Sequence[Any], scale_loss: Callable[[Any], Any]) -> None:
        rows = [
            (self._room(variable), gradient)
            for variable, gradient in zip(variables, grads, strict=True)
            if gradient is not None
        ]
        loss, self._seen = self._seen, None
        if not tf.executing_eagerly() and getattr(loss, "graph", None) is not tf.compat.v1.get_default_graph():
            loss = None  # of another function, from which nothing can be read here

        def copy() -> Any:
            for held, gradient in rows:
                held.gradient.assign(tf.convert_to_tensor(gradient))
                held.before.assign(held.variable.value)
            self.rate.assign(tf.cast(self._model.optimizer.learning_rate, tf.float32))
            self.factor.assign(tf.cast(scale_loss(tf.ones(())), tf.float32))
            self.loss.assign(np.nan if loss is None else tf.cast(loss, tf.float32))
            return tf.constant(0)

        tf.cond(self.on, copy, lambda: tf.constant(0))

    def _room(self, variable: Any) -> Held:
        if id(variable) not in self.held:
            self.held[id(variable)] = Held.room_for(variable)
        return self.held[id(variable)]

    def _keep(self, data: Any) -> None:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self._take and self.batch is None:
            with tf.init_scope():
                self.batch = KeptBatch.like(x, y, self._take)
        if self.batch is not None:
            self.batch.keep(x, y)


class KeptBatch:
    """Room for some samples of one batch, as the model is fed them.

    Attributes
    ----------
    count
        How many are kept; 0 at first.
    """

    def __init__(self, structure: Any, leaves: Sequence[tf.Variable], take: int) -> None:
        self.count = tf.Variable(0, trainable=False)
        self._structure = structure
        self._leaves = leaves
        self._take = take

    @staticmethod
    def like(x: Any, y: Any, take: int) -> KeptBatch | None:
        """Make room for samples like these; `None` where they are of varying size or no plain numbers."""
        tensors = [t for t in keras.tree.flatten((x, y)) if t is not None]
        if not tensors or not all(_is_plain(t) for t in tensors):
            return None
        leaves = [tf.Variable(tf.zeros((take, *t.shape[1:]), t.dtype), trainable=False) for t in tensors]
        return KeptBatch(keras.tree.map_structure(lambda _: 0, (x, y)), leaves, take)

    def keep(self, x: Any, y: Any) -> None:
        """Keep the first samples of a batch, if none are kept yet."""
        tensors = [tf.convert_to_tensor(t) for t in keras.tree.flatten((x, y)) if t is not None]
        shapes = [leaf.shape[1:] for leaf in self._leaves]
        if [t.shape[1:] for t in tensors] != shapes:
            return  # traced for batches of another shape

        def copy() -> Any:
            size = tf.shape(tensors[0])[0]
            rows = tf.range(self._take) % size  # of a static length, as XLA wants it; what is too much is dropped below
            for leaf, tensor in zip(self._leaves, tensors, strict=True):
                leaf.assign(tf.gather(tensor, rows))
            self.count.assign(tf.minimum(size, self._take))
            return tf.constant(0)

        tf.cond(tf.equal(self.count, 0), copy, lambda: tf.constant(0))

    def read(self) -> tuple[Any, Any] | None:
        """Return what was kept as ``(x, y)``, NumPy arrays ``(n, *shape)``; `None` if there is nothing yet."""
        count = int(self.count)
        if not count:
            return None
        leaves = iter(self._leaves)
        x, y = keras.tree.map_structure(lambda s: None if s is None else next(leaves).numpy()[:count], self._structure)
        return x, y


def _is_plain(tensor: Any) -> bool:
    if not tf.is_tensor(tensor) or isinstance(tensor, tf.SparseTensor | tf.RaggedTensor) or tensor.dtype == tf.string:
        return False
    return bool(tensor.shape.rank) and None not in tensor.shape[1:]
