"""Titles of attribution maps, and maps interpolated to the input's resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attributions import TITLES, Attribution
from nnviz3d.data.upsample import upsampled
from nnviz3d.scene.context import SceneContext


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
