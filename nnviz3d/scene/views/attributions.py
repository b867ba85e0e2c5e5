"""View of attributions: a method's map over the input, and at its own layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attributions import AUTOMATIC, Attribution, attribution_methods
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import (
    DEFAULT_DIVERGING,
    DEFAULT_SEQUENTIAL,
    Colormap,
    colormap,
    limits_for,
    number,
    score,
    statistics_of,
)
from nnviz3d.scene.context import SceneContext, head_of
from nnviz3d.scene.derived.attribution_maps import laid_over, over_input, painted, title_of
from nnviz3d.scene.hits import CellHit, Hit, PixelHit
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.layout.photo import lay_out_photo
from nnviz3d.scene.layout.signals import is_signal
from nnviz3d.scene.panel_rows import Row, ScaleRow, TextRow
from nnviz3d.scene.primitives import Image, Label, Labels, Lines, Panel, Primitive, Source, Span, Vector, Voxels
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Share, ViewSpec
from nnviz3d.scene.views.activations import picture_of
from nnviz3d.scene.views.blocks import pick_on_map
from nnviz3d.scene.views.legends import score_text
from nnviz3d.scene.views.outputs import NAMED_CELLS, best_rows, names_of

_APPEARS = 1.0
"""Seconds in which a map fades in after the forward pass."""
_MANY, _STRONG = 10_000, 99.0
"""Minimum number of locations for which a map's scale ends at a percentile, and this percentile."""
_LIFT = 0.004
"""Distance between a picture and the map in front of it, as a share of its width."""
_GAP = 0.12
"""Distance between a block and the map above it or in front of it, as a share of the block's height."""
_ASIDE, _TOKEN_MAP = 0.6, 0.13
"""Distance of a vector's map from its block, in cells of the block; world width of the map of a sheet of tokens and its
distance."""

_CUBE = np.array(list(np.ndindex(2, 2, 2)), dtype=np.float64)
"""The corners of a cube of side 1, ``(8, 3)``."""


class AttributionsSpec(ViewSpec):
    """The attribution of a score to each location of the input or of a layer: a map over the picture and at its layer.

    Attributes
    ----------
    method
        An attribution method; by default the first method with maps in the capture.
    opacity
        How much of the picture the strongest colour hides.
    """

    kind: Literal["attributions"]
    explains: ClassVar[bool] = True
    method: str | None = None
    opacity: Share = 0.8

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        return Insights(attributions=(self.method or AUTOMATIC,))

    def own_layers(self, capture: CaptureReader) -> Iterable[str]:
        """Return the layers that have maps."""
        return {
            layer
            for found in _all_explanations(capture)
            for method in attribution_methods(capture.stored)
            for one in found.targets
            for layer in found.attribution_layers(method, one.target)
        }

    def with_methods_of(self, methods: Sequence[str]) -> Self:
        """Return the view for a capture with maps by these methods; without its method if that is not one of them."""
        return self.model_copy(update={"method": None}) if methods and self.method not in methods else self


