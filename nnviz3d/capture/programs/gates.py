"""Gates and states of recurrent layers at every time step.

Hochreiter and Schmidhuber 1997, "Long short-term memory", doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber and Cummins
2000 (forget gates), doi:10.1162/089976600300015015; Cho et al. 2014 (GRU), arXiv:1406.1078. The layer's own cell runs a
second time over the sequence, and the results of its activation functions are kept: so the numbers are those of the cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras.src import backend
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

LARGEST = 16 * 2**20
"""Largest size of a layer's gates for one sample, in bytes, that is captured."""


@dataclass(frozen=True)
class _CellNames:
    """Names of what a kind of cell computes at a step.

    Attributes
    ----------
    results
        Names of the results of its activation functions, by attribute, in the order of the calls.
    gates
        The same names in the order of the equations.
    states
        Names of its states.
    """

    results: Mapping[str, tuple[str, ...]]
    gates: tuple[str, ...]
    states: tuple[str, ...]


_LSTM = _CellNames(
    {"recurrent_activation": ("input gate", "forget gate", "output gate"), "activation": ("candidate",)},
    ("input gate", "forget gate", "candidate", "output gate"),
    ("hidden state", "cell state"),
)
_GRU = _CellNames(
    {"recurrent_activation": ("update gate", "reset gate"), "activation": ("candidate",)},
    ("update gate", "reset gate", "candidate"),
    ("hidden state",),
)
_CELLS: Mapping[type, _CellNames] = {
    keras.layers.LSTMCell: _LSTM,
    ConvLSTMCell: _LSTM,
    keras.layers.GRUCell: _GRU,
    keras.layers.SimpleRNNCell: _CellNames({}, (), ("hidden state",)),
}


def gate_names(layer: Any) -> tuple[str, ...]:
    """Return the names of a recurrent layer's gates and states; empty for other layers, and for a user's own loop.

    If several cells are stacked, the cell's name is before them.
    """
    if not isinstance(layer, keras.layers.RNN) or not type(layer).__module__.startswith("keras."):
        return ()
    cells = _cells(layer)
    prefixes = [f"{cell.name}: " for cell in cells] if len(cells) > 1 else [""]
    return tuple(prefix + name for prefix, cell in zip(prefixes, cells, strict=True) for name in _names(cell))


def gates_size(layer: Any, sequence: Sequence[int | None], output: Sequence[int | None]) -> int:
    """Return the size of a layer's gates for one sample in bytes; unknown lengths count as 1.

    Parameters
    ----------
    sequence, output
        Shapes of the layer's input and output, with the batch axis.
    """
    frame = output[2:] if layer.return_sequences else output[1:]
    one = max(math.prod(n or 1 for n in frame), *(_largest(cell.state_size) for cell in _cells(layer)))
    return 4 * (sequence[1] or 1) * one * len(gate_names(layer))


@contextmanager
def gates_recorded(layer: Any) -> Iterator[dict[str, Any]]:
    """Collect the gates of the calls of a layer inside the context: ``(batch, time, *shape)`` each, by name.

    The time runs in the order of processing, as that of the layer's own output does. At masked steps the numbers of the
    step before stay, as the state does.
    """
    found: dict[str, Any] = {}
    own = layer.inner_loop

    def inner_loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        found.update(_run(layer, sequences, initial_state, mask, training))
        return own(sequences, initial_state, mask, training=training)

    # A plain assignment would make Keras track it.
    object.__setattr__(layer, "inner_loop", inner_loop)
    try:
        yield found
    finally:
        object.__delattr__(layer, "inner_loop")


def _run(layer: Any, sequences: Any, states: Any, mask: Any, training: bool) -> dict[str, Any]:
    cells, names = _cells(layer), gate_names(layer)
    options = {"training": training} if getattr(layer.cell, "_call_has_training_arg", False) else {}

    def step(inputs: Any, states: Any) -> tuple[list[Any], Any]:
        with ExitStack() as kept:
            gates = [kept.enter_context(_activations_kept(cell)) for cell in cells]
            _, after = layer.cell(inputs, states, **options)
        after = after if keras.tree.is_nested(after) else [after]
        each = list(after) if len(cells) > 1 else [after]
        return [v for cell, g, s in zip(cells, gates, each, strict=True) for v in _values(cell, g, s)], after

    flat = mask[0] if keras.tree.is_nested(mask) else mask
    _, outputs, _ = backend.rnn(
        step,
        sequences,
        states if keras.tree.is_nested(states) else [states],
        go_backwards=layer.go_backwards,
        mask=flat,
        input_length=sequences.shape[1],
        return_all_outputs=True,
    )
    return dict(zip(names, outputs, strict=True))


def _cells(layer: Any) -> list[Any]:
    cell = layer.cell
    return list(cell.cells) if isinstance(cell, keras.layers.StackedRNNCells) else [cell]


def _names(cell: Any) -> tuple[str, ...]:
    known = _CELLS.get(type(cell))
    if known is not None:
        return (*known.gates, *reversed(known.states))
    states = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    return tuple(f"state {i + 1}" for i in range(len(keras.tree.flatten(list(states)))))


def _values(cell: Any, kept: dict[str, list[Any]], states: Any) -> list[Any]:
    """Return one step's numbers in the order of `_names`."""
    flat: list[Any] = keras.tree.flatten(states)
    known = _CELLS.get(type(cell))
    if known is None:
        return flat
    # The last result of an LSTM's `activation` is that of its cell state, on the way to the hidden state.
    named = {name: value for key, names in known.results.items() for name, value in zip(names, kept[key], strict=False)}
    return [*(named[name] for name in known.gates), *reversed(flat)]


@contextmanager
def _activations_kept(cell: Any) -> Iterator[dict[str, list[Any]]]:
    """Keep the results of a cell's activation functions, in the order of the calls."""
    known = _CELLS.get(type(cell))
    kept: dict[str, list[Any]] = {key: [] for key in (() if known is None else known.results)}

    def keeping(function: Callable[[Any], Any], results: list[Any]) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            results.append(function(x))
            return results[-1]

        return call

    own = {key: getattr(cell, key) for key in kept}
    for key, function in own.items():
        object.__setattr__(cell, key, keeping(function, kept[key]))
    try:
        yield kept
    finally:
        for key, function in own.items():
            object.__setattr__(cell, key, function)


def _largest(state_size: Any) -> int:
    return max(math.prod(n) if isinstance(n, tuple | list) else int(n) for n in keras.tree.flatten(state_size))
