"""View of a layer's weights above the network: each filter a block, all with one colour scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import (
    DEFAULT_DIVERGING,
    INF_COLOR,
    NAN_COLOR,
    Colormap,
    colormap,
    limits_for,
    number,
)
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.kernels import Kernel, KernelPick, kernel_difference, kernel_of
from nnviz3d.scene.derived.layer_figures import weights_of_then
from nnviz3d.scene.derived.weight_updates import update_parts
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import CellHit, Hit
from nnviz3d.scene.layout.filters import FilterLayout, place_filters
from nnviz3d.scene.layout.routes import lead_up
from nnviz3d.scene.panel_rows import Row, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Lines, Panel, Primitive, Source, Span, Voxels, vector
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Diverging, Share, ViewSpec
from nnviz3d.scene.views.legends import cells_shown
from nnviz3d.scene.views.marks import framed
from nnviz3d.scene.views.structure import FAMILIES, family_of

_HIGHEST, _WIDEST = 0.31, 1.25
"""Maximum height and width of all filters together, as shares of the network's width."""
_LIFT = 0.07
"""Room between the network and the filters, as a share of the network's width."""
_CAPTION = 0.16
"""Room for text above all filters, as a share of their height."""
_LISTED = 12
"""Maximum number of layers that an error message lists."""


@dataclass(frozen=True)
class FilterSource(Source):
    """The block of one filter."""

    number: int = 0


class KernelsSpec(ViewSpec):
    """The filters of a layer as blocks of their weights, above the network.

    Attributes
    ----------
    layer
        A selector; by default the first convolution, or else the first dense layer.
    order
        ``index``, or ``norm`` with the largest first.
    most
        Maximum number of shown filters, the first ones in the order.
    threshold
        Share of the colour range below which weights are not drawn. All weights of a flat filter are drawn.
    """

    kind: Literal["kernels"]
    layer: str | None = None
    order: Literal["index", "norm"] = "index"
    most: Annotated[int, Field(ge=1, le=64)] = 64
    threshold: Share = 0.25
    colormap: Diverging = DEFAULT_DIVERGING

    def own_layers(self, capture: CaptureReader) -> Iterable[str]:
        """Return the layers that the selector means, by default the first convolution."""
        return matching(self.layer or "first convolution", capture.graph)

    def cannot_show(self, capture: CaptureReader) -> str:
        """Return one sentence on a model that has no layer of the kind whose filters are shown."""
        if self.layer is None or not by_kind(self.layer) or matching(self.layer, capture.graph):
            return ""
        return f"{lacks(self.layer, capture.graph)}, whose filters could be shown."


