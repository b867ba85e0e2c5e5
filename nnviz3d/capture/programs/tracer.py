"""Recording of the calls of layers and operations while a model runs on symbolic inputs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.layers.layer import Layer
from keras.src.ops.node import Node

from nnviz3d.capture.programs.eager_code import eager_code_recorded
from nnviz3d.capture.programs.time_loops import TimeLoop, sequence_shape
from nnviz3d.data.printable import reason

# Layers that Keras builds from layers, but that users know as one layer: opened, they would show cells and projections.
_SEALED = (keras.layers.RNN, keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
_OPENED = (keras.layers.Wrapper, keras.layers.Bidirectional, keras.layers.Pipeline)
"""Layers of Keras whose layers each get a node."""


@dataclass
class TracedCall:
    """A call of a layer or operation, from Keras' node of the call.

    Attributes
    ----------
    operation, arguments, outputs
        The layer or operation, Keras' record of its arguments (`None` for an input), and its symbolic outputs.
    where
        Names from the model down to the operation, without the model's own.
    fresh
        Whether the operation was created by this call.
    autocast
        Type to which the call casts variables, if any.
    direct
        Whether only the layer's `call` runs, without what Keras does before and after it.
    loops
        Loops over time around the call, the innermost first. `arguments` holds the tensors of one step, `outputs` those
        of the whole sequence.
    """

    operation: Any
    where: tuple[str, ...]
    outputs: tuple[Any, ...]
    arguments: Any
    fresh: bool
    autocast: str | None = None
    direct: bool = False
    loops: tuple[TimeLoop, ...] = ()

    @property
    def tensors(self) -> list[Any]:
        """The symbolic tensors among the arguments, outside of all loops."""
        found = self.arguments.keras_tensors if self.arguments is not None else []
        for loop in self.loops:
            found = [loop.outside(tensor) for tensor in found]
        return list(found)

    @property
    def is_input(self) -> bool:
        """Whether the call represents an input of the model."""
        return isinstance(self.operation, keras.layers.InputLayer)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables among the arguments of an operation."""
        return () if isinstance(self.operation, Layer) or self.arguments is None else _variables(self.arguments)


def _variables(arguments: Any) -> tuple[Any, ...]:
    flat = keras.tree.flatten((arguments.args, arguments.kwargs))
    return tuple(a for a in flat if isinstance(a, backend.Variable))


@dataclass
class _Frame:
    """A layer during its call; ``opening`` while its own code runs on symbols, ``opened`` after that."""

    layer: Any
    opening: bool = False
    opened: bool = False


