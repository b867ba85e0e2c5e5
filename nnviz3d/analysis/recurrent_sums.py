"""The arithmetic of recurrent layers: of their output at a step, and of each gate.

Hochreiter and Schmidhuber 1997 (LSTM), doi:10.1162/neco.1997.9.8.1735; Cho et al. 2014 (GRU), arXiv:1406.1078. With the
captured gates and states, at step t and for one unit:

    SimpleRNN  hidden = f(x[t] @ W + hidden[t-1] @ U + b)
    LSTM       cell = forget * cell[t-1] + input * candidate;  hidden = output * f(cell)
    GRU        hidden = update * hidden[t-1] + (1 - update) * candidate

and each gate is a function of x[t] @ W + hidden[t-1] @ U + b. Keras applies the reset gate of a GRU after the product
with U, unless the layer was made with ``reset_after=False``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import OWN, CellSum, UnknownSumError, finished, weight_of
from nnviz3d.data.graph import LayerNode

HIDDEN, CELL = "hidden state", "cell state"
_COLUMNS = {
    "LSTM": ("input gate", "forget gate", "candidate", "output gate"),
    "GRU": ("update gate", "reset gate", "candidate"),
    "SimpleRNN": (HIDDEN,),
}
"""The gates in the order of the columns of the kernels."""
RECURRENT = tuple(_COLUMNS)
"""Kinds of layers whose arithmetic is known."""
Gates = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class _Cell:
    """A recurrent layer at one step.

    Attributes
    ----------
    inputs
        The sequence ``(T, n)``, and the first states ``(units,)`` if other layers give them.
    gates
        Gates and states, ``(T, units)`` each, in the order of processing.
    step
        In the order of processing.
    """

    node: LayerNode
    inputs: Sequence[NDArray[np.float32]]
    weights: Mapping[str, NDArray[Any]]
    gates: Gates
    step: int

    def at(self, gate: str, unit: int) -> float:
        """Return a number of a gate or state at this step."""
        return float(self.gates[gate][self.step, unit])

    def before(self, state: str) -> tuple[NDArray[np.float64], int]:
        """Return a state before this step, ``(units,)``, and the input that gives it, or `OWN`."""
        if self.step:
            return self.gates[state][self.step - 1].astype(np.float64), OWN
        position = 1 if state == HIDDEN else 2
        if len(self.inputs) == 1:
            return np.zeros(self.gates[state].shape[1]), OWN
        if position >= len(self.inputs) or self.inputs[position].shape != self.gates[state].shape[1:]:
            raise UnknownSumError("its first state comes from another layer in a way that is not known")
        return self.inputs[position].astype(np.float64), position

    def named_before(self, state: str, units: NDArray[np.int64], source: int) -> list[str]:
        """Name units of a state before this step."""
        if source != OWN:
            return [""] * len(units)
        when = f"after step {self.step - 1}" if self.step else "at the start"
        return [f"{state} {when}, unit {unit}" for unit in units]


def recurrent(
    node: LayerNode,
    index: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
    gates: Gates,
) -> CellSum:
    """Compute the arithmetic of a number of a recurrent layer's output.

    Raises
    ------
    UnknownSumError
        If the gates were not captured, or the layer's settings are not known.
    """
    states = _checked(node, inputs, gates)
    step = index[0] if len(index) == 2 else len(states) - 1
    return gate_sum(node, HIDDEN, step, index[-1], inputs, weights, gates)


def gate_sum(
    node: LayerNode,
    gate: str,
    step: int,
    unit: int,
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
    gates: Gates,
) -> CellSum:
    """Compute the arithmetic of a number of a gate or state.

    At a masked step the numbers of the step before stay, and their arithmetic is returned.

    Raises
    ------
    UnknownSumError
        As `recurrent`.
    """
    _checked(node, inputs, gates)
    stored = float(gates[gate][step, unit])
    found = _of_step(_Cell(node, inputs, weights, gates, step), gate, unit)
    # A step whose numbers are all those of the step before may be masked, or its own arithmetic gives them.
    while step and not found.equals(stored) and all((one[step] == one[step - 1]).all() for one in gates.values()):
        step -= 1
        found = _of_step(_Cell(node, inputs, weights, gates, step), gate, unit)
    return found


def _of_step(cell: _Cell, gate: str, unit: int) -> CellSum:
    if gate == HIDDEN:
        return _output(cell, unit)
    return finished(_cell_state(cell, unit), None) if gate == CELL else _gate(cell, gate, unit)


def _checked(node: LayerNode, inputs: Sequence[NDArray[np.float32]], gates: Gates) -> NDArray[np.float32]:
    """Return the hidden states, ``(T, units)``."""
    needed = {*_COLUMNS[node.kind], HIDDEN, *([CELL] if node.kind == "LSTM" else [])}
    if not needed <= gates.keys():
        raise UnknownSumError("its gates and states were not captured")
    if inputs[0].ndim != 2 or gates[HIDDEN].ndim != 2 or len(inputs[0]) != len(gates[HIDDEN]):
        raise UnknownSumError("its input is no sequence of vectors")
    return gates[HIDDEN]


def _output(cell: _Cell, unit: int) -> CellSum:
    kind = cell.node.kind
    if kind == "SimpleRNN":
        return _gate(cell, HIDDEN, unit)
    if kind == "LSTM":
        found = finished(_cell_state(cell, unit), cell.node.activation)
        gate = cell.at("output gate", unit)
        return replace(found, result=found.result * gate, slope=found.slope * abs(gate), after=("output gate", gate))
    update = cell.at("update gate", unit)
    state, source = cell.before(HIDDEN)
    found = _pair(cell, unit, (HIDDEN, state, source, update), ("candidate", 1 - update))
    return finished(found, None)


def _cell_state(cell: _Cell, unit: int) -> CellSum:
    state, source = cell.before(CELL)
    before = (CELL, state, source, cell.at("forget gate", unit))
    return _pair(cell, unit, before, ("candidate", cell.at("input gate", unit)))


def _pair(
    cell: _Cell, unit: int, before: tuple[str, NDArray[np.float64], int, float], new: tuple[str, float]
) -> CellSum:
    """Return the sum of a part of the state before and of a part of the candidate."""
    state, numbers, source, share = before
    units = np.array([unit])
    names = (*cell.named_before(state, units, source), f"{new[0]} of step {cell.step}, unit {unit}")
    given = np.array([numbers[unit], cell.at(new[0], unit)])
    places = np.array([[unit], [unit]])
    return CellSum(np.array([source, OWN]), places, np.array([share, new[1]]), given, names=names, weight_name="gate")


def _gate(cell: _Cell, gate: str, unit: int) -> CellSum:
    """Return a gate as the activation function of products with the input and with the state before."""
    found = _products(cell, gate, unit)
    if "bias" in cell.weights or cell.node.kind != "GRU" or found.equals(cell.at(gate, unit)):
        return found
    # Without biases only the result tells when the layer resets.
    return _products(cell, gate, unit, resets_after=False)


def _products(cell: _Cell, gate: str, unit: int, *, resets_after: bool = True) -> CellSum:
    node, weights = cell.node, cell.weights
    columns = _COLUMNS[node.kind]
    units = cell.gates[HIDDEN].shape[1]
    kernel, recurrent_kernel = weight_of(weights, "kernel"), weight_of(weights, "recurrent_kernel")
    row = len(cell.inputs[0]) - 1 - cell.step if node.details.get("go_backwards") else cell.step
    taken, (state, source) = cell.inputs[0][row].astype(np.float64), cell.before(HIDDEN)
    width = len(columns) * units
    if gate not in columns or kernel.shape != (len(taken), width) or recurrent_kernel.shape != (units, width):
        raise UnknownSumError("its weights do not fit its input")
    at = columns.index(gate) * units + unit
    own = recurrent_kernel[:, at].astype(np.float64)
    # A layer that resets after the product has two biases.
    bias = np.asarray(weights.get("bias", np.zeros((2, width))), dtype=np.float64).reshape(-1, width)
    added = float(bias[:, at].sum())
    if node.kind == "GRU" and gate == "candidate":
        if resets_after and len(bias) == 2:
            reset = cell.at("reset gate", unit)
            own, added = own * reset, float(bias[0, at] + reset * bias[1, at])
        else:
            state = state * cell.gates["reset gate"][cell.step]
    # At the start the states are 0, unless another layer gives them.
    with_state = cell.step > 0 or source != OWN
    rows = np.column_stack([np.full(len(taken), row), np.arange(len(taken))])
    numbers = np.arange(units) if with_state else np.empty(0, dtype=np.int64)
    behind = np.column_stack([np.full(len(numbers), -1), numbers])
    found = CellSum(
        np.concatenate([np.zeros(len(taken), np.int64), np.full(len(numbers), source)]),
        np.concatenate([rows, behind]),
        np.concatenate([kernel[:, at].astype(np.float64), own[: len(numbers)]]),
        np.concatenate([taken, state[: len(numbers)]]),
        added,
        names=(*[""] * len(taken), *cell.named_before(HIDDEN, numbers, source)),
    )
    recurs = gate.endswith("gate")
    return finished(found, "sigmoid" if recurs else node.activation)
