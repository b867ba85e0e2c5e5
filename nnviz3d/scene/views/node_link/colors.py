"""The colours and widths of balls and lines in a node-link graph."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap, colormap, limits_for, statistics_of
from nnviz3d.scene.views.node_link.spec import NodesSpec

WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Pixels of a 720 pixels high picture; each line takes one of them, by strength."""
PASSING = (0.50, 0.58, 0.70, 0.5)
"""Colour of links without weights."""
BEHIND = 0.2
"""Opacity factor of everything that is not selected."""
_FAINT, _STRONG = 0.10, 0.95
_DENSE = 90
"""Number of lines between two layers up to which each has its full opacity."""
_GLOW = (26, 32, 44)
_UNLIT = (0.10, 0.12, 0.16)
Scale = tuple[Colormap, tuple[float, float]]
"""A colour map, and the numbers of its first and its last colour."""


def scale_of(spec: NodesSpec, numbers: NDArray[np.float32]) -> Scale:
    """Choose the colours of a layer's balls."""
    limits = limits_for(statistics_of(numbers), "layer")
    return _glowing(spec.diverging if limits[0] < 0 else spec.colormap), limits


@cache
def _glowing(name: str) -> Colormap:
    """Return a colour map whose darkest colours stand out from the ground, so that a ball at zero is seen as one."""
    found = colormap(name)
    table = found.table + (255.0 - found.table) * (np.array(_GLOW) / 255)
    return Colormap(found.name, np.asarray(np.round(table), dtype=np.uint8), found.diverging)


def paint(numbers: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Return the colours of numbers, ``(n, 4)``; NaN and infinite numbers have their own."""
    table, (low, high) = scale
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num((numbers.astype(np.float64) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    colors = np.ones((len(numbers), 4), dtype=np.float32)
    colors[:, :3] = table.table[np.round(np.clip(share, 0, 1) * 255).astype(int)] / np.float32(255)
    colors[np.isnan(numbers), :3] = NAN_COLOR
    colors[np.isinf(numbers), :3] = INF_COLOR
    return colors


def lights(colors: NDArray[np.float32], ranks: NDArray[np.int64], now: float) -> NDArray[np.float32]:
    """Return the balls' colours ``(n, 4)`` while the forward pass is under way.

    Parameters
    ----------
    ranks
        ``(n,)``: in which step each lights up.
    now
        How many steps have been made.
    """
    lit = np.clip(now - ranks, 0.0, 1.0)[:, np.newaxis].astype(np.float32)
    unlit = np.tile(np.array([*_UNLIT, 1.0], dtype=np.float32), (len(colors), 1))
    unlit[:, 3] = colors[:, 3]
    return np.asarray(colors * lit + unlit * (1 - lit))


def seen_at(source: int, target: int, now: float) -> float:
    """Return the opacity of a line by the ranks of its two layers: it appears while the pass is between them."""
    return float(np.clip((now - source - 0.4) / max(target - source - 0.2, 0.1), 0.0, 1.0))


def tint(diverging: str, signed: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the colours of lines ``(n, 4)`` for signed shares of the strongest, -1 to 1: weak lines are faint."""
    strength = np.abs(signed)
    # The middle of a diverging map is as dark as the ground; the weakest lines still show their sign.
    lifted = np.sign(signed) * (0.35 + 0.5 * strength)
    colors = np.empty((len(signed), 4), dtype=np.float32)
    colors[:, :3] = colormap(diverging).table[np.round((lifted + 1) / 2 * 255).astype(int)] / np.float32(255)
    # Many lines of like strength would add up to one pale mass: the more there are, the fainter each is.
    colors[:, 3] = (_FAINT + (_STRONG - _FAINT) * strength**1.5) * min(1.0, (_DENSE / max(len(signed), 1)) ** 0.5)
    return colors


def width_bins(share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of each line's width by its share of the strongest, ``(n,)``."""
    return np.minimum((share * len(WIDTHS)).astype(np.int64), len(WIDTHS) - 1)
