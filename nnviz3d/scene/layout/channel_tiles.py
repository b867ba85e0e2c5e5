"""Layout of a layer's channels as tiles: stacked in the layer's block, spread in a grid before the network, or between."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import MARGINS, direction, fit
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.easing import eased
from nnviz3d.scene.layout.plan import Placement

Floats = NDArray[np.float64]

_HEIGHT, _WIDTH = 0.66, 0.92
"""Shares of the picture that the grid may fill."""
_GAP = 0.10
"""Free space between two tiles, as a share of a tile's width."""
_NUMBER = 0.24
"""Free space below each tile for its number, as a share of its height."""
_STAGGER = 0.45
"""Delay of the last channel after the first, as a share of the animation."""


@dataclass(frozen=True, eq=False)
class TilePlaces:
    """The places of equal tiles at one moment.

    Attributes
    ----------
    corners
        ``(n, 3)``: lower left corners.
    size
        Width and height of a tile.
    right, up
        The tiles' unit vectors to the right and up.
    """

    corners: Floats
    size: Floats
    right: Floats
    up: Floats

    @property
    def below(self) -> Floats:
        """The middles of the lower edges, ``(n, 3)``."""
        return np.asarray(self.corners + self.right * self.size[0] / 2)

    @property
    def centers(self) -> Floats:
        """The middles of the tiles, ``(n, 3)``."""
        return np.asarray(self.below + self.up * self.size[1] / 2)


def stacked(placement: Placement, channels: NDArray[np.int64]) -> TilePlaces:
    """Return the tiles of some channels where their cells are in the layer's block."""
    corners = np.tile(np.array(placement.origin, dtype=np.float64), (len(channels), 1))
    corners[:, 2] += placement.size[2] - (channels + 0.5) * placement.cell[2]
    return TilePlaces(corners, np.array(placement.size[:2]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))


def spread(context: SceneContext, count: int, aspect: float) -> TilePlaces:
    """Return tiles in a grid in front of all blocks, which faces the camera of the overview.

    Parameters
    ----------
    aspect
        Width of a tile over its height.
    """
    points = context.plan.corners()
    azimuth, elevation = context.plan.angles
    setting = context.setting
    azimuth = azimuth if setting.azimuth is None else setting.azimuth
    elevation = elevation if setting.elevation is None else setting.elevation
    pose = fit(points, azimuth, elevation, aspect=context.aspect, margins=MARGINS)
    back = direction(azimuth, elevation)
    right = _unit(np.cross([0.0, 1.0, 0.0], back))
    up = np.cross(back, right)
    eye = np.array(pose.position)
    # Slightly nearer to the camera than the nearest block.
    away = 0.97 * float(((eye - points) @ back).min())
    height = 2 * math.tan(math.radians(pose.field_of_view / 2)) * away
    middle = eye - back * away + up * height * (MARGINS.bottom - MARGINS.top) / 2
    best = (0.0, 1)
    for across in range(1, count + 1):
        down = -(-count // across)
        tall = _HEIGHT * height / (down * (1 + _NUMBER) - _NUMBER)
        wide = _WIDTH * height * context.aspect / (across * (1 + _GAP) - _GAP)
        best = max(best, (min(tall, wide / aspect), across))
    tall, across = best
    down, wide = -(-count // across), best[0] * aspect
    row, column = np.divmod(np.arange(count), across)
    x = (column - (across - 1) / 2) * wide * (1 + _GAP) - wide / 2
    y = ((down - 1) / 2 - row) * tall * (1 + _NUMBER) - tall / 2
    corners = middle + x[:, np.newaxis] * right + y[:, np.newaxis] * up
    return TilePlaces(corners, np.array([wide, tall]), right, up)


def unfolding(begin: TilePlaces, end: TilePlaces, share: float) -> TilePlaces:
    """Return the tiles on their way from one place to another; they turn and grow around their centres.

    Parameters
    ----------
    share
        The finished share of the way, 0 to 1; the last tile sets out later than the first one.
    """
    count, turned = len(begin.corners), eased(share)
    setting_out = np.linspace(0, _STAGGER, count) if count > 1 else np.zeros(1)
    own = eased(np.clip((share - setting_out) / (1 - _STAGGER), 0, 1))[:, np.newaxis]
    size = begin.size + (end.size - begin.size) * turned
    right, up = _unit(_mixed(begin.right, end.right, turned)), _mixed(begin.up, end.up, turned)
    up = _unit(up - right * (up @ right))
    middle = _mixed(begin.centers, end.centers, own)
    return TilePlaces(middle - right * size[0] / 2 - up * size[1] / 2, size, right, up)


def _mixed(begin: Floats, end: Floats, share: float | Floats) -> Floats:
    return begin + (end - begin) * share


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))
