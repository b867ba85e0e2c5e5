"""The colours and widths of balls and lines in a node-link graph."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap, colormap, limits_for, repeated, statistics_of
from nnviz3d.scene.views.node_link.spec import NodesSpec

WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Line widths in pixels of a 720 pixels high picture; each line has one of them, by strength."""
PASSING = (0.50, 0.58, 0.70, 0.5)
"""Colour of links without weights."""
BEHIND = 0.2
"""Opacity factor of everything that is not selected."""
_FAINT, _STRONG = 0.10, 0.95
_DENSE = 90
"""Maximum number of lines between two layers at full opacity; more lines are fainter."""
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
    """Return a colour map whose darkest colours are brighter than the background, so that a ball at zero is visible."""
    found = colormap(name)
    table = found.table + (255.0 - found.table) * (np.array(_GLOW) / 255)
    return Colormap(found.name, np.asarray(np.round(table), dtype=np.uint8), found.diverging)


def paint(numbers: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Return the colours of numbers, ``(n, 4)``; NaN and infinite numbers have separate colours."""
    table, (low, high) = scale
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num((numbers.astype(np.float64) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    colors = np.ones((len(numbers), 4), dtype=np.float32)
    colors[:, :3] = table.at(share)
    colors[np.isnan(numbers), :3] = NAN_COLOR
    colors[np.isinf(numbers), :3] = INF_COLOR
    return colors


def lights(colors: NDArray[np.float32], ranks: NDArray[np.int64], now: float) -> NDArray[np.float32]:
    """Return the balls' colours ``(n, 4)`` during the forward pass.

    Parameters
    ----------
    ranks
        ``(n,)``: rank of each ball, in which it lights up.
    now
        Number of ranks that the forward pass has revealed.
    """
    lit = np.clip(now - ranks, 0.0, 1.0)[:, np.newaxis].astype(np.float32)
    unlit = repeated(_UNLIT, 1.0, len(colors))
    unlit[:, 3] = colors[:, 3]
    return np.asarray(colors * lit + unlit * (1 - lit))


def seen_at(source: int, target: int, now: float) -> float:
    """Return the opacity of a line by the ranks of its layers: it fades in while the pass is between them."""
    return float(np.clip((now - source - 0.4) / max(target - source - 0.2, 0.1), 0.0, 1.0))


def tint(diverging: str, signed: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the colours of lines ``(n, 4)`` for signed shares of the strongest, -1 to 1: weak lines are faint."""
    strength = np.abs(signed)
    # The middle of a diverging map is as dark as the background; the weakest lines still have the colour of their sign.
    lifted = np.sign(signed) * (0.35 + 0.5 * strength)
    colors = np.empty((len(signed), 4), dtype=np.float32)
    colors[:, :3] = colormap(diverging).at((lifted + 1) / 2)
    # Many lines of similar strength would merge into one pale area: the more lines, the fainter each one.
    colors[:, 3] = (_FAINT + (_STRONG - _FAINT) * strength**1.5) * min(1.0, (_DENSE / max(len(signed), 1)) ** 0.5)
    return colors


def width_bins(share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of each line's width, ``(n,)``, from its share of the strongest line."""
    return np.minimum((share * len(WIDTHS)).astype(np.int64), len(WIDTHS) - 1)
