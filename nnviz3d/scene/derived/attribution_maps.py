"""Titles of attribution maps, maps interpolated to the input's resolution, and the pixels of maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attributions import TITLES, Attribution
from nnviz3d.data.upsample import upsampled
from nnviz3d.scene.colors import Colormap
from nnviz3d.scene.context import SceneContext

GREYS = (36, 148)
"""Grey levels of black and white in a picture under a map: brighter than the map's zero, darker than its maximum."""


def title_of(found: Attribution) -> tuple[str, bool]:
    """Return the display name of a map's method, and whether its numbers may be negative."""
    return TITLES.get(found.method, (found.method, bool((found.values < 0).any())))


def over_input(context: SceneContext, found: Attribution) -> tuple[str, NDArray[np.float32]] | None:
    """Return the input under a map, and the map in the input's resolution; `None` if no input fits.

    The map of a layer belongs to the first input with as many spatial axes. It is interpolated linearly.
    """
    if found.layer in context.graph.inputs:
        return found.layer, found.values
    for name in context.graph.inputs:
        lengths = context.placement(name).grid.location_shape
        if len(lengths) == found.values.ndim:
            return name, upsampled(found.values[np.newaxis], lengths)[0]
    return None


def painted(values: NDArray[np.float32], table: Colormap, limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Turn a map ``(H, W)`` into colours ``(H, W, 3)``; NaN and infinite numbers are black."""
    low, high = limits
    share = np.nan_to_num((np.clip(values, low, high) - low) / (high - low), nan=0.0)
    pixels = np.asarray(table.table[np.round(share * 255).astype(np.intp)])
    pixels[np.isnan(values)] = 0
    return pixels


def laid_over(
    picture: NDArray[np.uint8],
    values: NDArray[np.float32],
    table: Colormap,
    limits: tuple[float, float],
    opacity: float,
) -> NDArray[np.uint8]:
    """Blend a map with a picture: the dimmed grey picture where the map is zero, colour where it is strong.

    Parameters
    ----------
    picture
        ``(h, w, 3)``.
    values
        ``(H, W)``, in the resolution of the model's input.
    opacity
        How much of the picture the strongest colour hides.

    Returns
    -------
    ``(H', W', 3)``, in the higher of both resolutions.
    """
    rows, columns = (max(a, b) for a, b in zip(picture.shape[:2], values.shape, strict=True))
    light = _repeated(picture @ np.array([0.2126, 0.7152, 0.0722]), rows, columns) / 255
    grey = GREYS[0] + light * (GREYS[1] - GREYS[0])
    fine = _repeated(values, rows, columns)
    strength = np.nan_to_num(np.clip(np.abs(fine) / max(abs(limits[0]), abs(limits[1])), 0, 1))[..., np.newaxis]
    hidden = opacity * np.sqrt(strength)
    color = painted(fine, table, limits)
    return np.asarray(np.round(grey[..., np.newaxis] * (1 - hidden) + color * hidden), dtype=np.uint8)


def _repeated(values: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.floating]:
    """Resize ``(h, w)`` to more rows and columns by nearest neighbour."""
    return values[np.ix_(np.arange(rows) * values.shape[0] // rows, np.arange(columns) * values.shape[1] // columns)]
