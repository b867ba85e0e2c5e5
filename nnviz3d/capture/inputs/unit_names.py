"""Names of a vector's units: columns of a table, words of a vocabulary, carried on to layers that keep the units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras

from nnviz3d.capture.inputs.vocabulary import is_lookup, output_mode, words_of
from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.describe import DescribedModel, through

_ELEMENTWISE = (
    keras.layers.Normalization,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Rescaling,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.Activation,
    keras.layers.Identity,
)
"""Layers that keep the units of a vector."""
_LARGEST = 50_000
"""Most units of a vector that get names."""


def unit_names(described: DescribedModel, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Find the names of the units of all vectors that have some, by node id.

    An input of one number has the name of the input. A one-hot vector of a column ``color`` has the units ``color=red``,
    ``color=green``. Concatenated vectors keep their names.

    Parameters
    ----------
    columns
        Names of the columns of inputs, by the input's name.
    """
    program = described.program
    named: dict[int, tuple[str, ...]] = {}
    for position, call in enumerate(program.calls):
        if len(call.outputs) != 1 or len(call.outputs[0].shape) != 2:
            continue
        before = [named.get(through(program, source)[0]) for source in call.sources]
        names = _names(call, before, columns)
        size = call.outputs[0].shape[1]
        if names is not None and (size is None or len(names) == size) and len(names) <= _LARGEST:
            named[position] = names
    return {
        node.id: named[described.calls[node.id]]
        for node in described.graph
        if described.calls[node.id] in named and node.shape == (len(named[described.calls[node.id]]),)
    }


def _names(
    call: Call, before: Sequence[tuple[str, ...] | None], columns: Mapping[str, Sequence[str]]
) -> tuple[str, ...] | None:
    """Return the names of the units that a call makes, from the names of those that it takes."""
    layer = call.operation
    if call.is_input:
        own = columns.get(layer.name)
        return (layer.name,) if own is None and call.outputs[0].shape[1] == 1 else None if own is None else tuple(own)
    if isinstance(layer, keras.layers.Concatenate):
        return tuple(name for names in before for name in names or ()) if all(before) else None
    if len(call.sources) != 1:
        return None
    single = before[0][0] if before[0] is not None and len(before[0]) == 1 else None
    words = _words(layer)
    if words is not None:
        return words if single is None else tuple(f"{single}={word}" for word in words)
    return before[0] if isinstance(layer, _ELEMENTWISE) or _keeps_a_column(layer) else None


def _words(layer: Any) -> tuple[str, ...] | None:
    """Return a word for each unit of a layer that encodes categories as a vector; `None` for other layers."""
    if output_mode(layer) in (None, "int"):
        return None
    if is_lookup(layer):
        return words_of(layer)
    if isinstance(layer, keras.layers.CategoryEncoding):
        return tuple(str(i) for i in range(layer.num_tokens))
    if isinstance(layer, keras.layers.Discretization) and layer.bin_boundaries:
        ends = [f"{end:.4g}" for end in layer.bin_boundaries]
        between = (f"{low} to {high}" for low, high in pairwise(ends))
        return (f"below {ends[0]}", *between, f"from {ends[-1]}")
    return None


def _keeps_a_column(layer: Any) -> bool:
    """Whether a layer turns each number of a vector to the number of its category."""
    return is_lookup(layer) or isinstance(layer, keras.layers.Discretization | keras.layers.Hashing)