class KernelsView(View):
    """The filters of one layer, their numbers, the line to the layer, and the scale.

    A selected layer with a kernel replaces the scene's layer. If the cells show the difference from another model, the
    weights are the difference, too.

    Attributes
    ----------
    extent_beside
        ``(3, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = KernelsSpec

    def __init__(self, spec: KernelsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        left, right = context.plan.bounds_x
        bottom = max(row.top for row in context.plan.rows) + _LIFT * (right - left)
        aside = (_WIDEST - 1) / 2 * (right - left)
        self._room = (left - aside, right + aside, bottom, bottom + _HIGHEST * (right - left))
        own = _find(context, spec.layer)
        self._own = place_filters(own, self._choose(own), self._room)
        low, high = self._own.bounds
        # The filters of other layers get the same room, so that a picture contains them too.
        self._room = (low[0], high[0], low[1], high[1])
        self._layouts: dict[tuple[str, bool], FilterLayout | None] = {(own.layer, False): self._own}
        caption = (low + high) / 2
        caption[1] = high[1] + _CAPTION * (high[1] - low[1])
        self.extent_beside = np.stack([low, high, caption])
        self._kept: dict[tuple[object, ...], tuple[Primitive, ...]] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of kinds that have filters; whether the capture holds their weights is read only for a chosen one."""
        return tuple(node.id for node in self._context.graph if node.parameters and _has_kernel(node))

    def holds(self, layer: str) -> bool:
        """Whether the capture holds the filters of a layer."""
        return kernel_of(self._context, self._context.graph.node(layer)) is not None

    def shown_layer(self, selection: Selection) -> str:
        """Return the layer whose filters are shown."""
        return self._shown(selection).kernel.layer

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the filters; they are the same at all times and for all samples."""
        key = (selection.layer, selection.colormap, selection.threshold, self._subtracts(selection))
        if key not in self._kept:
            self._kept = {key: self._build(self._shown(selection), selection)}
        return self._kept[key]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit weight."""
        source = hit.primitive.source
        if not isinstance(hit, CellHit) or not isinstance(source, FilterSource) or source.layer is None:
            return None
        kernel = kernel_of(self._context, self._context.graph.node(source.layer))
        return None if kernel is None else kernel.pick(source.number, hit.cell)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return a weight with the names of its axes."""
        if not isinstance(pick, KernelPick):
            return None
        node = self._context.graph.node(pick.layer)
        kernel, change = kernel_of(self._context, node), None
        if self._subtracts(selection):
            change = kernel_difference(self._context, node)
        if kernel is None or len(pick.index) != kernel.values.ndim:
            return None
        title = f"{pick.layer}: kernel [{', '.join(map(str, pick.index))}]"
        words = (", ".join(f"{name} {i}" for name, i in zip(kernel.axes, pick.index, strict=True)),)
        value = exact(kernel.values[pick.index])
        if change is None or change.subtracted is None:
            return Facts(title, value, update_parts(self._context, pick.layer, kernel.variable, pick.index), words)
        one, two = self._context.compared_names(selection)
        parts = ((f"of {one}", value), (f"of {two}", exact(change.subtracted[pick.index])))
        return Facts(title, "", (*parts, ("difference", exact(change.values[pick.index]))), words)

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a weight, if its filter is shown, and the callout."""
        layout = self._shown(selection)
        if not isinstance(pick, KernelPick) or pick.layer != layout.kernel.layer:
            return ()
        filter_, cell = layout.kernel.cell(pick.index)
        if filter_ not in layout.chosen:
            return ()
        low = layout.origins[layout.chosen.index(filter_)] + cell * np.array(layout.cell)
        return framed([Span(vector(low), layout.cell)], self.describe(pick, selection))

    def _shown(self, selection: Selection) -> FilterLayout:
        own = self._own.kernel.layer
        for name in (own if selection.layer is None else selection.layer, own):
            for differs in (True, False) if self._subtracts(selection) else (False,):
                found = self._layout_of(name, differs)
                if found is not None:
                    return found
        return self._own

    def _layout_of(self, name: str, differs: bool) -> FilterLayout | None:
        """Return the filters of a layer, or their difference from the other model; `None` if these are not known."""
        key = (name, differs)
        if key not in self._layouts:
            node = self._context.graph.node(name)
            found = kernel_difference(self._context, node) if differs else kernel_of(self._context, node)
            self._layouts[key] = None if found is None else place_filters(found, self._choose(found), self._room)
        return self._layouts[key]

    def _subtracts(self, selection: Selection) -> bool:
        """Whether the difference from another model is shown."""
        return (
            selection.quantity == "difference" and selection.against is None and self._context.counterpart is not None
        )

    def _choose(self, kernel: Kernel) -> tuple[int, ...]:
        order = np.arange(len(kernel.filters))
        if self._spec.order == "norm":
            flat = kernel.filters.reshape(len(order), -1).astype(np.float64)
            order = np.argsort(-np.nan_to_num(np.linalg.norm(flat, axis=1), nan=np.inf), kind="stable")
        return tuple(int(k) for k in order[: self._spec.most])

    def _build(self, layout: FilterLayout, selection: Selection) -> tuple[Primitive, ...]:
        layer = layout.kernel.layer
        seen = 1.0 if selection.layer in (None, layer) else 0.3
        limits = limits_for(layout.statistics, "symmetric")
        chosen = colormap(selection.colormap or self._spec.colormap)
        colors = chosen if chosen.diverging else colormap(self._spec.colormap)
        share = self._spec.threshold if selection.threshold is None else selection.threshold
        # In flat filters no weight hides another one, so all are drawn.
        threshold = share * limits[1] if layout.kernel.grid.size[2] > 1 else 0.0
        color = FAMILIES[family_of(self._context.graph.node(layer))]
        blocks, boxes = [], []
        for k, cells, origin in zip(layout.chosen, layout.cells, layout.origins, strict=True):
            name, corner = f"filter {k} of {layer}", vector(origin)
            source = FilterSource("kernels", layer, k)
            blocks.append(
                Voxels(name, cells, corner, layout.cell, colors, limits, threshold, emphasis=seen, source=source)
            )
            boxes.append(Box(name, corner, layout.size, color, 0.3 * seen))
        of_then = weights_of_then(self._context.capture)
        if layout.kernel.subtracted is not None:
            of_then = f"{of_then}, {' − '.join(self._context.compared_names(selection))}"
        legend = _legend(layout, colors, blocks, self._spec.order, of_then)
        words = (Labels("kernels", tuple(self._names(layout))), legend)
        return (*blocks, *boxes, *self._lead(layout, seen), *words)

    def _lead(self, layout: FilterLayout, seen: float) -> tuple[Lines, Lines]:
        """Return the lines from the layer's block to its filters."""
        node = self._context.graph.node(layout.kernel.layer)
        placement = self._context.placement(node.id)
        low, high = layout.bounds
        start = np.array([placement.center[0], placement.origin[1] + placement.size[1], placement.center[2]])
        below = low[1] - layout.foot
        middle = (low[2] + high[2]) / 2
        end = np.array([np.clip(start[0], low[0], high[0]), below, middle])
        shelf = np.array([[low[0], below, middle], [high[0], below, middle]], dtype=np.float32)
        color = np.array([[*FAMILIES[family_of(node)], 0.8 * seen]], dtype=np.float32)
        return (
            Lines("kernels", lead_up(start, end)[np.newaxis], color, width=1.8),
            Lines("kernels/shelf", shelf[np.newaxis], color, width=1.8),
        )

    def _names(self, layout: FilterLayout) -> list[Label]:
        low, high = layout.bounds
        shape = " × ".join(f"{n:,}" for n in layout.kernel.values.shape)
        words = (f"kernel of {layout.kernel.layer}", f"{shape} · {_how_many(layout)}")
        labels = [Label(vector(low), words, "above", 30.0, span=vector(high - low))]
        if not layout.kernel.matrix:
            labels += [
                Label(vector(origin), (f"{k}",), "below", 4.0, 0.8, small=True, span=layout.size)
                for k, origin in zip(layout.chosen, layout.origins, strict=True)
            ]
        return labels


