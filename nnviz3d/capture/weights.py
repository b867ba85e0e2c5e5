"""Write the variables of layers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.acting_weights import as_acting
from nnviz3d.capture.programs.activations import viewed
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.node_paths import safe_part
from nnviz3d.data.graph import LayerNode, deciding_nodes
from nnviz3d.data.storage.capture_writer import CaptureWriter

_SMALL = 262_144
"""Largest number of parameters of a layer that is always stored."""
_DECIDING = 8_388_608
"""The same of a layer whose sums are the scores: what a decision rests on is told from its weights."""


def is_stored(node: str, deciding: Collection[str], parameters: int) -> bool:
    """Whether the weights of a layer are stored although not all are asked for.

    Parameters
    ----------
    deciding
        The nodes of `nnviz3d.data.graph.deciding_nodes`.
    parameters
        The number of the layer's weights.
    """
    return parameters <= (_DECIDING if node in deciding else _SMALL)


def write_weights(writer: CaptureWriter, described: DescribedModel, *, everything: bool) -> None:
    """Write the variables of small layers and of those that make the scores, or of all layers, without copying them.

    Those of quantized layers and adapters are also written as they act, under the usual name: `as_acting`.

    Two nodes share a path only if they are calls of one layer, so each path is written once.
    """
    deciding = deciding_nodes(described.graph)
    for node, variables in layers_of(described):
        if everything or is_stored(node.id, deciding, sum(math.prod(v.shape) for v in variables.values())):
            layer = described.call(node.id).operation
            for name, variable in as_acting(layer, variables).items():
                writer.write_weights(node.path, name, viewed(tf.convert_to_tensor(variable)))


def layers_of(described: DescribedModel) -> Iterator[tuple[LayerNode, Mapping[str, Any]]]:
    """Yield each layer once, by the node of its first call, with its variables by name.

    ``viewed(tf.convert_to_tensor(variable))`` returns a variable's numbers as a NumPy array.
    """
    done: set[str] = set()
    for node in described.graph:
        operation = described.call(node.id).operation
        if node.path not in done and isinstance(operation, keras.Layer):
            done.add(node.path)
            yield node, named_variables(operation.weights)


def named_variables(variables: list[Any]) -> dict[str, Any]:
    """Name variables by the last part of their path, ``kernel``; if that is ambiguous, by the path without its start."""
    named: dict[str, Any] = {}
    short = [v.name for v in variables]
    for variable in variables:
        parts = variable.path.split("/")
        name = safe_part(variable.name if short.count(variable.name) == 1 else ".".join(parts[1:] or parts))
        free, number = name, 1
        while free in named:
            free, number = f"{name}_{number}", number + 1
        named[free] = variable
    return named
