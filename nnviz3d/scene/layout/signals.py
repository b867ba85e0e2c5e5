"""Signals: sequences of time steps with a few channels, which are drawn as curves."""

from __future__ import annotations

from nnviz3d.data.axes import TIME
from nnviz3d.scene.layout.cells import CellGrid

MOST_CURVES = 4
"""Maximum number of channels that are drawn as curves."""
_SHORTEST = 8
"""Minimum number of time steps of a curve."""
_LANE, _LANES = 0.16, 0.4
"""Height of one curve, and greatest height of all curves, as shares of the block's width."""


def is_signal(grid: CellGrid) -> bool:
    """Whether a tensor is drawn as curves over time."""
    if grid.tokens or TIME not in grid.axes or len(grid.location_shape) != 1:
        return False
    return 1 <= grid.channels <= MOST_CURVES and grid.location_shape[0] >= _SHORTEST


SIGNAL_DEPTH = 0.12
"""World depth of the strip of cells behind curves."""


def least_height(grid: CellGrid, width: float) -> float:
    """Return the minimum height of a block of this width: curves need room, other blocks need none."""
    return min(_LANE * grid.channels + _LANE / 2, _LANES) * width if is_signal(grid) else 0.0
