"""Runs of models that leave all variables unchanged: states, counters, statistics, seeds of random generators.

There are two protections. Keras' variables are read and written in a scope that keeps the new values to itself
(`frozen`). Other variables that a layer assigns, `tf.Variable`, are read before each run and restored after it
(`Compiled`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend

_SEED = "seed_generator_state"
"""The name that Keras gives to the state of every `keras.random.SeedGenerator`."""
_CHANGES = ("Assign", "ResourceScatter", "ResourceSparseApply", "ResourceApply", "ResourceStridedSliceAssign")
"""Prefixes of the names of operations that write to a `tf.Variable`."""


class FrozenScope(keras.StatelessScope):  # type: ignore[misc]  # Keras has no types
    """A scope that keeps assignments to Keras' variables to itself: later code inside sees them, code outside does not.

    It keeps losses that layers add too: `Layer.losses` returns them inside.
    """

    def __init__(self) -> None:
        super().__init__(collect_losses=True)
        self._updated: dict[int, Any] = {}
        self._graph: Any = None
        self._ends = ExitStack()

    def __enter__(self) -> FrozenScope:
        self._graph = _graph()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._ends.close()

    def keep_losses(self, layers: Iterable[Any]) -> None:
        """Restore the losses of the last call of some layers when the scope ends; code inside reads those of this run."""
        self._ends.enter_context(losses_kept(layers))

    @property
    def updated(self) -> tuple[Any, ...]:
        """Variables that code inside has assigned to."""
        return tuple(self._updated.values())

    @property
    def drew(self) -> bool:
        """Whether code inside has drawn from a random generator."""
        return any(variable.name == _SEED for variable in self.updated)

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Keep a value that is assigned to a variable; Keras calls it."""
        variable, value = update
        self._updated[id(variable)] = variable
        if _graph() is self._graph:
            super().add_update(update)
        else:
            # Inside a loop or a branch, whose tensors are not readable outside: `Compiled` restores the variable.
            self.state_mapping.pop(id(variable), None)
            variable._direct_assign(value)

    def get_current_value(self, variable: Any) -> Any:
        """Return the present value of a variable; Keras calls it."""
        return self.state_mapping.get(id(variable), variable._value)


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


@contextmanager
def frozen() -> Iterator[FrozenScope]:
    """Open a `FrozenScope`, or join the open one, so that all code inside shares one state."""
    outer = backend.get_stateless_scope()
    if isinstance(outer, FrozenScope):
        yield outer
        return
    with FrozenScope() as scope:
        yield scope


class Compiled:
    """A compiled function of tensors that runs a model, rounds as Keras does, and changes no variable.

    XLA stays off and TensorFlow must not rewrite the graph, because a fused gelu, or a normalization with constants
    that are multiplied beforehand, rounds differently. (`predict` may do both.)

    Parameters
    ----------
    function
        The function; it runs models inside `frozen`.
    signature
        Types of its arguments; by default they follow each call.
    own
        Variables that the function may change.
    """

    def __init__(
        self, function: Callable[..., Any], signature: Sequence[Any] | None = None, *, own: Sequence[Any] = ()
    ) -> None:
        self._function = tf.function(function, input_signature=signature, jit_compile=False, autograph=False)
        self._own = own
        self._changed: dict[int, tuple[Any, list[_Handle]]] = {}

    @property
    def graph(self) -> Any:
        """The compiled graph of a function that has a signature."""
        return self._function.get_concrete_function().graph

    def __call__(self, *inputs: Any) -> Any:
        """Run it."""
        compiled = self._function.get_concrete_function(*inputs)
        if id(compiled) not in self._changed:
            # The function itself is kept with them, so that no other function gets its id.
            self._changed[id(compiled)] = compiled, _changed_by(compiled.graph, self._own)
        with _put_back(self._changed[id(compiled)][1]), _unoptimized():
            return self._function(*inputs)


_Handle = tuple[Any, int]
"""The handle of a variable in TensorFlow, and the type of its numbers."""


def operations(graph: Any) -> frozenset[str]:
    """Return the kinds of operations in a compiled graph and in all functions that it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return frozenset(node.op for node in nodes)


def _changed_by(graph: Any, own: Sequence[Any]) -> list[_Handle]:
    """Find the variables that a run may change: if it writes to any, all that it holds, except `own`."""
    if not any(operation.startswith(_CHANGES) for operation in operations(graph)):
        return []
    spared = {id(variable.handle) for variable in own}
    found = []
    for handle, inside in graph.captures:
        if inside.dtype != tf.resource or id(handle) in spared:
            continue
        known = tf.__internal__.ops.get_resource_handle_data(inside)
        if known.is_set and len(known.shape_and_type) == 1:
            found.append((handle, known.shape_and_type[0].dtype))
    return found


@contextmanager
def _put_back(handles: Sequence[_Handle]) -> Iterator[None]:
    """Restore the present values of variables when the context ends."""
    # A value that was read shares its memory with the variable until the variable is written to, so nothing is copied.
    before = [tf.raw_ops.ReadVariableOp(resource=handle, dtype=kind) for handle, kind in handles]
    try:
        yield
    finally:
        for (handle, _), value in zip(handles, before, strict=True):
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)


@contextmanager
def _unoptimized() -> Iterator[None]:
    """Keep TensorFlow from rewriting graphs inside the context; the setting is global and may be the user's own."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


@contextmanager
def losses_kept(layers: Iterable[Any]) -> Iterator[None]:
    """Restore the losses of the last call of some layers, and of the layers inside them, when the context ends.

    Keras forgets them when it calls a layer.
    """
    whole = {id(part): part for layer in layers for part in layer._flatten_layers()}
    before = [(part, list(part._losses), set(part._loss_ids)) for part in whole.values()]
    try:
        yield
    finally:
        for part, losses, ids in before:
            part._losses[:] = losses
            part._loss_ids.clear()
            part._loss_ids.update(ids)


@contextmanager
def assignments_undone() -> Iterator[None]:
    """Undo this thread's assignments to variables that existed before the context.

    This works for eager code only; assignments by compiled functions are not noticed.
    """
    kind, here = type(tf.Variable(0.0)), threading.get_ident()
    before: dict[int, tuple[Any, Any]] = {}

    def noting(method: Callable[..., Any], *, new: bool) -> Callable[..., Any]:
        def noted(variable: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == here and id(variable) not in before:
                with tf.init_scope():
                    before[id(variable)] = variable, None if new else variable.read_value()
            return method(variable, *args, **kwargs)

        return noted

    names = [name for name in dir(kind) if name.startswith(("assign", "scatter", "batch_scatter"))]
    own = {name: vars(kind).get(name) for name in ("__init__", *names)}
    for name in own:
        setattr(kind, name, noting(getattr(kind, name), new=name == "__init__"))
    try:
        yield
    finally:
        for name, method in own.items():
            if method is None:
                delattr(kind, name)
            else:
                setattr(kind, name, method)
        for variable, value in before.values():
            if value is not None:
                variable.assign(value)
