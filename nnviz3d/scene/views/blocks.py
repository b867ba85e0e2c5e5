"""Picks of cells and layers: made from hits on blocks and pictures, described, and marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import CHANNEL, channel_axis
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.preprocessing_words import channel_colors
from nnviz3d.scene.context import SceneContext, class_name, head_of, is_classifier, shape_text
from nnviz3d.scene.derived.attribution_maps import over_input, title_of
from nnviz3d.scene.derived.layer_figures import measured_weights
from nnviz3d.scene.derived.time_axis import runs_over_time, shown_axes
from nnviz3d.scene.derived.token_names import token_words
from nnviz3d.scene.facts import Facts, exact_list
from nnviz3d.scene.hits import CellHit, PixelHit, TileHit
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.primitives import Primitive, Span
from nnviz3d.scene.selection import CellPick, LayerPick, Pick, Selection
from nnviz3d.scene.view import Pickable
from nnviz3d.scene.views.marks import framed
from nnviz3d.scene.views.structure import number_of_parameters


class BlocksView(Pickable):
    """Describes and marks picked cells and layers at their blocks, even if the blocks are not drawn.

    Parameters
    ----------
    others
        The scene's other views, which may also show a picked cell.
    """

    def __init__(self, context: SceneContext, others: Sequence[Pickable] = ()) -> None:
        self._context = context
        self._others = others

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the numbers of a cell, or the description of a layer."""
        match pick:
            case CellPick():
                return describe_cell(self._context, pick, selection)
            case LayerPick():
                return describe_layer(self._context, pick)
        return None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames around a cell at all its positions, or around the layer's block; and the callout."""
        match pick:
            case CellPick():
                spans = [span for view in self._others for span in view.spans_of(pick, selection)]
                facts = self.describe(pick, selection)
                return () if facts is None else framed([*spans, span_of(self._context, pick.layer, pick.index)], facts)
            case LayerPick():
                placement = self._context.placement(pick.layer)
                return framed([Span(placement.origin, placement.size)], self.describe(pick, selection))
        return ()


def pick_cell(context: SceneContext, layer: str, hit: CellHit | PixelHit) -> CellPick | None:
    """Return the hit cell of a layer's block, or of the picture in its place."""
    if isinstance(hit, PixelHit):
        return _pick_pixel(context, layer, hit)
    index = context.placement(layer).grid.index(hit.cell)
    return None if index is None else CellPick(layer, index)


def pick_on_map(context: SceneContext, layer: str, hit: CellHit | PixelHit) -> CellPick | None:
    """Return the location of a hit on a layer's map; a map has no channels, so the pick means all channels."""
    grid = context.placement(layer).grid
    if isinstance(hit, PixelHit) or len(grid.shape) < 2:
        return pick_cell(context, layer, hit)
    if grid.tokens:
        return CellPick(layer, (int(np.argsort(grid.token_rows)[hit.cell[1]]),))
    index = grid_for((*grid.location_shape, 1)).index(hit.cell)
    return None if index is None else CellPick(layer, index[:-1])


def pick_on_tile(context: SceneContext, layer: str, hit: TileHit) -> CellPick | LayerPick:
    """Return the cell of a tile's pixel, or the layer if the tile does not show the layer's numbers."""
    if not hit.primitive.maps:
        return LayerPick(layer)
    channel = int(hit.primitive.channels[hit.number])
    return CellPick(layer, context.placement(layer).grid.full((hit.row, hit.column), channel))


