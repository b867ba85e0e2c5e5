"""Trace any Keras 3 model into one flat sequence of calls.

Only the modules of this package use private attributes of Keras.

One mechanism serves functional, nested, subclassed and unbuilt models. The model is called once on symbolic inputs.
Meanwhile every composite (a model, or a layer made of layers) runs its own `call` instead of becoming one node. So Keras
records the real graph: each call of each layer, operators such as ``x + y``, and all tensors between them.
`layer.output` and `layer._inbound_nodes` are not used, because a reloaded Sequential has stale nodes there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src import backend
from keras.src.layers.layer import Layer

from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.eager_code import RandomDraw
from nnviz3d.capture.programs.frozen import assignments_undone, frozen, losses_kept
from nnviz3d.capture.programs.node_paths import Namer
from nnviz3d.capture.programs.tf_ops import tensorflow_functions_traced
from nnviz3d.capture.programs.time_loops import Values
from nnviz3d.capture.programs.tracer import Tracer
from nnviz3d.data.axes import Axes
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Parameters
    ----------
    shape
        Shape without the batch axis; `None` for a variable length.
    batch
        The only batch size that the model takes; `None` (nearly always) if it takes any.
    tried
        Whether `shape` comes only from the samples that the model was built on, so that other shapes may work too.
    axes
        Names of the axes of ``shape``, if the shape alone does not determine them.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    batch: int | None = None
    tried: bool = False
    axes: Axes = ()

    @property
    def accepted(self) -> tuple[int | None, ...]:
        """Shapes of samples that the model may accept."""
        return (None,) * len(self.shape) if self.tried else self.shape

    @property
    def picture(self) -> PictureShape | None:
        """The shape of pictures for this input; `None` if it takes no pictures."""
        return PictureShape.of(self.shape, self.axes)


@dataclass(frozen=True)
class Inputs:
    """A model's inputs in flat order, and the structure of its first argument."""

    specs: tuple[InputSpec, ...]
    structure: Any

    def pack(self, flat: Sequence[Any]) -> Any:
        """Arrange one value for each spec as the model's `call` expects it."""
        return keras.tree.pack_sequence_as(self.structure, list(flat))