class AttributionsView(View):
    """One map of the chosen method and target.

    Attributes
    ----------
    extent_beside
        ``(n, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = AttributionsSpec

    def __init__(self, spec: AttributionsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._start = sum(timeline.forward)
        self.duration = self._start + _APPEARS if self._start else 0.0
        head = head_of(context.graph)
        listed = context.setting.filled and head is not None and context.placement(head).grid.count > NAMED_CELLS
        self._head = None if listed else head
        self.photo_layout = lay_out_photo(context)
        self.extent_beside = self._extent()
        self._still: dict[Selection, tuple[tuple[Primitive, ...], ...]] = {}
        if not attribution_methods(context.capture.stored):
            raise SceneError(
                f"method: {context.capture.path.name} holds no maps; capture it with: nnviz3d capture "
                f"{context.capture.provenance.model} --attribution {spec.method or AUTOMATIC} -o run.zarr."
            )

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the map, which fades in, and the large photograph."""
        key = Selection(
            selection.sample,
            target=selection.target,
            method=selection.method,
            map_opacity=selection.map_opacity,
        )
        if key not in self._still:
            maps = self._maps(key)
            colors = _colors(maps)
            standing = tuple(thing for found in maps for thing in self._things(found, colors, key))
            self._still = {key: (self._photograph(key), standing, tuple(self._words(maps, colors, key)))}
        photograph, things, words = self._still[key]
        share = 1.0 if self.duration == 0 else float(np.clip((t - self._start) / _APPEARS, 0, 1))
        if share <= 0:
            return photograph
        if share < 1:
            things = tuple(replace(p, opacity=share) if isinstance(p, Image | Lines) else p for p in things)
        return (*photograph, *things, *words)

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the location of a layer that was hit on its map or on the large photograph."""
        match hit:
            case CellHit(primitive=Voxels(source=Source(layer=str(layer)))):
                return pick_on_map(self._context, layer, hit)
            case PixelHit(primitive=Image(source=Source(layer=str(layer)))):
                return pick_on_map(self._context, layer, hit)
        return None

    def shows_cells(self, layer: str, selection: Selection) -> bool:
        """Whether a map of a layer, or the picture below it, is drawn."""
        drawn = (one.source for one in self.at(self.duration, selection) if isinstance(one, Voxels | Image))
        return any(source is not None and source.layer == layer for source in drawn)

    def spans_of(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        """Return the boxes of a location of the input on the large photograph and its map; empty for other picks."""
        if not isinstance(pick, CellPick) or self.photo_layout is None or pick.layer != self.photo_layout.layer:
            return ()
        row, column = self._context.placement(pick.layer).grid.location(pick.index)
        return self.photo_layout.spans(row, column)

    def _extent(self) -> NDArray[np.float64]:
        """Return the corners of the large pictures, and of all maps above or beside their block."""
        corners = [] if self.photo_layout is None else [self.photo_layout.corners]
        maps = {
            (method, layer): explanations
            for explanations in _all_explanations(self._context.capture)
            for method in attribution_methods(self._context.capture.stored)
            for layer in explanations.attribution_layers(method)
        }
        for (method, layer), explanations in maps.items():
            found = explanations.attribution(method, layer=layer)
            for low, size in () if found is None else self._rooms(found):
                corners.append(np.array(low) + _CUBE * size)
        return np.concatenate(corners) if corners else np.empty((0, 3))

    def _rooms(self, found: Attribution) -> list[tuple[Vector, Vector]]:
        """Return the boxes beside blocks for a map that is not a picture: at its layer, and at its input."""
        reached = over_input(self._context, found)
        names = dict.fromkeys((found.layer, found.layer if reached is None else reached[0]))
        return [self._room(n) for n in names if len(self._context.placement(n).grid.location_shape) != 2]

    def _room(self, layer: str) -> tuple[Vector, Vector]:
        """Return the smallest corner and the size of the box for a map that is not a picture, beside its block.

        The map of a vector has one cell beside each cell of the block, and so has that of a sheet of tokens beside each
        token: to the right of an input, whose numbers or words are written to its left, and to the left of other layers,
        before which there is room. All other maps are above their block.
        """
        placement = self._context.placement(layer)
        (x, y, z), (width, height, depth) = placement.origin, placement.size
        of_input = layer in self._context.graph.inputs
        if len(placement.grid.shape) < 2 and not is_signal(placement.grid):
            gap = _ASIDE * placement.cell[0]
            return (x + width + gap if of_input else x - width - gap, y, z), placement.size
        if placement.grid.tokens:
            beside = x + width + _TOKEN_MAP if of_input else x - placement.lead - 2 * _TOKEN_MAP
            return (beside, y, z), (_TOKEN_MAP, height, depth)
        above = y + height * (1 + _GAP)
        flat = len(placement.grid.location_shape) == 1
        return (x, above, z), (width, max(height, width * 0.3) if flat else height, depth)

    def _maps(self, selection: Selection) -> tuple[Attribution, ...]:
        """Return the method's map at its layer; for a map of the inputs, the map of each input."""
        capture = self._context.capture
        method = selection.method or self._spec.method or attribution_methods(capture.stored)[0]
        explanations, inputs = self._context.explanations(selection.sample), self._context.graph.inputs
        found = explanations.attribution(method, selection.target)
        if found is None:
            name = capture.sample_name(selection.sample)
            whose = "" if selection.target is None else f" of {self._context.name_of(selection.target)}"
            raise SceneError(
                f"There is no map{whose} by {method} for {name}; capture it with: nnviz3d capture "
                f"{capture.provenance.model} --input {name} --attribution {method} -o run.zarr."
            )
        layers = explanations.attribution_layers(method, selection.target) if found.layer in inputs else ()
        others = (explanations.attribution(method, selection.target, layer) for layer in layers if layer != found.layer)
        return (found, *(other for other in others if other is not None and other.layer in inputs))

    def _opacity(self, selection: Selection) -> float:
        return self._spec.opacity if selection.map_opacity is None else selection.map_opacity

    # Primitives in the world.

    def _things(self, found: Attribution, colors: _Colors, selection: Selection) -> list[Primitive]:
        values = found.values
        table, limits = colors
        things: list[Primitive] = []
        if found.layer not in self._context.graph.inputs:
            things.append(self._standing(found.layer, values, table, limits))
        reached = over_input(self._context, found)
        if reached is None:
            return things
        name, values = reached
        picture = self._under(name, values, selection.sample)
        if picture is None:
            things.append(self._standing(name, values, table, limits))
            return things
        placement = self._context.placement(name)
        x, y, z = placement.origin
        width, height, depth = placement.size
        pixels = laid_over(picture, values, table, limits, self._opacity(selection))
        things.append(
            Image(f"map:{name}", pixels, (x, y, z + depth + _LIFT * width), (width, height), source=_source(name))
        )
        if self.photo_layout is not None and self.photo_layout.layer == name:
            things.append(
                Image(f"large map:{name}", pixels, self.photo_layout.map, self.photo_layout.size, source=_source(name))
            )
        return things

    def _photograph(self, selection: Selection) -> tuple[Primitive, ...]:
        """Return the large photograph beside the network with its name; empty if there is none."""
        if self.photo_layout is None:
            return ()
        name = self.photo_layout.layer
        picture = self._picture(name, selection.sample)
        if picture is None:
            return ()
        rows, columns = self.photo_layout.shape
        lines = (
            self._context.capture.sample_name(selection.sample),
            f"at the network's input size: {rows} × {columns}",
        )
        return (
            Image(f"large:{name}", picture, self.photo_layout.photograph, self.photo_layout.size, source=_source(name)),
            Labels("photograph", (_below(self.photo_layout.photograph, self.photo_layout.size, lines),)),
        )

    def _standing(
        self, layer: str, values: NDArray[np.float32], table: Colormap, limits: tuple[float, float]
    ) -> Primitive:
        """Draw a map in its own resolution: a picture before its block, other maps beside it or above."""
        placement, name, source = self._context.placement(layer), f"map:{layer}", _source(layer)
        if values.ndim == 2:
            (x, y, z), (width, height, depth) = placement.origin, placement.size
            before = z + depth + _GAP * height
            return Image(name, painted(values, table, limits), (x, y, before), (width, height), source=source)
        origin, size = self._room(layer)
        if len(placement.grid.shape) < 2 and not is_signal(placement.grid):
            cells, count = placement.grid.arrange(values), placement.grid.count
            return Voxels(name, cells, origin, placement.cell, table, limits, count=count, source=source)
        if placement.grid.tokens:
            cells = values[np.argsort(placement.grid.token_rows)][np.newaxis, :, np.newaxis]
            cell = (size[0], placement.cell[1], size[2])
            return Voxels(name, cells, origin, cell, table, limits, source=source)
        if values.ndim == 1:
            return _curve(name, values, (*origin[:2], origin[2] + size[2]), size[:2], table, limits)
        volume = values[..., np.newaxis]
        cells = grid_for(volume.shape).arrange(volume)
        cell = tuple(s / n for s, n in zip(size, cells.shape, strict=True))
        threshold = 0.25 * limits[1]
        return Voxels(name, cells, origin, cell, table, limits, threshold=threshold, source=source)

    def _picture(self, name: str, sample: int) -> NDArray[np.uint8] | None:
        found = self._context.capture.picture(name, sample)
        layer = self._context.values(name, sample)
        return picture_of(layer.values, layer.grid.axes) if found is None else found

    def _under(self, name: str, values: NDArray[np.float32], sample: int) -> NDArray[np.uint8] | None:
        """Return the input's picture under a map of the same size; `None` if the map is shown alone."""
        return self._picture(name, sample) if values.ndim == 2 else None

    # Labels and panels.

    def _words(self, maps: Sequence[Attribution], colors: _Colors, selection: Selection) -> list[Primitive]:
        found = maps[0]
        title, _ = title_of(found)
        low, high = colors[1]
        where = "" if found.layer in self._context.graph.inputs else f", at {found.layer}"
        ends = ("0", number(high / 2)) if low == 0 else (f"≤ {number(low)}", "0")
        rows: list[Row] = [
            TextRow(f"{title}{where}"),
            TextRow(f"for {score_text(self._context, found.explained)}", "quiet"),
            ScaleRow(
                self._seen(found, colors, selection),
                ((0.0, ends[0]), (0.5, ends[1]), (1.0, f"≥ {number(high)}")),
            ),
        ]
        for one in maps:
            if one.deletion_auc is not None and one.insertion_auc is not None:
                whose = f" of {one.layer}" if len(maps) > 1 else ""
                rows.append(TextRow(f"deletion AUC{whose} {score(one.deletion_auc)} (lower is more faithful)", "quiet"))
                rows.append(
                    TextRow(f"insertion AUC{whose} {score(one.insertion_auc)} (higher is more faithful)", "quiet")
                )
                if one.insertion_auc < one.deletion_auc:
                    # The reverse map would have these two areas in the other order.
                    marks = f"the map{whose} marks" if whose else "it marks"
                    rows.append(TextRow(f"so the score rests less on what {marks} than on the rest"))
        inputs, shown = self._context.graph.inputs, {one.layer for one in maps}
        if found.layer in inputs and (without := [name for name in inputs if name not in shown]):
            rows.append(TextRow(f"no map of {', '.join(without)}", "quiet"))
        words: list[Primitive] = [Panel("attribution", "bottom-right", tuple(rows))]
        beside = [room for one in maps for room in self._rooms(one)]
        if beside:
            labels = (Label(low, (title,), "above", 4.0, 0.8, small=True, span=size) for low, size in beside)
            words.append(Labels("maps", tuple(labels)))
        if self.photo_layout is not None:
            explained = found.explained
            sure = "" if explained.probability is None else f"   {score(explained.probability)}"
            lines = (f"{self._context.name_of(explained.target)}{sure}", f"{title}{where}")
            words.append(Labels("map", (_below(self.photo_layout.map, self.photo_layout.size, lines),)))
        if self._head is not None and self._context.capture.has_activations(self._head):
            scores = self._context.values(self._head, selection.sample).values.reshape(-1)
            names = names_of(self._context.capture, self._head, len(scores))
            words.append(Panel("best", "top-right", tuple(best_rows(self._head, scores, names))))
        return words

    def _seen(self, found: Attribution, colors: _Colors, selection: Selection) -> Colormap:
        """Return the colours as seen over a picture: mixed with a middle grey."""
        table, limits = colors
        reached = over_input(self._context, found)
        if reached is None or self._under(*reached, selection.sample) is None:
            return table
        grey, values = np.full((1, 256, 3), 128, np.uint8), np.linspace(*limits, 256, dtype=np.float32)[np.newaxis]
        return replace(table, table=laid_over(grey, values, table, limits, self._opacity(selection))[0])


