"""Record calls of TensorFlow functions in a traced graph.

Many models call functions such as ``tf.concat`` or ``tf.nn.relu``, which reject Keras' symbolic tensors. TensorFlow passes
rejected arguments to dispatchers; the dispatcher here records the call as a Keras operation, as Keras 2 did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import keras
import tensorflow as tf

_VERSION = re.compile(r"_v\d+(_with_dispatch)?$")
_tracing: ContextVar[bool] = ContextVar("tracing", default=False)


class _TensorFlowFunction(keras.Operation):  # type: ignore[misc]
    """A call of one TensorFlow function; each function has a class of its own, whose name is the node's kind."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__(name=name)
        self._function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Keras wrongly marks `x * 2.0` as sparse; TensorFlow would treat it as sparse.
        args, kwargs = keras.tree.map_structure(_dense, (args, kwargs))
        return super().compute_output_spec(*args, **kwargs)


def _dense(value: Any) -> Any:
    return keras.KerasTensor(value.shape, value.dtype) if keras.utils.is_keras_tensor(value) else value


class _Dispatcher(tf.__internal__.dispatch.GlobalOpDispatcher):  # type: ignore[misc]
    """Handles calls on symbolic tensors while a model is traced in this context."""

    def handle(self, op: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not _tracing.get() or not any(keras.utils.is_keras_tensor(t) for t in keras.tree.flatten((args, kwargs))):
            return self.NOT_SUPPORTED
        name = _VERSION.sub("", getattr(op, "__name__", "function"))
        kind = "".join(part.capitalize() for part in name.split("_"))
        return type(kind, (_TensorFlowFunction,), {})(op, name)(*args, **kwargs)


@cache
def _register() -> None:
    # TensorFlow cannot unregister a dispatcher; outside of a trace this one declines all calls.
    _Dispatcher().register()


@contextmanager
def tensorflow_functions_traced() -> Iterator[None]:
    """Record calls of TensorFlow functions on symbolic tensors as operations inside the context."""
    _register()
    token = _tracing.set(True)
    try:
        yield
    finally:
        _tracing.reset(token)
