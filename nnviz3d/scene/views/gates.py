"""View of the gates of recurrent layers: the numbers of each gate and state at every step, before the layer's block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import LayerNode
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, colormap, limits_for, number, statistics_of
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.token_names import token_words
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import CellHit, Hit
from nnviz3d.scene.layer_families import FAMILIES
from nnviz3d.scene.layout.gates import PlacedGate, place_gates, shown_gates
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Panel, Primitive, Source, Span, Voxels
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views.marks import framed


@dataclass(frozen=True)
class GatePick(Pick):
    """A number of a gate or state, by its step in the order of processing and its unit."""

    layer: str
    gate: str
    step: int
    unit: int


@dataclass(frozen=True)
class GateSource(Source):
    """The sheet of one gate of a layer."""

    gate: str = ""


class GatesSpec(ViewSpec):
    """The gates and states of LSTM, GRU and simple recurrent layers, if the capture has them."""

    kind: Literal["gates"]


def step_words(context: SceneContext, layer: str, step: int, sample: int) -> str:
    """Name a step of a recurrent layer, in the order of processing, by its token if the layer's input has some."""
    node = context.graph.node(layer)
    source = next((s for s in context.graph.sources(node.id)), None)
    if source is None or not context.placement(source).grid.tokens:
        return f"step {step}"
    last = context.placement(source).grid.shape[0] - 1
    return token_words(context, source, last - step if node.details.get("go_backwards") else step, sample)


def gates_before(context: SceneContext, node: LayerNode) -> tuple[PlacedGate, ...]:
    """Return the sheets of a layer's gates, before its block; none if they are not drawn."""
    if not context.setting.filled or not node.details.get("gates"):
        return ()

    def read() -> dict[str, tuple[int, ...]]:
        return {name: values.shape for name, values in shown_gates(context.capture, node).items()}

    gates = context.memo.get(context.capture, ("gates", node.id), read)
    if not gates:
        return ()
    source = next((context.placement(s) for s in context.graph.sources(node.id)), None)
    return place_gates(gates, context.placement(node.id), source, backwards=bool(node.details.get("go_backwards")))


class GatesView(View):
    """Sheets of time by units for every gate and state of a recurrent layer.

    Attributes
    ----------
    label_extent
        ``(n, 3)``: world coordinates of the sheets and their names, which a picture has to contain.
    """

    spec_class = GatesSpec
    always: ClassVar[bool] = True

    def __init__(self, spec: GatesSpec | None, context: SceneContext, timeline: Timeline) -> None:
        self._context, self._timeline = context, timeline
        self._placed: dict[str, tuple[PlacedGate, ...]] = {}
        for node in context.graph:
            placed = gates_before(context, node)
            if placed:
                self._placed[node.id] = placed
        sheets = [gate for placed in self._placed.values() for gate in placed]
        ends = [np.array(gate.origin) + share * np.array(gate.size) for gate in sheets for share in (0, 1)]
        self.label_extent = np.array(ends).reshape(-1, 3)
        self._kept: tuple[Selection, tuple[Primitive, ...]] | None = None

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the part of each sheet that the forward pass has revealed; nothing while gradients are shown."""
        if not self._placed or selection.quantity not in (None, "activation"):
            return ()
        if self._kept is None or self._kept[0] != selection:
            self._kept = (selection, self._build(selection))
        return tuple(self._revealed(p, t) if isinstance(p, Voxels) else p for p in self._kept[1])

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit number of a gate."""
        source = hit.primitive.source
        if not isinstance(hit, CellHit) or not isinstance(source, GateSource) or source.layer is None:
            return None
        placed = self._gate(source.layer, source.gate)
        index = None if placed is None else placed.grid.index(hit.cell)
        return None if index is None else GatePick(source.layer, source.gate, *index)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the number of a gate with its step and unit; `None` if the sample has no such number."""
        if not isinstance(pick, GatePick):
            return None
        values = self._numbers(pick.layer, selection.sample).get(pick.gate)
        if values is None or pick.step >= values.shape[0] or pick.unit >= values.shape[1]:
            return None
        title = f"{pick.layer}: {pick.gate} [{pick.step}, {pick.unit}]"
        words = f"{step_words(self._context, pick.layer, pick.step, selection.sample)}, unit {pick.unit}"
        return Facts(title, exact(values[pick.step, pick.unit]), more=(words,))

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a number of a gate, and the callout."""
        placed = self._gate(pick.layer, pick.gate) if isinstance(pick, GatePick) else None
        if not isinstance(pick, GatePick) or placed is None:
            return ()
        flat = np.array([pick.step * placed.grid.shape[1] + pick.unit])
        low = np.array(placed.origin) + placed.grid.cells(flat)[0] * np.array(placed.cell)
        return framed(
            [Span((float(low[0]), float(low[1]), float(low[2])), placed.cell)], self.describe(pick, selection)
        )

    def _gate(self, layer: str, gate: str) -> PlacedGate | None:
        return next((placed for placed in self._placed.get(layer, ()) if placed.name == gate), None)

    def _numbers(self, layer: str, sample: int) -> dict[str, NDArray[np.float32]]:
        return dict(shown_gates(self._context.capture, self._context.graph.node(layer), sample))

    def _revealed(self, block: Voxels, t: float) -> Voxels:
        layer = None if block.source is None else block.source.layer
        share = 1.0 if layer is None else self._timeline.revealed(self._context.placement(layer).rank, t)
        return block if share >= 1 else replace(block, reveal=share)

    def _build(self, selection: Selection) -> tuple[Primitive, ...]:
        found: list[Primitive] = []
        labels: list[Label] = []
        tops: list[float] = []
        for layer, placed in self._placed.items():
            numbers = self._numbers(layer, selection.sample)
            seen = 1.0 if selection.layer in (None, layer) else 0.3
            for gate in placed:
                values = numbers.get(gate.name)
                if values is None or values.shape != gate.grid.shape:
                    continue
                name = f"{gate.name} of {layer}"
                opens = gate.name.endswith("gate")
                limits = (0.0, 1.0) if opens else limits_for(statistics_of(values), "symmetric")
                if not opens:
                    tops.append(limits[1])
                colors = colormap(DEFAULT_SEQUENTIAL if opens else DEFAULT_DIVERGING)
                source = GateSource("gates", layer, gate.name)
                cells = gate.grid.arrange(values)
                found.append(Voxels(name, cells, gate.origin, gate.cell, colors, limits, emphasis=seen, source=source))
                found.append(Box(name, gate.origin, gate.size, FAMILIES["recurrent"], 0.3 * seen))
                labels.append(Label(gate.origin, (gate.name,), "above", 3.5, 0.8 * seen, small=True, span=gate.size))
        if not found:
            return ()
        least, most = (number(top) for top in (min(tops, default=0.0), max(tops, default=0.0)))
        ends = f"; states: ±{least}" + (f" … ±{most}" if most != least else "") if tops else ""
        legend = Panel(
            "gates",
            "bottom-left",
            (
                TextRow("before a recurrent layer: its gates and states", "quiet"),
                TextRow(f"gates: 0 to 1{ends}", "quiet"),
            ),
        )
        return (*found, Labels("gates", tuple(labels)), legend)
