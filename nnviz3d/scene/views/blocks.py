"""Picks of cells and layers: made from hits on blocks and pictures, described, and marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.kept_layers import NOT_KEPT, was_left_out
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.derived.cell_facts import cell_arrays, cell_pixels, cell_words, in_words
from nnviz3d.scene.derived.layer_figures import measured_weights
from nnviz3d.scene.facts import Facts, exact_list
from nnviz3d.scene.hits import CellHit, PixelHit, TileHit
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.primitives import Primitive, Span
from nnviz3d.scene.selection import CellPick, LayerPick, Pick, Selection
from nnviz3d.scene.view import Pickable
from nnviz3d.scene.views.field_marks import field_marks
from nnviz3d.scene.views.marks import framed
from nnviz3d.scene.views.structure import number_of_parameters


class BlocksView(Pickable):
    """Describes picked cells and layers, and marks them at their blocks; cells only where a view draws the layer's cells.

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
                facts, drawn = self.describe(pick, selection), replace(selection, pick=None)
                if facts is not None and any(view.shows_cells(pick.layer, drawn) for view in self._others):
                    spans.append(span_of(self._context, pick.layer, pick.index))
                return framed(spans, facts)
            case LayerPick():
                placement = self._context.placement(pick.layer)
                return framed([Span(placement.origin, placement.size)], self.describe(pick, selection))
        return ()

    def explain(self, pick: Pick, selection: Selection) -> tuple[Primitive, ...]:
        """Return the receptive field of a cell as a cone of light."""
        return field_marks(self._context, pick) if isinstance(pick, CellPick) else ()


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


def pick_on_tile(context: SceneContext, layer: str, hit: TileHit, sample: int) -> CellPick:
    """Return the cell of a tile's pixel; of a tile that shows no numbers, the cell with its channel's largest number."""
    channel, held = int(hit.primitive.channels[hit.number]), context.values(layer, sample)
    if hit.primitive.maps:
        return CellPick(layer, held.grid.full((hit.row, hit.column), channel))
    numbers = held.grid.last(held.values)[..., channel]
    strongest = np.argmax(np.where(np.isnan(numbers), -np.inf, numbers))
    location = tuple(int(i) for i in np.unravel_index(strongest, numbers.shape))
    return CellPick(layer, held.grid.full(location, channel))


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
    left_out = (f"numbers {NOT_KEPT}",) if was_left_out(context.capture, node.id) else ()
    return Facts(node.id, more=(node.kind, shape_text(node, known), *left_out, size, *function, *weights))


def describe_cell(context: SceneContext, pick: CellPick, selection: Selection) -> Facts | None:
    """Return all numbers that the capture holds at an index of a layer; `None` if the sample has no such index."""
    sample = selection.sample
    found = value_at(context, pick.layer, pick.index, sample)
    if found is None:
        return None
    index = f" [{', '.join(map(str, pick.index))}]" if pick.index else ""
    words = in_words(cell_words(context, pick.layer, len(pick.index), sample), pick.index)
    more = (words, _pixel(context, pick, sample))
    grid = context.placement(pick.layer).grid
    value = exact_list(found)
    further = cell_arrays(context, pick.layer, selection)
    parts = tuple((array.name, exact_list(array.at(grid, pick.index, found))) for array in further)
    if parts:
        value, parts = "", (("activation", value), *parts)
    return Facts(f"{pick.layer}{index}", value, parts, tuple(text for text in more if text))


def _pixel(context: SceneContext, pick: CellPick, sample: int) -> str:
    """Write the pixel before preprocessing, if the cell belongs to an input picture; otherwise nothing."""
    found = cell_pixels(context, pick.layer, sample) if len(pick.index) > 1 else None
    if found is None:
        return ""
    grid = context.placement(pick.layer).grid
    pixel, at = [int(v) for v in found.pixels[grid.location(pick.index)]], channel_axis(grid.axes)
    channel = ""
    if found.colors and at is not None and len(pick.index) == len(grid.shape):
        channel = f"channel {pick.index[at]} is {found.colors[pick.index[at]]}; "
    if len(set(pixel)) == 1:
        return f"{channel}pixel {pixel[0]} of 255"
    return channel + "pixel red {}, green {}, blue {}".format(*pixel)
