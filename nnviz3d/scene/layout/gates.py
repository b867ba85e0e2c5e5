"""Layout of the gates of recurrent layers: sheets of time by units side by side, before the layer's block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.layout.cells import CellGrid, grid_for
from nnviz3d.scene.layout.plan import Placement
from nnviz3d.scene.primitives import Vector

_WIDTH, _BETWEEN = 1.1, 0.22
"""World width of a gate's sheet, and the room between two sheets and before the block."""
_HEIGHT, _DEPTH = 2.4, 0.12
"""World height of a gate's sheet in a network without tokens, and thickness of every sheet."""
_SAME = "hidden state"
"""Name of the state that a layer gives as its output, if it gives all of them."""


@dataclass(frozen=True)
class PlacedGate:
    """The sheet of one gate or state.

    Attributes
    ----------
    grid
        Arrangement of its numbers, ``(T, units)``.
    origin, cell
        World coordinates of its smallest corner, and size of a cell.
    """

    name: str
    grid: CellGrid
    origin: Vector
    cell: Vector

    @property
    def size(self) -> Vector:
        """World extent."""
        x, y, z = (n * s for n, s in zip(self.grid.size, self.cell, strict=True))
        return x, y, z


def shown_gates(capture: CaptureReader, node: LayerNode, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
    """Return the gates and states of a recurrent layer that have sheets, ``(T, units)`` each, by name.

    The hidden state is left out if it is the layer's output; gates that are maps have no sheets.
    """
    if not node.details.get("gates") or sample >= capture.committed:
        return {}
    found = capture.gates(node.id, sample)
    whole = len(node.shape) == 2
    return {name: values for name, values in found.items() if values.ndim == 2 and not (whole and name == _SAME)}


def room_for_gates(count: int) -> float:
    """Return the world width of the sheets before a block."""
    return count * (_WIDTH + _BETWEEN)


def place_gates(
    gates: Mapping[str, tuple[int, ...]], block: Placement, source: Placement | None, *, backwards: bool
) -> tuple[PlacedGate, ...]:
    """Place the sheets of a layer before its block.

    Parameters
    ----------
    gates
        Name and shape, ``(T, units)``, of each.
    source
        The block whose steps the layer takes; a sheet of tokens there decides how high a step is.
    backwards
        Whether the layer takes the steps in reverse order.
    """
    found = []
    tokens = source is not None and source.grid.tokens
    for k, (name, shape) in enumerate(gates.items()):
        grid = grid_for(shape, tokens=tokens, backwards=tokens and backwards)
        high = source.cell[1] * shape[0] if tokens and source is not None else _HEIGHT
        x = block.origin[0] - (len(gates) - k) * (_WIDTH + _BETWEEN)
        cell = (_WIDTH / grid.size[0], high / grid.size[1], _DEPTH)
        found.append(PlacedGate(name, grid, (x, block.center[1] - high / 2, -_DEPTH / 2), cell))
    return tuple(found)