def _all_explanations(capture: CaptureReader) -> Iterator[SampleExplanations]:
    """Yield explanations of the first sample, and those of each added one, which may hold maps that the first has not."""
    for sample in (0, *capture.added_samples):
        yield capture.explanations(sample)


def _source(layer: str) -> Source:
    return Source("attributions", layer)


def _below(corner: Vector, size: tuple[float, float], lines: tuple[str, ...]) -> Label:
    return Label(corner, lines, priority=40.0, span=(*size, 0.0))


_Colors = tuple[Colormap, tuple[float, float]]


def _colors(maps: Sequence[Attribution]) -> _Colors:
    """Choose one colour map and its limits for all maps, so that they can be compared."""
    values = np.concatenate([found.values.ravel() for found in maps])
    signed = title_of(maps[0])[1] or bool((values < 0).any())
    statistics = statistics_of(values)
    if values.size > _MANY:
        strong = float(np.percentile(np.abs(values[np.isfinite(values)]), _STRONG)) if statistics.strong else 0.0
        statistics = replace(statistics, strong=max(strong, statistics.strong / 4))
    limits = limits_for(statistics, "symmetric" if signed else "layer")
    return colormap(DEFAULT_DIVERGING if signed else DEFAULT_SEQUENTIAL), limits


def _curve(
    name: str,
    values: NDArray[np.float32],
    origin: Vector,
    size: tuple[float, float],
    table: Colormap,
    limits: tuple[float, float],
) -> Lines:
    """Draw the map of a sequence as coloured bars from zero."""
    low, high = limits
    x = origin[0] + (np.arange(len(values)) + 0.5) / len(values) * size[0]
    finite = np.nan_to_num(values)
    up = (np.clip(finite, low, high) - low) / (high - low) * size[1]
    zero = (0 - low) / (high - low) * size[1]
    points = np.empty((len(values), 2, 3), dtype=np.float32)
    points[:, :, 0], points[:, :, 2] = x[:, np.newaxis], origin[2]
    points[:, 0, 1], points[:, 1, 1] = origin[1] + zero, origin[1] + up
    colors = np.ones((len(values), 4), dtype=np.float32)
    colors[:, :3] = painted(values[np.newaxis], table, limits)[0] / 255
    return Lines(name, points, np.maximum(colors, 0.25), width=3.0)
