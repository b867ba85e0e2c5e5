"""Networks inside recurrent layers, which the graph does not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.tracer import is_composite, layers_inside

_LISTED = 6
"""Most layers of a hidden network that a sentence names."""


def hidden_remarks(described: DescribedModel) -> list[str]:
    """Describe each block that hides a network of layers, and that network's layers, in one sentence.

    The cells of Keras, as in ``RNN([LSTMCell, GRUCell])``, hold no layers.
    """
    seen: set[int] = set()
    remarks = []
    for node_id in described.calls:
        operation = described.call(node_id).operation
        if id(operation) in seen or not isinstance(operation, keras.Layer) or is_composite(operation):
            continue  # a composite that is still a block could not be opened; another note says so
        seen.add(id(operation))
        for network in _networks(operation):
            kind = described.graph.node(node_id).kind
            remarks.append(
                f"{node_id} ({kind}) is shown as one block: the layers of {network.name!r} inside it are not shown "
                f"({_contents(network)})."
            )
    return remarks


def _networks(layer: Any) -> Iterator[Any]:
    for part in layers_inside(layer, deep=False):
        if is_composite(part):
            yield part
        else:
            yield from _networks(part)


def _contents(network: Any) -> str:
    inside = [
        part.name
        for part in layers_inside(network)
        if not isinstance(part, keras.layers.InputLayer) and not is_composite(part)
    ]
    more = len(inside) - _LISTED
    return ", ".join(inside[:_LISTED]) + (f" and {more} more" if more > 0 else "")
