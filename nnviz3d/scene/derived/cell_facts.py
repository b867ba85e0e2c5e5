"""Parts of the description of a cell: words with places for its index, and arrays that hold further numbers.

Descriptions are made from these for one cell, and for all cells of a layer by a program that has no capture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import CHANNEL, channel_axis
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.note_words import ROUNDED
from nnviz3d.data.preprocessing_words import channel_colors
from nnviz3d.data.rounding import is_rounded
from nnviz3d.scene.class_names import class_name, is_classifier
from nnviz3d.scene.context import SceneContext, head_of
from nnviz3d.scene.derived.attribution_maps import over_input, title_of
from nnviz3d.scene.derived.time_axis import runs_over_time, shown_axes
from nnviz3d.scene.derived.token_names import token_words
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.selection import Selection

Words = tuple[str | int | tuple[int, tuple[str, ...]], ...]
"""Parts of a sentence about an index: text, the position of an axis for its number, or that and a word for each number."""


@dataclass(frozen=True, eq=False)
class CellArray:
    """Further numbers of a layer's cells.

    Attributes
    ----------
    values
        Of the shape of the layer's tensor; or, `by_location`, of its location axes, or the first ones of them.
    times_activation
        Whether they are multiplied by the activation.
    """

    name: str
    values: NDArray[np.float32]
    by_location: bool = False
    times_activation: bool = False

    def at(self, grid: CellGrid, index: tuple[int, ...], activation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the number at an index, or those of all channels of a location."""
        if self.by_location:
            return np.asarray(self.values[grid.location(index)[: self.values.ndim]])
        numbers = grid.numbers(self.values, index)
        if not self.times_activation:
            return numbers
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(numbers * activation + np.float32(0))  # adding 0 turns -0.0 into 0.0


@dataclass(frozen=True, eq=False)
class CellPixels:
    """The picture of an input before preprocessing.

    Attributes
    ----------
    pixels
        ``(rows, columns, 3)`` uint8.
    colors
        The colour of each channel of the input; empty if its channels are no colours.
    """

    pixels: NDArray[np.uint8]
    colors: tuple[str, ...]


def cell_words(context: SceneContext, layer: str, rank: int, sample: int) -> Words:
    """Return the words about an index: the names of its axes, its token, and the name of its class if it is a score.

    Parameters
    ----------
    rank
        Length of the index: that of the tensor's shape, or one less for a location with all its channels.
    """
    grid = context.placement(layer).grid
    if grid.tokens:
        tokens = tuple(token_words(context, layer, row, sample) for row in range(grid.shape[0]))
        units_of_it = (part for axis in range(1, rank) for part in (", unit ", axis))
        return ((0, tokens), *units_of_it, *rounding_words(context, layer, sample))
    unit = "number" if layer in context.graph.inputs else "neuron"
    named = shown_axes(grid.named((0,) * rank), runs_over_time(context.capture))
    names = (unit,) if grid.axes == (CHANNEL,) else named
    words: list[str | int | tuple[int, tuple[str, ...]]] = []
    for axis, name in enumerate(names[:rank]):
        words += [f"{', ' if axis else ''}{name} ", axis]
    units, at = context.capture.unit_names(layer), channel_axis(grid.axes)
    if units is not None and at is not None and rank == len(grid.shape):
        words += [": ", (at, units)]
    classes = context.capture.classes
    if layer == head_of(context.graph) and is_classifier(context.capture, layer) and classes is not None:
        words += [": ", (0, tuple(class_name(classes, i) for i in range(grid.shape[0])))]
    return (*words, *rounding_words(context, layer, sample))


def rounding_words(context: SceneContext, layer: str, sample: int) -> Words:
    """Return what follows the words about a number that was rounded when it was stored."""
    return (f", {ROUNDED}",) if is_rounded(context.capture, layer, sample) else ()


def in_words(words: Words, index: tuple[int, ...]) -> str:
    """Return the sentence about an index."""
    return "".join(
        part if isinstance(part, str) else str(index[part]) if isinstance(part, int) else part[1][index[part[0]]]
        for part in words
    )


def cell_arrays(context: SceneContext, layer: str, selection: Selection) -> Iterator[CellArray]:
    """Yield further numbers of a layer's cells: for the selected target, of a difference and of interventions."""
    if context.has_gradients(selection):
        gradient = context.gradient(layer, selection)
        if gradient is not None:
            yield CellArray("gradient", gradient)
            yield CellArray("gradient × activation", gradient, times_activation=True)
    explanations = context.explanations(selection.sample)
    for method in attribution_methods(context.capture.stored):
        found = explanations.attribution(method, selection.target, layer)
        if found is not None:
            yield CellArray(title_of(found)[0], found.values, by_location=True)
        elif (
            layer in context.graph.inputs and (other := explanations.attribution(method, selection.target)) is not None
        ):
            name, values = over_input(context, other) or ("", other.values)
            if name == layer:
                yield CellArray(f"{title_of(other)[0]}, interpolated", values, by_location=True)
    if context.compares(selection, layer):
        if selection.against is None and context.counterpart is not None:
            yield CellArray(f"of {context.counterpart.name}", context.subtracted(layer, selection))
        yield CellArray("difference", context.difference(layer, selection))
    if explanations.interventions:
        yield CellArray("change", context.change(layer, selection.sample))


def cell_pixels(context: SceneContext, layer: str, sample: int) -> CellPixels | None:
    """Return the picture of an input with the axes of its locations; `None` for another layer or input."""
    grid = context.placement(layer).grid
    if layer not in context.graph.inputs:
        return None
    picture = context.capture.picture(layer, sample)
    if picture is None or picture.shape[:2] != grid.location_shape:
        return None
    colors = channel_colors(context.capture.preprocessing(sample)[0])
    named = channel_axis(grid.axes) is not None and grid.channels == len(colors)
    return CellPixels(picture, tuple(colors) if named else ())
