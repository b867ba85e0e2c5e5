"""Explained inputs and their axes of locations: pixels of a picture, times of a sequence, numbers of a vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.spatial_layers import leads_to
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.data.axes import channel_axis, channels_last
from nnviz3d.errors import ModelError


def explained_inputs(described: DescribedModel, output: str) -> tuple[str, ...]:
    """Return the inputs that have maps: those of real numbers with several axes, or else all of real numbers.

    Inputs that do not affect the output are left out, unless none affects it.

    Raises
    ------
    ModelError
        If the model takes no real numbers.
    """
    graph = described.graph
    real = [name for name in graph.inputs if "float" in str(described.call(name).outputs[0].dtype)]
    if not real:
        raise ModelError(
            f"{graph.name} takes no real numbers, such as pixels, so its input has no map; use gradients instead, "
            "which exist from the first layer that outputs real numbers."
        )
    leads = leads_to(graph, output)
    real = [name for name in real if name in leads] or real
    return tuple(name for name in real if len(graph.node(name).shape) > 1) or tuple(real)


def has_channels(described: DescribedModel, layer: str) -> bool:
    """Whether an input has an axis of channels.

    Vectors ``(n,)`` have none, and ``(H, W)`` has none if every layer that reads it flattens it or adds a channel axis.
    """
    axes = described.graph.node(layer).axes
    return len(axes) > 1 and channel_axis(axes) is not None


def location_axes(described: DescribedModel, layer: str) -> tuple[int, ...]:
    """Return the axes of locations in a batch of an input."""
    axes = described.graph.node(layer).axes
    gone = channel_axis(axes) if has_channels(described, layer) else None
    return tuple(1 + i for i in range(len(axes)) if i != gone)


def over_channels(
    described: DescribedModel, layer: str, values: NDArray[Any], reduce: Callable[..., Any]
) -> NDArray[np.float32]:
    """Reduce ``(n, *shape)`` to ``(n, *locations)`` by a NumPy function that takes an axis, such as `np.sum`."""
    if has_channels(described, layer):
        values = reduce(channels_last(values, described.graph.node(layer).axes), axis=-1)
    return np.asarray(values, dtype=np.float32)
