"""Runs models without a change to what they remember: states, counters, statistics, seeds of random generators.

Two belts. Variables of Keras are read and written in a scope that keeps the new values to itself (`frozen`). What a layer
assigns past Keras, to a `tf.Variable` of its own, is read before each run and put back behind it (`Compiled`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend

_SEED = "seed_generator_state"
"""Keras' name for the state of every `keras.random.SeedGenerator`."""
_CHANGES = ("Assign", "ResourceScatter", "ResourceSparseApply", "ResourceApply", "ResourceStridedSliceAssign")
"""How the names of operations begin that write to a `tf.Variable`."""


class FrozenScope(keras.StatelessScope):  # type: ignore[misc]  # Keras has no types
    """A scope in which what is assigned to Keras' variables is seen by what follows inside, and nowhere else.

    Losses that layers add are kept too: `Layer.losses` inside tells them.
    """

    def __init__(self) -> None:
        super().__init__(collect_losses=True)
        self._updated: dict[int, Any] = {}
        self._graph: Any = None

    def __enter__(self) -> FrozenScope:
        self._graph = _graph()
        super().__enter__()
        return self

    @property
    def updated(self) -> tuple[Any, ...]:
        """Variables that were assigned to inside."""
        return tuple(self._updated.values())

    @property
    def drew(self) -> bool:
        """Whether a random generator was asked inside."""
        return any(variable.name == _SEED for variable in self.updated)

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take in that a variable was assigned to; Keras calls it."""
        variable, value = update
        self._updated[id(variable)] = variable
        if _graph() is self._graph:
            super().add_update(update)
        else:
            # Inside of a loop or a branch, whose tensors nothing outside can read: `Compiled` puts the variable back.
            self.state_mapping.pop(id(variable), None)
            variable._direct_assign(value)

    def get_current_value(self, variable: Any) -> Any:
        """Return what a variable is at this point; Keras calls it."""
        return self.state_mapping.get(id(variable), variable._value)


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


@contextmanager
def frozen() -> Iterator[FrozenScope]:
    """Open a `FrozenScope`, or go on in the one that is open: so what runs inside one shares a state."""
    outer = backend.get_stateless_scope()
    if isinstance(outer, FrozenScope):
        yield outer
        return
    with FrozenScope() as scope:
        yield scope


class Compiled:
    """A function of tensors that runs a model: compiled, it rounds as Keras does, and changes no variable.

    So XLA stays off, and TensorFlow may not rewrite the graph: a fused gelu, or a normalization whose constants were
    multiplied beforehand, rounds otherwise. (`predict` may do both.)

    Parameters
    ----------
    function
        Runs models inside `frozen`.
    signature
        What it takes; by default whatever it is called with.
    own
        Variables that it is meant to change.
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
            # The function itself is kept beside them, so that no other one gets its id.
            self._changed[id(compiled)] = compiled, _changed_by(compiled.graph, self._own)
        with _put_back(self._changed[id(compiled)][1]), _unoptimized():
            return self._function(*inputs)


_Handle = tuple[Any, int]
"""What TensorFlow knows a variable by, and the type of its numbers."""


def operations(graph: Any) -> frozenset[str]:
    """Return the kinds of the operations of a compiled graph and of all functions that it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return frozenset(node.op for node in nodes)


def _changed_by(graph: Any, own: Sequence[Any]) -> list[_Handle]:
    """Find the variables that a run may change: if it writes to any, all that it holds, without its own."""
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
    """Give variables what they hold now once the context ends."""
    # What is read shares its memory with the variable until that is written to, so this copies nothing.
    before = [tf.raw_ops.ReadVariableOp(resource=handle, dtype=kind) for handle, kind in handles]
    try:
        yield
    finally:
        for (handle, _), value in zip(handles, before, strict=True):
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)


@contextmanager
def _unoptimized() -> Iterator[None]:
    """Keep TensorFlow from rewriting graphs for a while; the setting is the process's, which may be a user's own."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


@contextmanager
def assignments_undone() -> Iterator[None]:
    """Undo, in the end, what this thread assigns meanwhile to variables that were there before.

    It is for code that runs line by line. What compiled functions assign is not seen here.
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