def _pick_pixel(context: SceneContext, layer: str, hit: PixelHit) -> CellPick:
    """Return the index of a pixel: of one number, or of a location if there are several channels."""
    grid = context.placement(layer).grid
    (rows, columns), (high, wide) = grid.location_shape[-2:], hit.primitive.pixels.shape[:2]
    location = (hit.row * rows // high, hit.column * columns // wide)
    return CellPick(layer, grid.full(location, 0) if grid.channels == 1 else location)


def span_of(context: SceneContext, layer: str, index: tuple[int, ...]) -> Span:
    """Return the box of a number, or of all channels of a location."""
    placement = context.placement(layer)
    grid = placement.grid
    alone = len(index) == len(grid.shape)
    ends = (index,) if alone else tuple(grid.full(index, c) for c in (0, grid.channels - 1))
    flat = [flat_index(end, grid.shape) for end in ends]
    cells = placement.grid.cells(np.array(flat, dtype=np.int64))
    low = np.array(placement.origin) + cells.min(axis=0) * placement.cell
    size = (cells.max(axis=0) - cells.min(axis=0) + 1) * np.array(placement.cell)
    return Span(tuple(map(float, low)), tuple(map(float, size)))  # type: ignore[arg-type]


def flat_index(index: Sequence[int], shape: tuple[int, ...]) -> int:
    """Return the flat index (C order) of a number in a tensor of a shape; that of a scalar is 0."""
    return int(np.ravel_multi_index(tuple(index), shape)) if shape else 0


def value_at(context: SceneContext, layer: str, index: tuple[int, ...], sample: int) -> NDArray[np.float32] | None:
    """Return a number of a layer, or all channels of a location; `None` if the sample has no such index."""
    values, grid = context.values(layer, sample).values, context.placement(layer).grid
    if values.ndim != len(grid.shape) or not replace(grid, shape=values.shape).holds(index):
        return None
    return np.asarray(grid.numbers(values, index))


def describe_layer(context: SceneContext, pick: LayerPick) -> Facts:
    """Return kind, shape, parameters and statistics of the weights of a layer."""
    node = context.graph.node(pick.layer)
    known = context.placement(node.id).grid.shape if None in node.shape else None
    size = f"{number_of_parameters(node.parameters)} parameters"
    function = (f"activation function {node.activation}",) if node.activation else ()
    weights = (f"{name} {text}" for name, text in measured_weights(context, node))
    return Facts(node.id, more=(node.kind, shape_text(node, known), size, *function, *weights))


def describe_cell(context: SceneContext, pick: CellPick, selection: Selection) -> Facts | None:
    """Return all numbers that the capture holds at an index of a layer; `None` if the sample has no such index."""
    sample = selection.sample
    found = value_at(context, pick.layer, pick.index, sample)
    if found is None:
        return None
    index = f" [{', '.join(map(str, pick.index))}]" if pick.index else ""
    more = [_words(context, pick.layer, pick.index, sample)]
    raw = _pixel(context, pick, sample)
    if raw:
        more.append(raw)
    value = exact_list(found)
    parts = tuple((name, exact_list(numbers)) for name, numbers in _derived(context, pick, found, selection))
    if parts:
        value, parts = "", (("activation", value), *parts)
    return Facts(f"{pick.layer}{index}", value, parts, tuple(text for text in more if text))


def _derived(
    context: SceneContext, pick: CellPick, activation: NDArray[np.float32], selection: Selection
) -> Iterable[tuple[str, NDArray[np.float32]]]:
    """Yield further numbers of a cell by name: for the selected target, and of the other sample of a difference."""
    grid = context.placement(pick.layer).grid
    location = grid.location(pick.index)
    if context.has_gradients(selection):
        gradient = context.gradient(pick.layer, selection)
        if gradient is not None:
            here = grid.numbers(gradient, pick.index)
            yield "gradient", here
            with np.errstate(invalid="ignore", over="ignore"):
                yield "gradient × activation", np.asarray(here * activation + np.float32(0))
    explanations = context.explanations(selection.sample)
    for method in attribution_methods(context.capture.stored):
        found = explanations.attribution(method, selection.target, pick.layer)
        if found is not None:
            yield title_of(found)[0], np.asarray(found.values[location[: found.values.ndim]])
        elif (
            pick.layer in context.graph.inputs
            and (other := explanations.attribution(method, selection.target)) is not None
        ):
            name, values = over_input(context, other) or ("", other.values)
            if name == pick.layer:
                yield f"{title_of(other)[0]}, interpolated", np.asarray(values[location[: values.ndim]])
    if selection.against is not None:
        yield "difference", grid.numbers(context.difference(pick.layer, selection), pick.index)


def _words(context: SceneContext, layer: str, index: tuple[int, ...], sample: int) -> str:
    """Write an index with the names of its axes, with its token, and with the name of its class if it is a score."""
    grid = context.placement(layer).grid
    if grid.tokens:
        unit = "".join(f", unit {i}" for i in index[1:])
        return f"{token_words(context, layer, index[0], sample)}{unit}"
    unit = "number" if layer in context.graph.inputs else "neuron"
    named = shown_axes(grid.named(index), runs_over_time(context.capture))
    names = (unit,) if grid.axes == (CHANNEL,) else named
    words = ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False))
    units, at = context.capture.unit_names(layer), channel_axis(grid.axes)
    if units is not None and at is not None and len(index) == len(grid.shape):
        words = f"{words}: {units[index[at]]}"
    if (
        layer == head_of(context.graph)
        and is_classifier(context.capture, layer)
        and context.capture.classes is not None
    ):
        words = f"{words}: {class_name(context.capture.classes, index[0])}"
    return words


def _pixel(context: SceneContext, pick: CellPick, sample: int) -> str:
    """Write the pixel before preprocessing, if the cell belongs to an input picture; otherwise nothing."""
    if pick.layer not in context.graph.inputs or len(pick.index) < 2:
        return ""
    picture, grid = context.capture.picture(pick.layer, sample), context.placement(pick.layer).grid
    if picture is None or picture.shape[:2] != grid.location_shape:
        return ""
    pixel = [int(v) for v in picture[grid.location(pick.index)]]
    at = channel_axis(grid.axes)
    colors = channel_colors(context.capture.preprocessing(sample)[0])
    channel = ""
    if at is not None and grid.channels == len(colors) and len(pick.index) == len(grid.shape):
        channel = f"channel {pick.index[at]} is {colors[pick.index[at]]}; "
    if len(set(pixel)) == 1:
        return f"{channel}pixel {pixel[0]} of 255"
    return channel + "pixel red {}, green {}, blue {}".format(*pixel)
