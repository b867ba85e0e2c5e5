"""Record what an opened composite would compute without any symbolic tensor: random draws, and operations on variables.

Keras runs such code at once, on numbers. The trace would hold these numbers instead of the computation, and they would
neither follow later changes of the variables nor be drawn anew.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
from keras.src import backend
from keras.src import ops as all_ops
from keras.src.layers.layer import Layer

_DRAWS = ("normal", "uniform", "truncated_normal", "randint", "gamma", "beta", "binomial")
"""Functions of `keras.random` that take a shape."""
_BINARY = {
    "add": all_ops.add,
    "sub": all_ops.subtract,
    "mul": all_ops.multiply,
    "truediv": all_ops.true_divide,
    "floordiv": all_ops.floor_divide,
    "pow": all_ops.power,
    "matmul": all_ops.matmul,
}
_OPERATORS: dict[str, Callable[..., Any]] = {
    **{f"__{name}__": function for name, function in _BINARY.items()},
    **{f"__r{name}__": lambda v, other, f=function: f(other, v) for name, function in _BINARY.items()},
    "__neg__": all_ops.negative,
    "__abs__": all_ops.absolute,
    "__getitem__": lambda v, key: all_ops.get_item(v, key if isinstance(key, tuple) else (key,)),
}
"""Operators of variables, and the operation of each."""


class RandomDraw(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """A call of a function that draws random numbers; each function has a class of its own, the node's kind."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__(name=name)
        self._function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Draw."""
        return self._function(*args, **kwargs)


@contextmanager
def eager_code_recorded(
    active: Callable[[], bool], traced: Callable[[], bool], record: Callable[[Any, Any, Any, Any], None]
) -> Iterator[None]:
    """Record such code inside the context.

    Parameters
    ----------
    active
        Whether the code of an opened composite runs.
    traced
        Whether the running code belongs to the trace: then losses that layers add are left out, because they belong to a
        run and would stay in the layer.
    record
        Records an operation with its arguments, keyword arguments and symbolic output.
    """
    with ExitStack() as patches:
        for module in [m for name, m in list(sys.modules.items()) if name.startswith("keras.src.ops.")]:
            if hasattr(module, "any_symbolic_tensors"):
                own = module.any_symbolic_tensors
                patches.enter_context(_replaced(module, "any_symbolic_tensors", _with_variables(own, active)))
        for name, function in _OPERATORS.items():
            own = getattr(backend.Variable, name)
            patches.enter_context(_replaced(backend.Variable, name, _of_variable(own, function, active)))
        for name in _DRAWS:
            own = getattr(keras.random, name)
            patches.enter_context(_replaced(keras.random, name, _drawn(own, name, active, record)))
        patches.enter_context(_replaced(Layer, "add_loss", _chosen(Layer.add_loss, lambda layer, loss: None, traced)))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    inherited, own = name not in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _chosen(own: Callable[..., Any], other: Callable[..., Any], active: Callable[[], bool]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return other(*args, **kwargs) if active() else own(*args, **kwargs)

    return call


def _with_variables(own: Callable[..., bool], active: Callable[[], bool]) -> Callable[..., bool]:
    """Make Keras take a call on variables alone for a symbolic one."""

    def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
        if own(args, kwargs):
            return True
        return active() and any(map(_is_weight, keras.tree.flatten((args, kwargs))))

    return any_symbolic_tensors


def _is_weight(value: Any) -> bool:
    """Whether a value is a variable that is trained; counters and states, which calls change, stay numbers."""
    return isinstance(value, backend.Variable) and bool(value.trainable)


def _of_variable(
    own: Callable[..., Any], operation: Callable[..., Any], active: Callable[[], bool]
) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        symbolic = active() and any(_is_weight(arg) or backend.is_keras_tensor(arg) for arg in args)
        return operation(*args) if symbolic else own(*args)

    return call


def _drawn(
    own: Callable[..., Any], name: str, active: Callable[[], bool], record: Callable[[Any, Any, Any, Any], None]
) -> Callable[..., Any]:
    signature = inspect.signature(own)
    kind = f"Random{''.join(part.capitalize() for part in name.split('_'))}"

    def call(*args: Any, **kwargs: Any) -> Any:
        if not active():
            return own(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        shape = given["shape"]
        if any(n is None for n in shape):
            raise TypeError(f"keras.random.{name} needs a shape without None, got {tuple(shape)}")
        kept = given.get("dtype") or ("int32" if name == "randint" else keras.config.floatx())
        output = keras.KerasTensor(tuple(shape), backend.standardize_dtype(kept))
        record(type(kind, (RandomDraw,), {})(own, f"random_{name}"), args, kwargs, output)
        return output

    return call