class Tracer:
    """Records the calls that depend on our inputs while Keras is patched; other threads see Keras unpatched."""

    def __init__(self, model: keras.Model, symbols: Sequence[Any]) -> None:
        self.symbols = list(symbols)
        self.records = [TracedCall(t._keras_history.operation, (t.name,), (t,), None, False) for t in symbols]
        self.sealed: dict[str, str] = {}
        self._top = model
        self._mine = {id(t) for t in symbols}
        self._made: list[Any] = []  # kept, so that their ids are not given to other objects
        self._nodes: list[Node] = []
        self._frames: list[_Frame] = []
        self._thread = threading.get_ident()

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Patch Keras during one symbolic call; afterwards remove the patches and the nodes that the call added."""
        call, symbolic_call, init = Layer.__call__, Layer.symbolic_call, Node.__init__
        tracer = self

        def traced_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != tracer._thread:
                return call(layer, *args, **kwargs)
            alone = tracer._stands_alone(layer, args, kwargs)
            tracer._frames.append(_Frame(layer))
            try:
                result = call(layer, *args, **kwargs)
                return tracer._as_symbols(layer, args, kwargs, result) if alone else result
            finally:
                tracer._frames.pop()

        def traced_symbolic_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == tracer._thread and tracer._descends(args, kwargs) and is_composite(layer):
                return tracer._open(layer, symbolic_call, args, kwargs)
            return _apart(symbolic_call(layer, *args, **kwargs), args, kwargs)

        def traced_init(node: Any, operation: Any, **arguments: Any) -> None:
            mine = threading.get_ident() == tracer._thread
            if mine and tracer._frames and tracer._frames[-1].layer is operation and tracer._frames[-1].opened:
                # Keras would add a node for the composite itself after its inner layers; only these belong to the graph.
                return
            fresh = not isinstance(operation, Layer) and not operation._inbound_nodes
            init(node, operation, **arguments)
            if mine:
                tracer._record(node, fresh)

        Layer.__call__, Layer.symbolic_call, Node.__init__ = traced_call, traced_symbolic_call, traced_init
        try:
            with eager_code_recorded(self._opens, self._traces, self._record_draw):
                yield
        finally:
            Layer.__call__, Layer.symbolic_call, Node.__init__ = call, symbolic_call, init
            self._take_back()

    def _open(self, layer: Any, symbolic_call: Any, args: Any, kwargs: Any) -> Any:
        frame = self._frames[-1]
        frame.opening = True
        try:
            outputs = self._outputs(layer, args, kwargs)
        except Exception as error:
            # Its own code may raise any error on a symbolic tensor, for example when it asks for the value. Then the
            # composite becomes one node, and the capture has a note. For the whole model that would leave no graph.
            frame.opening = False
            if layer is self._top:
                raise
            outputs = _apart(symbolic_call(layer, *args, **kwargs), args, kwargs)
            self.sealed["/".join(self._where())] = reason(error, 160)
            return outputs
        frame.opening, frame.opened = False, True
        return outputs

    def _outputs(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Run the code of a composite on symbols."""
        if type(layer).call is keras.layers.TimeDistributed.call:
            return self._over_time(layer, *args, **kwargs)
        with _unfused(layer):
            return layer.call(*args, **kwargs)

    def _over_time(self, wrapper: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Record the calls of a layer at one step of a sequence, and put a loop over all steps around each of them.

        `TimeDistributed` runs only the `call` of its layer, at each step separately.
        """
        layer, begin = wrapper.layer, len(self.records)
        length = inputs.shape[1]
        arguments = {"training": training} if layer._call_has_training_arg else {}
        pairs = [(self._symbol((inputs.shape[0], *inputs.shape[2:]), inputs.dtype, layer.name), inputs)]
        if layer._call_has_mask_arg and mask is not None:
            pairs.append((self._symbol((mask.shape[0], *mask.shape[2:]), mask.dtype, "mask"), mask))
            arguments["mask"] = pairs[1][0]
        self._frames.append(_Frame(layer, opening=is_composite(layer)))
        try:
            result = self._call_of(layer, (pairs[0][0],), arguments)
        finally:
            self._frames.pop()
        wholes = {id(one): (one, whole) for one, whole in pairs}
        for i in range(begin, len(self.records)):
            record = self.records[i]
            taken = tuple(dict.fromkeys(id(t) for t in record.tensors if id(t) in wholes))
            if not taken:
                continue  # the same at every step
            made = []
            for one in record.outputs:
                whole = self._symbol(sequence_shape(one.shape, length), one.dtype, record.operation.name)
                wholes[id(one)] = (one, whole)
                made.append((one, whole))
            loop = TimeLoop(tuple(wholes[key] for key in taken), tuple(made))
            self.records[i] = replace(record, outputs=tuple(whole for _, whole in made), loops=(*record.loops, loop))
        return keras.tree.map_structure(lambda tensor: wholes[id(tensor)][1], result)

    def _call_of(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Record the `call` of a layer alone; that of a composite opens it."""
        if is_composite(layer):
            return self._outputs(layer, args, kwargs)
        outputs = _apart(layer.compute_output_spec(*args, **kwargs), args, kwargs)
        Node(layer, call_args=args, call_kwargs=kwargs, outputs=outputs)
        scope = backend.get_autocast_scope()
        self.records[-1] = replace(self.records[-1], direct=True, autocast=None if scope is None else scope.dtype)
        return outputs

    def _symbol(self, shape: Any, dtype: str, name: str) -> Any:
        """Make a symbolic tensor that calls may take; the name keeps Keras from counting it."""
        symbol = keras.Input(batch_shape=shape, dtype=dtype, name=name) if shape else keras.KerasTensor((), dtype)
        self._mine.add(id(symbol))
        self._made.append(symbol)
        return symbol

    def _traces(self) -> bool:
        """Whether this thread is that of the trace."""
        return threading.get_ident() == self._thread

    def _opens(self) -> bool:
        """Whether the code of a composite runs on symbols in this thread."""
        return self._traces() and bool(self._frames) and self._frames[-1].opening and tf.executing_eagerly()

    def _record_draw(self, operation: Any, args: Any, kwargs: Any, output: Any) -> None:
        self._mine.add(id(output))
        Node(operation, call_args=args, call_kwargs=kwargs, outputs=output)

    def _stands_alone(self, layer: Any, args: Any, kwargs: Any) -> bool:
        """Whether an opened composite calls this layer on plain numbers, for example to embed positions."""
        if not self._frames or not self._frames[-1].opening or is_composite(layer) or not tf.executing_eagerly():
            return False
        flat = keras.tree.flatten((args, kwargs))
        return not any(backend.is_keras_tensor(t) for t in flat)

    def _as_symbols(self, layer: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """Convert outputs for plain numbers to symbols, so that the layer becomes part of the graph."""
        if not all(backend.is_tensor(t) for t in keras.tree.flatten(result)):
            return result
        symbols = keras.tree.map_structure(
            lambda t: keras.KerasTensor(t.shape, backend.standardize_dtype(t.dtype)), result
        )
        self._mine.update(id(t) for t in keras.tree.flatten(symbols))
        Node(layer, call_args=args, call_kwargs=kwargs, outputs=symbols)
        return symbols

    def _record(self, node: Any, fresh: bool) -> None:
        if not any(id(t) in self._mine for t in (*node.arguments.keras_tensors, *node.outputs)) and not (
            self._opens() and _variables(node.arguments)
        ):
            return
        self._nodes.append(node)
        self._mine.update(id(t) for t in node.outputs)
        scope = backend.get_autocast_scope()
        where = self._where()
        if not (self._frames and self._frames[-1].layer is node.operation):
            where = (*where, node.operation.name)
        autocast = None if scope is None or isinstance(node.operation, Layer) else scope.dtype
        self.records.append(TracedCall(node.operation, where, tuple(node.outputs), node.arguments, fresh, autocast))

    def _where(self) -> tuple[str, ...]:
        return tuple(frame.layer.name for frame in self._frames[1:])

    def _descends(self, args: Any, kwargs: Any) -> bool:
        return any(id(t) in self._mine for t in keras.tree.flatten((args, kwargs)))

    def _take_back(self) -> None:
        for node in reversed(self._nodes):
            node.operation._inbound_nodes.remove(node)
            for tensor in node.arguments.keras_tensors:
                maker = tensor._keras_history.operation
                if maker is not None and node in maker._outbound_nodes:
                    maker._outbound_nodes.remove(node)


def _apart(outputs: Any, args: Any, kwargs: Any) -> Any:
    """Replace outputs that are inputs of the same call by symbols of their own: such a layer may still compute."""
    taken = {id(t) for t in keras.tree.flatten((args, kwargs)) if backend.is_keras_tensor(t)}
    return keras.tree.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype) if id(t) in taken else t, outputs)


@contextmanager
def _unfused(layer: Any) -> Iterator[None]:
    """Keep `Bidirectional` from a first try of fused code, which TensorFlow lacks and symbolic tensors cannot run."""
    names = ("_can_attempt_fused_lstm", "_can_attempt_fused_gru")
    own = [name for name in names if isinstance(layer, keras.layers.Bidirectional) and hasattr(type(layer), name)]
    for name in own:
        object.__setattr__(layer, name, lambda *_: False)
    try:
        yield
    finally:
        for name in own:
            object.__delattr__(layer, name)


def layers_inside(layer: Any, *, deep: bool = True) -> Iterator[Any]:
    """Yield the layers inside a layer; if `deep`, also the layers inside these."""
    yield from layer._flatten_layers(include_self=False, recursive=deep)


def is_composite(layer: Any) -> bool:
    """Whether a layer consists of layers that each get a node: a model, or a custom layer with layers inside."""
    if isinstance(layer, (keras.Model, *_OPENED)):
        return True
    if isinstance(layer, _SEALED) or type(layer).__module__.startswith(("keras.src.", "keras.layers.")):
        return False
    return bool(layer._layers)
