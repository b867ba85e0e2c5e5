"""Colour maps, and the mapping of a tensor's numbers to their colours.

Sequential maps are perceptually uniform and dark at zero, so that large numbers are bright on the dark background.
Diverging maps are symmetric and dark in the middle, so that zero is dark and the hue shows the sign.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.minus_sign import with_minus
from nnviz3d.errors import SceneError

Color = tuple[float, float, float]
"""sRGB in [0, 1]."""
Normalize = Literal["layer", "global", "symmetric"]
"""One scale for each layer, one for all layers, or one for each layer that is always symmetric about zero."""

NAN_COLOR = (0.10, 1.00, 0.35)
INF_COLOR = (1.00, 0.15, 0.85)
POSITIVE = (1.00, 0.62, 0.30)
NEGATIVE = (0.36, 0.66, 1.00)

SEQUENTIAL = ("inferno", "magma", "plasma", "viridis", "cividis", "gray")
DIVERGING = ("ember-ice", "berlin", "managua", "vanimo")
DEFAULT_SEQUENTIAL = "inferno"
DEFAULT_DIVERGING = "ember-ice"


@dataclass(frozen=True, eq=False)
class Colormap:
    """A table of 256 colours.

    Attributes
    ----------
    table
        ``(256, 3)`` uint8, sRGB.
    diverging
        Whether the colour in the middle means zero.
    """

    name: str
    table: NDArray[np.uint8]
    diverging: bool

    def at(self, shares: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the colours at shares of the map, ``(...)`` to ``(..., 3)`` in [0, 1]; beyond an end that of the end."""
        return np.asarray(self.table[np.round(np.clip(shares, 0, 1) * 255).astype(int)] / 255)


def repeated(color: tuple[float, float, float], opacity: float, count: int) -> NDArray[np.float32]:
    """Return one colour for each of several lines or points, ``(count, 4)``."""
    return np.tile(np.array([*color, opacity], dtype=np.float32), (count, 1))


@cache
def colormap(name: str) -> Colormap:
    """Return a colour map by name; the same object each time.

    Raises
    ------
    SceneError
        If no colour map has this name; the message lists all names.
    """
    if name not in SEQUENTIAL + DIVERGING:
        close = difflib.get_close_matches(name, SEQUENTIAL + DIVERGING, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SceneError(f"There is no colour map {name!r}; choose one of {', '.join(SEQUENTIAL + DIVERGING)}.{hint}")
    table = _ember_ice() if name == "ember-ice" else _from_matplotlib(name)
    table.flags.writeable = False
    return Colormap(name, table, name in DIVERGING)


def _from_matplotlib(name: str) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.asarray(colormaps[name](np.arange(256), bytes=True)[:, :3], dtype=np.uint8)


def _ember_ice() -> NDArray[np.uint8]:
    """Blue for negative, ember for positive, dark at zero; lightness is the same on both sides (interpolated in Oklab)."""
    ember = [(0.16, 0.0, 0.0), (0.42, 0.115, 0.075), (0.66, 0.125, 0.125), (0.82, 0.04, 0.14), (0.95, -0.02, 0.09)]
    ice = [(0.16, 0.0, 0.0), (0.42, -0.01, -0.135), (0.66, -0.06, -0.125), (0.82, -0.075, -0.075), (0.95, -0.05, -0.02)]
    at = np.linspace(0, 1, 128)
    halves = []
    for stops in (ice, ember):
        columns = [np.interp(at, np.linspace(0, 1, len(stops)), [s[i] for s in stops]) for i in range(3)]
        halves.append(np.stack(columns, axis=1))
    return oklab_to_srgb(np.concatenate([halves[0][::-1], halves[1]]))


OTHERS = (0.46, 0.50, 0.58)
"""Colour of everything without a colour of its own."""


def categorical(count: int) -> tuple[tuple[float, float, float], ...]:
    """Return colours for unordered classes: hues evenly around Oklab's circle, alternately lighter and darker."""
    hue = np.deg2rad(29 + 360 * np.arange(count) / max(count, 1))
    light, chroma = np.where(np.arange(count) % 2, 0.82, 0.68), np.where(np.arange(count) % 2, 0.13, 0.16)
    table = oklab_to_srgb(np.stack([light, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)) / 255
    return tuple((float(r), float(g), float(b)) for r, g, b in table)


def oklab_to_srgb(lab: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Turn Oklab (B. Ottosson, 2020) into 8-bit sRGB, ``(n, 3)`` to ``(n, 3)``; colours out of gamut are clipped."""
    to_lms = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(((lab @ to_lms.T) ** 3) @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(encoded * 255), dtype=np.uint8)


@dataclass(frozen=True)
class ValueStatistics:
    """Statistics of a tensor's numbers; of NaN and infinite numbers only the count is kept.

    Attributes
    ----------
    low, high
        Smallest and largest finite number; 0 if there is none.
    strong
        The 99.8th percentile of the finite |numbers|, of those that are not 0 where they are few; at least a twentieth of
        the largest. It keeps a few outliers from turning all other numbers dark.
    """

    count: int
    low: float
    high: float
    strong: float
    nans: int
    infinities: int


_SAMPLE = 200_000
_SPARSE = 0.05
"""Share of nonzero numbers below which they alone set the end of the colour scale."""


def statistics_of(values: NDArray[np.float32]) -> ValueStatistics:
    """Compute the statistics of a tensor of any shape.

    Extremes and counts are exact. The percentile of more than 200,000 numbers is taken from an even sample of them. It
    only sets the end of the colour scale, which the scale bar shows.
    """
    flat = values.reshape(-1)
    if flat.size == 0:
        return ValueStatistics(0, 0.0, 0.0, 0.0, 0, 0)
    low, high = float(flat.min()), float(flat.max())
    nans = infinities = 0
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = np.isfinite(flat)
        nans = int(np.isnan(flat).sum())
        infinities = int(flat.size - finite.sum()) - nans
        flat = flat[finite]
        low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    largest = max(abs(low), abs(high))
    sampled = np.abs(flat[:: max(1, flat.size // _SAMPLE)])
    nonzero = sampled[sampled > 0]
    # Among many zeros, as where one channel of many has changed, a percentile of all would give most others one colour.
    sampled = nonzero if 0 < nonzero.size < _SPARSE * sampled.size else sampled
    strong = float(np.percentile(sampled, 99.8)) if flat.size else 0.0
    return ValueStatistics(values.size, low, high, max(strong, largest / 20), nans, infinities)


def limits_for(statistics: ValueStatistics, normalize: Normalize) -> tuple[float, float]:
    """Return the numbers that get the first and the last colour: ``(0, m)``, or ``(-m, m)`` with negative numbers.

    They are symmetric about zero if there are negative numbers, so that the hue shows the sign, and equal brightness
    means equal |number|.
    """
    top = statistics.strong or max(abs(statistics.low), abs(statistics.high)) or 1.0
    if statistics.low < 0 or normalize == "symmetric":
        return -top, top
    return 0.0, top


def score(value: float) -> str:
    """Write a class score: three decimals, so that 1 reads 1.000; for small scores three significant digits."""
    return with_minus(f"{value:.3f}") if 0.1 <= abs(value) < 1000 else number(value)


def number(value: float) -> str:
    """Write a number with three significant digits, without trailing zeros, with a minus sign instead of a hyphen."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 1e5 or magnitude < 1e-3:
        text = f"{value:.1e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    elif magnitude >= 100:
        text = f"{value:.0f}"
    else:
        text = f"{value:.3g}"
    return with_minus(text)
