"""The places of an input that a map is of: the pixels of a picture, the steps of a sequence, the numbers of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.places import leads_to
from nnviz3d.capture.describe import DescribedModel
from nnviz3d.data.graph import LayerNode
from nnviz3d.errors import ModelError

_FLAT = frozenset({"Flatten", "Reshape"})
"""Layers that read every number of an input alike, so that its last axis is no axis of channels."""


def explained_inputs(described: DescribedModel, output: str) -> tuple[str, ...]:
    """Return the inputs that maps are of: those of real numbers that have places, or else all of real numbers.

    Those that the output does not depend on are left out, unless it depends on none.

    Raises
    ------
    ModelError
        If the model takes no real numbers.
    """
    graph = described.graph
    real = [name for name in graph.inputs if "float" in str(described.call(name).outputs[0].dtype)]
    if not real:
        raise ModelError(
            f"{graph.name} takes no real numbers, such as pixels, so there is no map of its input; take gradients "
            "instead, which each layer from the first that gives real numbers has."
        )
    leads = leads_to(graph, output)
    real = [name for name in real if name in leads] or real
    return tuple(name for name in real if len(graph.node(name).shape) > 1) or tuple(real)


def has_channels(described: DescribedModel, layer: str) -> bool:
    """Whether the last axis of an input is of channels.

    It is not in rows of numbers ``(n,)``, nor in ``(H, W)`` where all that reads them makes one row or picture of them.
    """
    graph = described.graph
    rank = len(graph.node(layer).shape)
    readers = [graph.node(edge.target) for edge in graph.edges if edge.source == layer]
    return rank > 2 or (rank == 2 and not (readers and all(_reads_all_alike(reader) for reader in readers)))


def _reads_all_alike(node: LayerNode) -> bool:
    return node.kind in _FLAT


def over_channels(
    described: DescribedModel, layer: str, values: NDArray[Any], reduce: Callable[..., Any]
) -> NDArray[np.float32]:
    """Bring ``(n, *shape)`` to ``(n, *places)`` by a NumPy function that takes an axis, such as `np.sum`."""
    found = reduce(values, axis=-1) if has_channels(described, layer) else values
    return np.asarray(found, dtype=np.float32)
