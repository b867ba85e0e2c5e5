"""Outputs that are pictures: rebuilt or generated pictures, masks, and the classes of a segmentation map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.storage.truths import read_truth
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import Color, ValueStatistics, categorical, number, statistics_of
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.panel_rows import PicturesRow, Row, SwatchRow, TextRow
from nnviz3d.scene.primitives import Panel

_SMALLEST = 8
"""Minimum height and width of an output that is drawn as a picture; smaller maps are drawn as numbers."""
_LISTED = 3
"""Maximum number of classes of a segmentation map that are listed, in one row."""
_COMPARED = 2
"""Maximum number of outputs that are compared with the input and the truth."""


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
    return _pixels(layer.values, layer.grid.axes, layer.statistics)


def _pixels(
    values: NDArray[np.float32], axes: Axes, statistics: ValueStatistics, *, whole: bool = False
) -> NDArray[np.uint8] | None:
    """Turn numbers into a picture ``(H, W, 3)``; numbers from 0 to 1 keep this scale, unless `whole` is true."""
    shape = PictureShape.of(values.shape, axes) if values.ndim > 1 else None
    if shape is None or not np.isfinite(values).any():
        return None
    low, high = statistics.low, statistics.high
    if low >= 0 and high <= 1 and not whole:
        low, high = 0.0, 1.0
    scaled = (shape.upright(values[np.newaxis])[0].astype(np.float64) - low) / (high - low or 1.0)
    pixels = np.asarray(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1) * 255 + 0.5, dtype=np.uint8)
    return np.repeat(pixels, 3, axis=2) if shape.channels == 1 else np.ascontiguousarray(pixels[..., :3])


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


def comparisons(context: SceneContext, outputs: Sequence[str], sample: int) -> tuple[Panel, ...]:
    """Return a panel for each of the first outputs that are pictures: the input, the output, and its truth if known.

    Below are the classes of a segmentation map, and how near the output is to the truth.
    """
    panels: list[Panel] = []
    for name in outputs:
        pixels = output_picture(context, name, sample)
        if pixels is None or len(panels) == _COMPARED:
            continue
        source = None if panels else _input_picture(context, sample)
        pictures = [*([] if source is None else [source]), (context.graph.node(name).name, pixels)]
        stored, index = context.capture.stored_sample(sample)
        truth = read_truth(stored, name, index)
        rows = _class_rows(class_map(context, name, sample), _classes_of_truth(context, name, truth))
        if truth is not None:
            shown = truth_picture(context, name, truth, sample)
            pictures += [] if shown is None else [("truth", shown)]
            rows.append(TextRow(agreement(context, name, truth, sample), "quiet"))
        if len(pictures) > 1 or rows:
            title = "pictures" if not panels else f"pictures/{name}"
            panels.append(Panel(title, "top-right", (PicturesRow(tuple(pictures)), *rows)))
    return tuple(panels)


def _class_rows(found: ClassMap | None, true: Sequence[int]) -> list[Row]:
    """Return the colours of the classes in a map, with their shares of the picture, and of the classes in its truth."""
    if found is None:
        return []
    shares = [*found.present, *((i, 0.0) for i in true if i not in dict(found.present))]
    swatches = [(found.colors[i], f"{class_name(found.names, i)}  {share:.0%}") for i, share in shares[:_LISTED]]
    rows: list[Row] = [SwatchRow(tuple(swatches))] if swatches else []
    if len(shares) > _LISTED:
        rows.append(TextRow(f"the largest {_LISTED} of {len(shares):,} classes in the picture", "quiet"))
    return rows


def truth_picture(context: SceneContext, name: str, truth: NDArray[Any], sample: int) -> NDArray[np.uint8] | None:
    """Return the true output as a picture ``(H, W, 3)``, with the colours and the scale of the output's picture."""
    classes = class_map(context, name, sample)
    if classes is not None:
        true = _true_classes(truth, context.placement(name).grid)
        return None if true is None else replace(classes, classes=true).pixels
    values = truth.reshape(context.values(name, sample).values.shape).astype(np.float32)
    return _pixels(values, context.placement(name).grid.axes, statistics_of(values))


def agreement(context: SceneContext, name: str, truth: NDArray[Any], sample: int) -> str:
    """Say how near an output is to the truth: by its classes, as a mask with the threshold 0.5, or as numbers."""
    classes = class_map(context, name, sample)
    if classes is not None:
        true = _true_classes(truth, context.placement(name).grid)
        if true is None:
            return "the truth names classes that the output does not have"
        return f"the class is true for {np.mean(classes.classes == true):.1%} of the pixels"
    values = context.values(name, sample).values
    true = truth.reshape(values.shape)
    if np.isin(true, (0, 1)).all():
        return f"true for {np.mean((values > 0.5) == (true > 0.5)):.1%} of the pixels at the threshold 0.5"
    difference = np.abs(values.astype(np.float64) - true)
    return f"mean |output − truth| {number(float(np.nanmean(difference)))}"


def _classes_of_truth(context: SceneContext, name: str, truth: NDArray[Any] | None) -> list[int]:
    """Return the classes in the truth of a segmentation map, in order; none for another output."""
    if truth is None or not _has_classes(context, name):
        return []
    true = _true_classes(truth, context.placement(name).grid)
    return [] if true is None else np.unique(true).tolist()


def _true_classes(truth: NDArray[Any], grid: CellGrid) -> NDArray[np.int64] | None:
    """Return the true class of each pixel, from classes or from one score for each class; `None` for other numbers."""
    if truth.ndim == len(grid.shape) and truth.shape == grid.shape:
        return np.asarray(grid.last(truth).argmax(axis=-1))
    whole = truth.reshape(grid.location_shape)
    true = whole.astype(np.int64)
    return true if np.array_equal(true, whole) and true.min() >= 0 and true.max() < grid.channels else None


def _input_picture(context: SceneContext, sample: int) -> tuple[str, NDArray[np.uint8]] | None:
    """Return the name and the pixels of the first input that is a picture."""
    for name in context.graph.inputs:
        pixels = context.capture.picture(name, sample)
        if pixels is None and context.capture.has_activations(name):
            layer = context.values(name, sample)
            pixels = _pixels(layer.values, layer.grid.axes, layer.statistics, whole=True)
        if pixels is not None:
            return context.graph.node(name).name, pixels
    return None
