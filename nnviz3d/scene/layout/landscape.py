"""Layout of a loss landscape: heights of losses, points on the surface, and the numbers along its axes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.landscape import LossLandscape
from nnviz3d.scene.colors import number

WIDTH, HEIGHT = 16.0, 5.0
"""World units of the longer side of the grid, and of the highest loss above the lowest one."""
_FACTOR = 100.0
"""Factor between the highest and the lowest loss from which heights follow the logarithm."""
_PATH_LIFT = 0.07
"""World distance of the path of a training, and of balls, from the surface, so that they are not hidden by it."""
_PIECES = 12
"""Straight pieces of the path between two kept weights."""
_TICKS, _APART = 5, 0.14
"""Numbers along an axis, at most; smallest share of the height between two of them."""


@dataclass(frozen=True)
class LandscapeWorld:
    """The landscape in world coordinates.

    Attributes
    ----------
    low, high
        The losses at heights 0 and `HEIGHT`.
    logarithmic
        Whether heights follow the logarithm.
    unit
        World units of a unit of the plane's coordinates.
    middle
        The plane's coordinates at the world's x and z of 0.
    along, across
        ``(n,)`` and ``(m,)``: world x of the columns and z of the rows.
    heights
        ``(m, n)``: world y; NaN where the loss is not finite.
    """

    low: float
    high: float
    logarithmic: bool
    unit: float
    middle: tuple[float, float]
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    heights: NDArray[np.float64]

    @staticmethod
    def of(found: LossLandscape, scale: str | None) -> LandscapeWorld:
        """Lay out a landscape; ``scale`` is that of `LandscapeSpec`."""
        losses = np.concatenate([found.values.reshape(-1), found.path_losses]).astype(np.float64)
        finite = losses[np.isfinite(losses)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        logarithmic = low > 0 and (scale == "log" or (scale is None and high > _FACTOR * low))
        unit = WIDTH / max(float(np.ptp(found.along)), float(np.ptp(found.across)))
        middle = float(found.along[[0, -1]].mean()), float(found.across[[0, -1]].mean())
        along, across = (found.along - middle[0]) * unit, (found.across - middle[1]) * unit
        flat = LandscapeWorld(
            low, high if high > low else low + 1, logarithmic, unit, middle, along, across, np.empty((0, 0))
        )
        return replace(flat, heights=flat.height(found.values))

    def height(self, losses: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the world heights of losses; NaN where one is not finite."""
        losses = np.where(np.isfinite(losses), losses, np.nan).astype(np.float64)
        if self.logarithmic:
            return np.asarray(np.log(losses / self.low) / math.log(self.high / self.low) * HEIGHT)
        return np.asarray((losses - self.low) / (self.high - self.low) * HEIGHT)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Losses to write along the height: their shares of it, 0 to 1, and their text."""
        if self.logarithmic:
            decades = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            every = math.ceil(len(decades) / _TICKS) if decades else 1
            inner = [10.0**k for k in decades if k % every == 0]
        else:
            inner = round_ticks(self.low, self.high)
        shares = self.height(np.array([self.low, *inner, self.high])) / HEIGHT
        clear = [k for k, share in enumerate(shares[1:-1], 1) if _APART < share < 1 - _APART]
        written = [self.low, *inner, self.high]
        return tuple((float(shares[k]), number(written[k])) for k in (0, *clear, len(written) - 1))

    def on_surface(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return world coordinates, ``(n, 3)``, a little above the surface at coordinates of the plane, ``(n, 2)``.

        Heights between grid points are interpolated bilinearly; in a hole they are those of the ground.
        """
        corners, shares, places = [], [], []
        for axis, middle, values in ((self.across, self.middle[1], at[:, 1]), (self.along, self.middle[0], at[:, 0])):
            where = (values - middle) * self.unit
            first = np.clip(np.searchsorted(axis, where) - 1, 0, len(axis) - 2)
            corners.append(first)
            shares.append(np.clip((where - axis[first]) / (axis[first + 1] - axis[first]), 0, 1))
            places.append(where)
        (row, column), (down, right) = corners, shares
        back = self.heights[row, column] * (1 - right) + self.heights[row, column + 1] * right
        front = self.heights[row + 1, column] * (1 - right) + self.heights[row + 1, column + 1] * right
        return np.stack([places[1], np.nan_to_num(back * (1 - down) + front * down) + _PATH_LIFT, places[0]], axis=1)

    def way(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a line on the surface through coordinates of the plane, ``(n, 2)`` to ``(m, 3)``."""
        pieces = np.linspace(0, len(at) - 1, _PIECES * (len(at) - 1) + 1)
        return self.on_surface(np.stack([np.interp(pieces, np.arange(len(at)), at[:, k]) for k in (0, 1)], axis=1))

    @property
    def extent(self) -> NDArray[np.float64]:
        """The points of the surface, and of the ground with room for the words beside it, ``(n, 3)``."""
        x, z = np.meshgrid(self.along, self.across)
        surface = np.stack([x, np.nan_to_num(self.heights), z], axis=-1).reshape(-1, 3)
        ground = np.stack([x, np.zeros_like(x), z], axis=-1)[[0, 0, -1, -1], [0, -1, 0, -1]]
        return np.concatenate([surface, ground + np.array([-0.06 * WIDTH, -0.6, 0]), ground])


def round_ticks(low: float, high: float) -> list[float]:
    """Return up to five round numbers in a range, 0 among them if it lies inside."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
