"""Sizes of a quantity by layer, so that layers can be compared, whatever their number of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnviz3d.data.quantities import Quantity
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import Selection


@dataclass(frozen=True)
class LayerSize:
    """The size of a quantity in one layer.

    Attributes
    ----------
    layer
        Node id.
    size
        Root mean square of the quantity over all numbers of the layer; NaN or infinite if one of them is.
    """

    layer: str
    size: float


def layer_sizes(context: SceneContext, quantity: Quantity, selection: Selection) -> tuple[LayerSize, ...]:
    """Return the size of a quantity in each layer that has it, in the graph's order."""
    found = []
    for node in context.graph:
        held = context.shown(node.id, quantity, selection)
        if held is not None and held.values.size:
            with np.errstate(invalid="ignore", over="ignore"):
                square = float(np.mean(np.square(held.values, dtype=np.float64)))
            found.append(LayerSize(node.id, float(np.sqrt(square))))
    return tuple(found)


def extremes(sizes: Sequence[LayerSize]) -> str:
    """Name the layers with the smallest and the largest size in a sentence; empty for fewer than two finite sizes."""
    finite = [one for one in sizes if np.isfinite(one.size)]
    if len(finite) < 2:
        return ""
    ends = [pick(finite, key=lambda one: one.size) for pick in (min, max)]
    if ends[0].size == ends[1].size:
        return f"All are {number(ends[0].size)}."
    return "Smallest: {} ({}); largest: {} ({}).".format(*(x for one in ends for x in (one.layer, number(one.size))))
