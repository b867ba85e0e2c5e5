"""The places of an input that a map is of: the pixels of a picture, the steps of a sequence, the numbers of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.places import leads_to
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.data.axes import channel_axis, channels_last
from nnviz3d.errors import ModelError


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
    """Whether an input has an axis of channels.

    Vectors ``(n,)`` have none, and neither has ``(H, W)`` if every reader makes one row or one picture of it.
    """
    axes = described.graph.node(layer).axes
    return len(axes) > 1 and channel_axis(axes) is not None


def place_axes(described: DescribedModel, layer: str) -> tuple[int, ...]:
    """Return the axes of places in a batch of an input."""
    axes = described.graph.node(layer).axes
    gone = channel_axis(axes) if has_channels(described, layer) else None
    return tuple(1 + i for i in range(len(axes)) if i != gone)


def over_channels(
    described: DescribedModel, layer: str, values: NDArray[Any], reduce: Callable[..., Any]
) -> NDArray[np.float32]:
    """Bring ``(n, *shape)`` to ``(n, *places)`` by a NumPy function that takes an axis, such as `np.sum`."""
    if has_channels(described, layer):
        values = reduce(channels_last(values, described.graph.node(layer).axes), axis=-1)
    return np.asarray(values, dtype=np.float32)
