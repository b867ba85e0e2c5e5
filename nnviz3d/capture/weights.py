"""Write the variables of layers."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.programs.activations import viewed
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.node_paths import safe_part
from nnviz3d.data.storage.capture_writer import CaptureWriter

SMALL = 262_144
"""Largest number of parameters of a layer that is always stored."""


def write_weights(writer: CaptureWriter, described: DescribedModel, *, everything: bool) -> None:
    """Write the variables of small layers, or of all layers, without copying them.

    Two nodes share a path only if they are calls of one layer, so each path is written once.
    """
    done: set[str] = set()
    for node in described.graph:
        operation = described.call(node.id).operation
        if node.path in done or not isinstance(operation, keras.Layer):
            continue
        done.add(node.path)
        variables = operation.weights
        if not everything and sum(math.prod(v.shape) for v in variables) > SMALL:
            continue
        for name, variable in named_variables(variables).items():
            writer.write_weights(node.path, name, viewed(tf.convert_to_tensor(variable)))


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
