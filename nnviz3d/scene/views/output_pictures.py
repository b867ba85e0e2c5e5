"""Outputs that are pictures: rebuilt or generated pictures, masks, and the classes of a segmentation map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.picture_files import PictureShape
from nnviz3d.scene.colors import Color, categorical
from nnviz3d.scene.context import SceneContext

_SMALLEST = 8
"""Minimum height and width of an output that is drawn as a picture; smaller maps are drawn as numbers."""
_LISTED = 6
"""Maximum number of classes of a segmentation map that are listed."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The class with the highest score at each location of a map.

    Attributes
    ----------
    classes
        ``(H, W)`` int64; -1 where a score is NaN.
    colors
        A colour for each class.
    names
        Names of the classes; `None` if they have none.
    present
        Each class in the map with its share of the locations, the largest share first.
    """

    classes: NDArray[np.int64]
    colors: tuple[Color, ...]
    names: tuple[str, ...] | None
    present: tuple[tuple[int, float], ...]

    @property
    def most(self) -> tuple[int, float]:
        """The most frequent class, and its share of the locations."""
        return self.present[0] if self.present else (0, 0.0)

    @property
    def largest(self) -> tuple[tuple[int, float], ...]:
        """The most frequent classes with their shares, as many as are listed."""
        return self.present[:_LISTED]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The map in the colours of its classes, ``(H, W, 3)``; black where a score is NaN."""
        table = np.array([*self.colors, (0.0, 0.0, 0.0)])
        return np.asarray(table[self.classes] * 255 + 0.5, dtype=np.uint8)


def drawn_as_picture(context: SceneContext, name: str) -> bool:
    """Whether an output is a picture: with rows, columns, and one or three channels, and not tiny."""
    if name not in context.graph.outputs:
        return False
    grid = context.placement(name).grid
    shape = grid.picture if len(grid.shape) > 1 else None
    if shape is None or shape.channels not in (1, 3):
        return False
    return min(grid.location_shape[-2:]) >= _SMALLEST and not _has_classes(context, name)


def output_picture(context: SceneContext, name: str, sample: int) -> NDArray[np.uint8] | None:
    """Return an output as a picture ``(H, W, 3)``; `None` if it is no picture.

    Numbers from 0 to 1 are drawn from black to white; other numbers from their smallest to their largest. A segmentation
    map shows the class with the highest score at each location.
    """
    classes = class_map(context, name, sample)
    if classes is not None:
        return classes.pixels
    if not drawn_as_picture(context, name):
        return None
    layer = context.values(name, sample)
    shape = PictureShape.of(layer.values.shape, layer.grid.axes)
    if shape is None or not np.isfinite(layer.values).any():
        return None
    low, high = layer.statistics.low, layer.statistics.high
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (shape.upright(layer.values[np.newaxis])[0].astype(np.float64) - low) / (high - low or 1.0)
    pixels = np.asarray(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1) * 255 + 0.5, dtype=np.uint8)
    return np.repeat(pixels, 3, axis=2) if shape.channels == 1 else np.ascontiguousarray(pixels)


def class_map(context: SceneContext, name: str, sample: int) -> ClassMap | None:
    """Return the classes of a segmentation map; `None` for an output that is not one."""
    if name not in context.graph.outputs or not _has_classes(context, name):
        return None
    layer = context.values(name, sample)
    scores = layer.grid.last(layer.values)
    classes = np.where(np.isnan(scores).any(axis=-1), -1, np.nan_to_num(scores).argmax(axis=-1)).astype(np.int64)
    found, counts = np.unique(classes[classes >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    present = tuple((int(found[i]), float(counts[i]) / classes.size) for i in order)
    capture, count = context.capture, scores.shape[-1]
    names = capture.classes if capture.classes is not None and len(capture.classes) == count else None
    return ClassMap(classes, categorical(count), names, present)


def _has_classes(context: SceneContext, name: str) -> bool:
    """Whether an output gives the scores of classes at each location: a map that ends in a softmax over its channels."""
    node, grid = context.graph.node(name), context.placement(name).grid
    softmax = node.activation == "softmax" or node.kind == "Softmax"
    return softmax and len(grid.location_shape) == 2 and grid.channels > 1
