"""View of the compared model: its network below the shown one, in the same layout and in the same colour scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.counterpart_reader import CounterpartReader
from nnviz3d.data.grouped_capture import with_groups, without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import SceneError
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.hits import CellHit, Hit, PixelHit
from nnviz3d.scene.moved import Mover
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Label, Labels, Panel, Primitive, Span, Voxels
from nnviz3d.scene.selection import CellPick, LayerPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Share, ViewSpec
from nnviz3d.scene.views.activations import ActivationsSpec, ActivationsView
from nnviz3d.scene.views.blocks import pick_cell, span_of
from nnviz3d.scene.views.connections import ConnectionsSpec, ConnectionsView
from nnviz3d.scene.views.outputs import other_answer
from nnviz3d.scene.views.structure import StructureSpec, StructureView

_GAP = 0.3
"""Free height between both networks, as a share of the height of one."""
_LABELLED = ("scores",)
"""Labels of the other network that are drawn; the names of the layers stand above it already."""


class CounterpartSpec(ViewSpec):
    """The network of the compared model below the shown one, so that one camera looks at both.

    Attributes
    ----------
    threshold
        Share of a layer's colour range below which cells are not drawn.
    strongest
        Most connections that are drawn of each network; 0 for none.
    """

    kind: Literal["counterpart"]
    arrays: ClassVar[frozenset[str]] = frozenset({"activations"})
    threshold: Share = 0.25
    strongest: Annotated[int, Field(ge=0, le=100_000)] = 140

    def cannot_show(self, capture: CaptureReader) -> str:
        """Return one sentence on why a capture cannot be shown; nothing if it can."""
        return "" if _other(capture) is not None else _alone(capture)


class CounterpartView(View):
    """The blocks, edges and connections of the compared model, below those of the shown one.

    Attributes
    ----------
    extent_beside
        ``(n, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = CounterpartSpec

    def __init__(self, spec: CounterpartSpec, context: SceneContext, timeline: Timeline) -> None:
        other = _other(context.capture)
        if other is None:
            raise SceneError(f"kind: {_alone(context.capture)}")
        self._context, self._other = context, other
        plan = context.plan
        top, bottom = max(row.top for row in plan.rows), min(row.bottom for row in plan.rows)
        lowest = min([bottom, *plan.names_below[:, 1]])
        down = (0.0, lowest - top - _GAP * (top - bottom), 0.0)
        self._mover = Mover(down, "counterpart")
        self.extent_beside = plan.corners() + np.array(down)
        beside = _of_other(context)
        numbers = ActivationsSpec(kind="activations", threshold=spec.threshold)
        self._mine = ActivationsView(numbers, context, timeline)
        self._views: list[View] = [
            StructureView(StructureSpec(kind="structure", labels=False), beside, timeline),
            ActivationsView(numbers, beside, timeline),
        ]
        if spec.strongest:
            lines = ConnectionsSpec(kind="connections", strongest=spec.strongest)
            self._views.append(ConnectionsView(lines, beside, timeline))
        self.duration = timeline.duration
        self._names = (self._name(other.own_name), *self._mover.moved((self._name(other.name),)))

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the other network at `t` seconds; each block has the colour scale of the shown network's block."""
        shown = replace(selection, quantity="activation", against=None)
        scales = {block.name: block for block in self._mine.at(t, shown) if isinstance(block, Voxels)}
        found: list[Primitive] = []
        for view in self._views:
            for primitive in view.at(t, shown):
                if isinstance(primitive, Voxels) and primitive.name in scales:
                    like = scales[primitive.name]
                    primitive = replace(primitive, limits=like.limits, colormap=like.colormap, threshold=like.threshold)
                if not isinstance(primitive, Labels) or primitive.name in _LABELLED:
                    found.append(primitive)
        return (*self._mover.moved(tuple(found)), *self._names, self._words(selection))

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit number or layer, which has the same place in both networks."""
        source = hit.primitive.source
        if source is None or source.layer is None:
            return None
        if isinstance(hit, CellHit | PixelHit):
            return pick_cell(self._context, source.layer, hit)
        return LayerPick(source.layer)

    def spans_of(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        """Return the box of a picked number in the other network."""
        if not isinstance(pick, CellPick) or pick.layer not in self._context.graph:
            return ()
        return (self._mover.span(span_of(self._context, pick.layer, pick.index)),)

    def _name(self, text: str) -> Labels:
        """Write a model's name above the first block of its network."""
        first = next(iter(self._context.graph)).id
        placement = self._context.placement(first)
        label = Label(placement.origin, (text,), "above", 12.0, span=placement.size)
        return Labels("model", (label,))

    def _words(self, selection: Selection) -> Panel:
        """Write what both networks are, and the answer of the other one."""
        one, two = self._other.own_name, self._other.name
        rows = [TextRow(f"{one} above, {two} below"), TextRow(f"colour scales: those of {one}", "quiet")]
        if self._context.inputs_differ(replace(selection, against=None)):
            rows.append(TextRow("the inputs differ, too", "quiet"))
        answers = [other_answer(self._context, output, selection) for output in self._context.graph.outputs[:3]]
        rows += [TextRow(answer, "quiet") for answer in answers if answer]
        return Panel("counterpart", "top-right", tuple(rows))


def _other(capture: CaptureReader) -> Counterpart | None:
    whole = without_groups(capture)
    return whole.counterpart if isinstance(whole, CaptureSeries) else None


def _alone(capture: CaptureReader) -> str:
    return f"{capture.path.name} is compared with no other model; --against b.keras names one."


def _of_other(context: SceneContext) -> SceneContext:
    """Return the context of the other model's numbers in the layout of the shown model."""
    whole = without_groups(context.capture)
    if not isinstance(whole, CaptureSeries):
        raise TypeError("only a series has a counterpart")
    reader: CaptureReader = CounterpartReader(whole)
    if context.grouping is not None:
        reader = with_groups(reader, context.grouping, context.opened)
    return replace(context, capture=reader, _values={}, _derived={}, _explanations={}, _projected={})
