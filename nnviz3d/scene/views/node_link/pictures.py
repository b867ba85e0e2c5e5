"""The pictures of inputs, each before the balls of its channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.neurons import Neurons
from nnviz3d.scene.layout.nodes import TALLEST, TURNED, BallLayout
from nnviz3d.scene.primitives import Source, Tiles

_BEFORE = 1.9
"""World distance between an input's picture and the balls of its channels."""
_PICTURE, _PICTURE_SHARE = 0.42 * TALLEST, 1.1
"""Size of an input's picture: the maximum in world units, and the share of the highest layer's height."""
ROOM = _BEFORE + _PICTURE
"""Room for a picture before the balls, in world units."""


def input_pictures(
    context: SceneContext, neurons: Neurons, layouts: Mapping[str, BallLayout], sample: int
) -> tuple[Tiles, ...]:
    """Return the input pictures, each to the left of the balls of its channels."""
    found = []
    for name in context.graph.inputs:
        pixels = None if name in neurons.scattered else context.capture.picture(name, sample)
        if pixels is None:
            continue
        rows, columns = pixels.shape[:2]
        tall = max(layout.size[1] for layout in layouts.values())
        extent = min(_PICTURE, max(_PICTURE_SHARE * tall, _BEFORE))
        width, height = (extent * n / max(rows, columns) for n in (columns, rows))
        middle = layouts[name].points.mean(axis=0) - np.array([_BEFORE + width * TURNED[0] / 2, 0.0, 0.0])
        corner = middle - np.array(TURNED) * width / 2 - np.array([0.0, height / 2, 0.0])
        grid = context.placement(name).grid
        maps = (grid.location_shape, grid.channels) == ((rows, columns), 1)
        origins = corner[np.newaxis].astype(np.float32)
        found.append(
            Tiles(
                name,
                pixels[np.newaxis],
                origins,
                (width, height),
                np.zeros(1, np.int64),
                maps=maps,
                right=TURNED,
                source=Source("nodes", name),
            )
        )
    return tuple(found)


def corners_of(tiles: Tiles) -> NDArray[np.float64]:
    """Return the corners of a picture, ``(4, 3)``."""
    right, up = np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
    return np.asarray(tiles.origins[0] + np.array([np.zeros(3), right, up, right + up]))


def middle_of_pixel(tiles: Tiles, location: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the middle of a pixel of a picture."""
    rows, columns = tiles.pixels.shape[1:3]
    right = np.array(tiles.right) * tiles.size[0] * (location[1] + 0.5) / columns
    up = np.array(tiles.up) * tiles.size[1] * (1 - (location[0] + 0.5) / rows)
    return np.asarray(tiles.origins[0] + right + up)
