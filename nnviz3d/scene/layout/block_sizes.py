"""World sizes of the blocks, relative to the largest of their kind in the network."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.data.graph import LayerNode
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.layout.sequences import sheet_size
from nnviz3d.scene.layout.signals import SIGNAL_DEPTH, is_signal, least_height
from nnviz3d.scene.primitives import Vector

MAP_EXTENT = 4.0
"""World size of the largest map in the network."""
DEPTH_EXTENT = 3.2
"""World size of the deepest stack of channels."""
_MAP_POWER, _DEPTH_POWER = 0.38, 0.45
"""Exponents from sizes of tensors to those of blocks; below 1, so that 224 x 224 x 64 and 7 x 7 x 512 look like blocks."""
_VECTOR_CELL, _VECTOR_HEIGHT = 0.36, 3.6
_UNKNOWN = 16
"""Length that replaces a variable length, if there is no sample."""


def known_shape(node: LayerNode) -> tuple[int, ...]:
    """Return a node's shape; a default length replaces variable ones."""
    return tuple(_UNKNOWN if n is None else n for n in node.shape)


def block_sizes(grids: Mapping[str, CellGrid], sheet_width: float = 1.0) -> dict[str, Vector]:
    """Choose the world extent of every block, relative to the largest of its kind in the network.

    Parameters
    ----------
    sheet_width
        Width over height of the widest sheet of tokens.
    """
    spatial = [g for g in grids.values() if (len(g.shape) >= 2 or is_signal(g)) and not g.tokens]
    # A sound is much longer than every map, so signals are compared with signals only.
    widest = {
        kind: max((max(g.size[:2]) for g in spatial if is_signal(g) is kind), default=1) for kind in (False, True)
    }
    deepest = max((g.size[2] for g in spatial), default=1)
    sheets = [g for g in grids.values() if g.tokens]
    # In a long network small maps would be too small to see: the more blocks, the more alike their sizes.
    power = _MAP_POWER if len(grids) <= 40 else _MAP_POWER * 0.6
    sizes: dict[str, Vector] = {}
    for name, grid in grids.items():
        x, y, z = grid.size
        if grid.tokens:
            sizes[name] = sheet_size(grid, sheets, sheet_width, MAP_EXTENT)
            continue
        if len(grid.shape) < 2 and not is_signal(grid):
            cell = min(_VECTOR_CELL, _VECTOR_HEIGHT / y)
            sizes[name] = (cell * x, cell * y, cell)
            continue
        longest = max(x, y)
        extent = max(MAP_EXTENT * (longest / widest[is_signal(grid)]) ** power, 0.5)
        # A sheet or an oblong map keeps its proportions, but has a minimum thickness.
        slim = (min(x, y) / longest) ** 0.6
        width, height = (extent, extent * slim) if x >= y else (extent * slim, extent)
        height = max(height, least_height(grid, width))
        depth = SIGNAL_DEPTH if is_signal(grid) else DEPTH_EXTENT * (z / max(deepest, 32)) ** _DEPTH_POWER
        thinnest = min(width / x, height / y)
        sizes[name] = (width, height, max(min(depth, 2 * z * thinnest + 0.1), 0.12))
    return sizes