def _how_many(layout: FilterLayout) -> str:
    shown, total = len(layout.chosen), len(layout.kernel.filters)
    if layout.kernel.matrix:
        inputs, outputs = layout.kernel.filters.shape[1:]
        return f"{inputs:,} inputs to the right, {outputs:,} outputs down"
    if shown == total:
        return "1 filter" if total == 1 else f"{total:,} filters"
    return f"{shown:,} of {total:,} filters"


def _legend(layout: FilterLayout, colors: Colormap, blocks: list[Voxels], order: str, of_then: str) -> Panel:
    found = layout.statistics
    low, high = blocks[0].limits
    threshold = blocks[0].threshold
    share = threshold / high
    ticks = ((0.0, f"≤ {number(low)}"), (0.5, "0"), (1.0, f"≥ {number(high)}"))
    hidden = ((0.5 - share / 2, 0.5 + share / 2),) if threshold else ()
    span = " to ".join(number(end) for end in (found.low, found.high))
    rows: list[Row] = [
        TextRow(f"weights of {layout.kernel.layer}{of_then}: {span}", "quiet"),
        ScaleRow(colors, ticks, hidden),
    ]
    if threshold:
        shown, total = cells_shown(blocks)
        rows.append(TextRow(f"{shown:,} of {total:,} weights reach ±{number(threshold)}", "quiet"))
    if len(layout.chosen) < len(layout.kernel.filters):
        which = "those of largest norm, the largest first" if order == "norm" else "the first"
        rows.append(TextRow(f"showing {_how_many(layout)}, {which}", "quiet"))
    for color, count, what in ((NAN_COLOR, found.nans, "NaN"), (INF_COLOR, found.infinities, "infinite")):
        if count:
            rows.append(SwatchRow(((color, f"{count:,} {what}"),)))
    return Panel("kernels", "bottom-right", tuple(rows))


def _find(context: SceneContext, layer: str | None) -> Kernel:
    """Return the kernel that a scene selects; by default that of the first convolution, or else of a dense layer."""
    capture, graph = context.capture, context.graph
    if layer is not None:
        return _selected(context, layer)
    convolutions_first = sorted(graph, key=lambda node: "Conv" not in node.kind)
    found = next((kernel for node in convolutions_first if (kernel := kernel_of(context, node)) is not None), None)
    if found is None:
        raise SceneError(
            f"kind: {capture.path.name} holds no kernel of a convolution or dense layer; capture a model that has one, "
            "with --weights all."
        )
    return found


def _selected(context: SceneContext, layer: str) -> Kernel:
    """Return the kernel of the first layer that has one and matches a selector."""
    capture, graph = context.capture, context.graph
    nodes = [graph.node(name) for name in matching(layer, graph)]
    with_one = f"those with a kernel are {_with_kernels(graph.nodes)}"
    if not nodes and by_kind(layer):
        raise SceneError(
            f"layer: {lacks(layer, graph)}, whose filters the scene would show; choose another scene, or name a layer in "
            f"one of your own: {with_one}."
        )
    if not nodes:
        raise SceneError(f"layer: there is no layer {layer!r}; {with_one}.")
    found = next((kernel for node in nodes if (kernel := kernel_of(context, node)) is not None), None)
    if found is not None:
        return found
    unread = next((node.id for node in nodes if node.parameters and not capture.weights(node.path)), None)
    if unread is not None:
        raise SceneError(
            f"layer: {capture.path.name} does not hold the weights of {unread}; capture the model again with "
            "--weights all."
        )
    raise SceneError(f"layer: {nodes[0].id} has no kernel to show; those with one are {_with_kernels(graph.nodes)}.")


def _has_kernel(node: LayerNode) -> bool:
    return "Conv" in node.kind or "Dense" in node.kind


def _with_kernels(nodes: tuple[LayerNode, ...]) -> str:
    names = [node.id for node in nodes if _has_kernel(node)]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more or "none of this model's"
