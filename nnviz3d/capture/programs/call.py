"""One recorded call of a layer or operation, which can be run again."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src import backend
from keras.src.layers.layer import Layer

from nnviz3d.capture.programs.gates import LARGEST as LARGEST_GATES
from nnviz3d.capture.programs.gates import gate_names, gates_recorded, gates_size
from nnviz3d.capture.programs.node_paths import is_plumbing
from nnviz3d.capture.programs.time_loops import TimeLoop, Values, folded_results, results_in_loops, run_in_loops
from nnviz3d.capture.programs.tracer import layers_inside

_ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention, keras.layers.Attention)
_SCORES = "return_attention_scores"
"""Argument with which Keras' attention layers return their scores."""


@dataclass(frozen=True)
class Call:
    """One recorded call of one layer or operation.

    Parameters
    ----------
    operation
        The called layer or operation.
    path, index
        Its path in the graph, and the number of earlier calls of this path.
    outputs
        Its symbolic output tensors, ``(batch, *shape)`` each.
    sources
        Its input tensors in the order of the arguments: position of an earlier call, and number of its output.
    variables
        Variables among the arguments, which belong to a composite and not to the operation.
    autocast, direct, loops
        As in `TracedCall`: the call may run at every step of a sequence.
    """

    operation: Any
    path: str
    index: int
    outputs: tuple[Any, ...]
    sources: tuple[tuple[int, int], ...]
    variables: tuple[Any, ...]
    arguments: Any = field(repr=False)
    autocast: str | None = None
    direct: bool = False
    loops: tuple[TimeLoop, ...] = ()

    @property
    def is_input(self) -> bool:
        """Whether the call represents one of the model's inputs."""
        return isinstance(self.operation, keras.layers.InputLayer)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of the first output, without the batch; empty if there is no output."""
        return tuple(self.outputs[0].shape[1:]) if self.outputs else ()

    @property
    def plumbing(self) -> bool:
        """Whether the call only changes the type of a tensor, so that it gets no node; a layer always gets one."""
        named = not isinstance(self.operation, Layer) and is_plumbing(type(self.operation).__name__)
        return named and len(self.sources) == 1

    @property
    def attends(self) -> bool:
        """Whether the call is that of an attention layer that can return its scores."""
        return isinstance(self.operation, _ATTENTION) and _SCORES in _parameters(self.operation)

    @property
    def hides_attention(self) -> bool:
        """Whether the call contains attention layers whose scores are not available, for example inside a wrapper."""
        if self.attends or not isinstance(self.operation, Layer):
            return False
        return any(isinstance(part, _ATTENTION) for part in layers_inside(self.operation))

    @property
    def attended(self) -> tuple[Any, ...]:
        """The symbolic query, value and, if given, key of an attention layer, ``(batch, *positions, features)`` each.

        They are those of one step, if the call runs at every step of a sequence.
        """
        given = inspect.signature(self.operation.call).bind(*self.arguments.args, **self.arguments.kwargs).arguments
        first = next(iter(given.values()))
        if isinstance(first, list | tuple):
            return tuple(first)
        return (first, *(given[name] for name in ("value", "key") if given.get(name) is not None))

    @property
    def query(self) -> Any:
        """The symbolic query of an attention layer."""
        return self.attended[0]

    def outside(self, symbol: Any) -> Any:
        """Return the tensor outside of all loops of which a tensor of the call is one step."""
        for loop in self.loops:
            symbol = loop.outside(symbol)
        return symbol

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates and states that can be captured: those of a recurrent layer, if they are not too large."""
        names = gate_names(self.operation)
        return names if names and self.gates_size <= LARGEST_GATES else ()

    @property
    def gates_size(self) -> int:
        """Size of the gates for one sample in bytes; 0 without gates."""
        if not gate_names(self.operation):
            return 0
        steps = math.prod([int(n or 1) for n in self.outputs[0].shape[1 : 1 + len(self.loops)]])
        made = self.loops[0].made[0][0] if self.loops else self.outputs[0]
        return steps * gates_size(self.operation, self.arguments.keras_tensors[0].shape, made.shape)

    def with_gates(self, values: Values) -> dict[str, Any]:
        """Compute the outputs as `__call__` does; returns the gates, ``(batch, time, *shape)`` each, by name."""
        names = self.gates

        def once(local: Values) -> list[Any]:
            with gates_recorded(self.operation) as found:
                self._once(local)
            return [found[name] for name in names]

        return dict(zip(names, results_in_loops(self.loops, values, once, len(names)), strict=True))

    def attention_scores(self, values: Values) -> Any:
        """Call an attention layer again for its scores, with the masks and flags of the recorded call.

        The scores of all steps of a sequence are folded into the batch: ``(batch * time, ...)``.
        """
        return folded_results(self.loops, values, self._scores)

    def _scores(self, values: Values) -> Any:
        # The layer removes masks from its arguments, so the masks are restored for the call itself, which follows.
        args, kwargs = self.arguments.fill_in(values)
        at = list(_parameters(self.operation)).index(_SCORES)
        if len(args) > at:
            args = (*args[:at], True, *args[at + 1 :])
        else:
            kwargs = {**kwargs, _SCORES: True}
        masks = [(t, backend.get_keras_mask(t)) for t in keras.tree.flatten((args, kwargs)) if backend.is_tensor(t)]
        flash = getattr(self.operation, "_flash_attention", None)
        if flash:
            object.__setattr__(self.operation, "_flash_attention", False)
        try:
            return self.operation(*args, **kwargs)[1]
        finally:
            if flash:
                object.__setattr__(self.operation, "_flash_attention", flash)
            for tensor, mask in masks:
                backend.set_keras_mask(tensor, mask)

    def __call__(self, values: Values) -> None:
        """Compute the outputs from the values of earlier calls; keys are the ids of the symbolic tensors."""
        if not self.is_input:
            run_in_loops(self.loops, values, self._once)

    def _once(self, values: Values) -> None:
        """Run the call, or one step of it."""
        args, kwargs = self.arguments.fill_in(values)
        function = self.operation.call if self.direct else self.operation
        with nullcontext() if self.autocast is None else backend.AutocastScope(self.autocast):
            results = function(*args, **kwargs)
        flat = keras.tree.flatten(results)
        made = [one for one, _ in self.loops[0].made] if self.loops else self.outputs
        values.update((id(tensor), value) for tensor, value in zip(made, flat, strict=True))


def _parameters(operation: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(operation.call).parameters