@dataclass(frozen=True)
class Program:
    """A model as a flat sequence of calls in executable order, inputs first.

    Parameters
    ----------
    inputs, outputs
        Symbolic tensors.
    sealed
        Path of each composite that could not be opened, and the reason.
    rows
        The batch size that was chosen for the trace, if the model's code needs one; no axis of a weight has this length.
    """

    calls: tuple[Call, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[tuple[int, int], ...]
    sealed: dict[str, str]
    rows: int | None = None

    def constants(self) -> frozenset[int]:
        """Find the calls that no input affects, such as an embedding of positions; they are equal for all samples.

        What is made for every sample, such as random numbers or copies of a class token, is none of them.
        """
        found: set[int] = set()
        for i, call in enumerate(self.calls):
            if not call.is_input and all(source in found for source, _ in call.sources) and not self._for_each(call):
                found.add(i)
        return frozenset(found)

    def _for_each(self, call: Call) -> bool:
        batch = self.rows
        if isinstance(call.operation, RandomDraw):
            batch = self.inputs[0].shape[0] if self.inputs else None
        return batch is not None and any(tensor.shape and tensor.shape[0] == batch for tensor in call.outputs)

    @property
    def holds_numbers(self) -> bool:
        """Whether a call takes numbers that were computed during the trace, perhaps from variables."""
        arguments = [call.arguments for call in self.calls if call.arguments is not None]
        return any(backend.is_tensor(t) for a in arguments for t in keras.tree.flatten((a.args, a.kwargs)))

    @property
    def needs_rows(self) -> bool:
        """Whether a call needs the batch size as a number: a `reshape` to a shape with an unknown length, for example."""
        operations = [call.operation for call in self.calls if not isinstance(call.operation, Layer)]
        shapes = [
            getattr(operation, name, None) for operation in operations for name in ("newshape", "shape", "repeats")
        ]
        return any(isinstance(shape, list | tuple) and None in shape for shape in shapes)

    def run(self, flat_inputs: Sequence[Any], gates: dict[int, dict[str, Any]] | None = None) -> list[tuple[Any, ...]]:
        """Run every call once without changing Keras' variables; returns the output tensors of each call.

        Parameters
        ----------
        gates
            Is filled with the gates of the recurrent layers, by the call's position.
        """
        values: Values = {id(symbol): value for symbol, value in zip(self.inputs, flat_inputs, strict=True)}
        layers = [call.operation for call in self.calls if isinstance(call.operation, Layer)]
        with frozen() as scope:
            scope.keep_losses(layers)
            for i, call in enumerate(self.calls):
                try:
                    if gates is not None and call.gates:
                        gates[i] = call.with_gates(values)
                    else:
                        call(values)
                except Exception as error:
                    error.add_note(call.path)
                    raise
        return [tuple(values[id(tensor)] for tensor in call.outputs) for call in self.calls]


def expected_inputs(model: keras.Model) -> Inputs | None:
    """Return a model's inputs; `None` if the model was never built and so does not know them."""
    functional = getattr(model, "_functional", None) or model
    structure = getattr(functional, "_inputs_struct", None)
    if structure is not None:
        tensors = keras.tree.flatten(structure)
        specs = tuple(_spec(t) for t in tensors)
        return Inputs(specs, structure)
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if len(shapes) != 1:
        return None
    shape = next(iter(shapes.values()))
    if _is_shape(shape):
        return Inputs((InputSpec("input", tuple(shape[1:]), model.compute_dtype, tried=True),), 0)
    named = shape if isinstance(shape, Mapping) else {f"input_{i}": one for i, one in enumerate(shape or ())}
    if not named or not all(_is_shape(one) for one in named.values()):
        return None
    structure = dict.fromkeys(named, 0) if isinstance(shape, Mapping) else [0] * len(named)
    order = (
        sorted(named) if isinstance(shape, Mapping) else list(named)
    )  # Keras flattens a dictionary by its sorted keys
    known = (InputSpec(str(name), tuple(named[name][1:]), model.compute_dtype, tried=True) for name in order)
    return Inputs(tuple(known), structure)


def _is_shape(value: object) -> bool:
    """Whether a value is the shape of one tensor; a model's file has it as a list."""
    return isinstance(value, tuple | list) and len(value) > 0 and all(n is None or isinstance(n, int) for n in value)


def _spec(tensor: Any) -> InputSpec:
    # The layer of the tensor has the name that summary() shows; the tensor's name may be "keras_tensor_12".
    history = getattr(tensor, "_keras_history", None)
    name = history.operation.name if history is not None and history.operation is not None else tensor.name
    return InputSpec(name, tuple(tensor.shape[1:]), tensor.dtype, tensor.shape[0])


def check_call(model: keras.Model) -> None:
    """Refuse a model that only holds other models, as one of a GAN often does.

    Raises
    ------
    ModelError
        If the model has no `call`; it names the parts that have one.
    """
    if type(model).call not in (keras.Model.call, Layer.call):
        return
    name = f"{type(model).__name__} {model.name!r}"
    parts = {key: part for key, part in vars(model).items() if isinstance(part, Layer) and not key.startswith("_")}
    if not parts:
        raise ModelError(f"{name} has no call(), so it computes nothing; write one.")
    first = next(iter(parts))
    raise ModelError(
        f"{name} has no call(), so it does not run as a whole; its parts are "
        f"{', '.join(f'{key} ({type(part).__name__})' for key, part in parts.items())}. Capture one of them: give "
        f"model.{first} in Python, or save it with model.{first}.save('{first}.keras') and open that file."
    )


def open_model(model: keras.Model, inputs: Inputs) -> Program:
    """Trace a model into its flat program. The model, its layers and Keras stay unchanged.

    Raises
    ------
    ModelError
        If the model has no `call`, or cannot run on symbolic inputs.
    """
    check_call(model)
    symbols = [keras.Input(batch_shape=(s.batch, *s.shape), dtype=s.dtype, name=s.name) for s in inputs.specs]
    tracer = Tracer(model, symbols)
    with tracer.patched(), tensorflow_functions_traced(), assignments_undone(), losses_kept([model]):
        try:
            result = model(inputs.pack(symbols), training=False)
        except Exception as error:
            raise ModelError(
                f"{type(model).__name__} {model.name!r} cannot be traced: {reason(error)} Write its call() with "
                "keras.layers and keras.ops, without Python ifs and loops over tensors, and check that the input fits."
            ) from error
    outputs = [t for t in keras.tree.flatten(result) if backend.is_keras_tensor(t)]
    if not outputs:
        raise ModelError(f"{type(model).__name__} {model.name!r} returns no tensor, so there is nothing to show.")
    return _assemble(tracer, outputs)


def _assemble(tracer: Tracer, outputs: Sequence[Any]) -> Program:
    """Select the recorded calls that affect an output, in the order of the calls, and name them."""
    maker = {id(t): (i, k) for i, r in enumerate(tracer.records) for k, t in enumerate(r.outputs)}
    needed = {i for i, record in enumerate(tracer.records) if record.is_input}
    pending = [maker[id(t)][0] for t in outputs]
    while pending:
        i = pending.pop()
        if i not in needed:
            needed.add(i)
            pending.extend(maker[id(t)][0] for t in tracer.records[i].tensors)
    kept = sorted(needed)
    position = {old: new for new, old in enumerate(kept)}
    namer = Namer()
    calls = []
    for i in kept:
        record = tracer.records[i]
        path, index = namer.name(record.operation, record.where, record.fresh)
        sources = dict.fromkeys(maker[id(t)] for t in record.tensors)
        calls.append(
            Call(
                record.operation,
                path,
                index,
                record.outputs,
                tuple((position[j], k) for j, k in sources),
                record.variables,
                record.arguments,
                record.autocast,
                record.direct,
                record.loops,
            )
        )
    ends = dict.fromkeys((position[i], k) for i, k in (maker[id(t)] for t in outputs))
    return Program(tuple(calls), tuple(tracer.symbols), tuple(ends), dict(tracer.sealed))


def with_mask_of(source: Any, tensor: Any) -> Any:
    """Attach the Keras mask of one tensor to another, as Keras does between layers."""
    mask = backend.get_keras_mask(source)
    if mask is not None:
        backend.set_keras_mask(tensor, mask)
    return tensor
