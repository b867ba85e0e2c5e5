"""View of the activations: every number of the chosen layers as a voxel, the input as its picture, named scores."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from nnviz3d.data.axes import Axes, axes_of
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity, canonical
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, Colormap, Normalize, colormap, limits_for
from nnviz3d.scene.context import LayerValues, SceneContext, head_of, vector_outputs
from nnviz3d.scene.hits import CellHit, Hit, PixelHit
from nnviz3d.scene.layout.signals import is_signal
from nnviz3d.scene.primitives import Image, Labels, Primitive, Source, Voxels
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import ColoredCells, View
from nnviz3d.scene.view_spec import Diverging, Phase, Reveal, Sequential, Share, ViewSpec
from nnviz3d.scene.views.block_passes import BlockPasses
from nnviz3d.scene.views.blocks import pick_cell
from nnviz3d.scene.views.columns import column_labels, named_inputs, words_beside
from nnviz3d.scene.views.curves import curves
from nnviz3d.scene.views.forms import axis_labels, odd_labels
from nnviz3d.scene.views.legends import scale_panels, words_for
from nnviz3d.scene.views.output_pictures import comparisons, output_picture
from nnviz3d.scene.views.outputs import FEW, MORE, NAMED_CELLS, scores_of
from nnviz3d.scene.views.titles import title_panel

_PICTURES, _ROW = 0.075, 0.035
"""Room above the network for the pictures of outputs, and for each row below them, as shares of the network's height."""
_BEHIND = 0.4
"""Brightness of the cells behind a curve."""
_NAMES = 0.085
"""Width of a class's name and score as a share of the network's, in a picture that is not upright."""
_UPRIGHT = 0.5
"""Width over height of upright pictures, in which text is a larger share of the width."""
_LETTER, _WIDEST_NAME = 0.0048, 0.16
"""Width of a letter in the name of an input's number, and the maximum width of such a name, as shares of the network's."""


@dataclass(frozen=True, eq=False)
class _Still:
    """The primitives of one selection without animation, with the texts before and after the prediction is known."""

    blocks: tuple[Primitive, ...]
    scales: tuple[Primitive, ...]
    answer: tuple[Primitive, ...]
    question: tuple[Primitive, ...]


class ActivationsSpec(ViewSpec):
    """Every number of the chosen layers as a voxel, the input as a picture, the scores with their names.

    Attributes
    ----------
    layers
        Selectors of layers.
    threshold
        Share of a layer's colour range below which cells are not drawn. All cells of vectors are drawn.
    quantity
        Quantity of the cells: the ``activation``, the ``gradient`` of the target's score by the activation,
        ``gradient_x_activation`` (alias ``attribution``), the ``difference`` of two samples or two models, or the
        ``change`` by interventions.
    against
        The other sample of a difference; by default the same sample of the compared model, if there is one.
    """

    kind: Literal["activations"]
    arrays: ClassVar[frozenset[str]] = frozenset({"activations"})
    in_default_scene: ClassVar[bool] = True
    fills_blocks: ClassVar[bool] = True
    quantity: Annotated[Quantity, BeforeValidator(canonical)] = "activation"
    against: Annotated[int, Field(ge=0)] | None = None
    layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    normalize: Normalize = "layer"
    threshold: Share = 0.25
    colormap: Sequential = DEFAULT_SEQUENTIAL
    diverging: Diverging = DEFAULT_DIVERGING
    reveal: Reveal = Reveal()

    def own_layers(self, capture: CaptureReader) -> Iterable[str]:
        """Return the layers that the settings name, unless they mean all layers."""
        return (name for layer in self.layers if layer != "*" for name in matching(layer, capture.graph))

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        return Insights(gradients=self.quantity in OF_GRADIENTS)

    @property
    def phase(self) -> Phase:
        """The forward pass, which reveals the layers."""
        return Phase("forward", self.reveal.start, self.reveal.duration)


class ActivationsView(View):
    """The blocks of voxels, the pictures of inputs and outputs, the scores and the scales.

    Attributes
    ----------
    label_extent
        ``(n, 3)``: world coordinates that a picture has to contain for the names of the classes.
    """

    spec_class = ActivationsSpec

    def __init__(self, spec: ActivationsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._nodes = self._choose(spec.layers)
        self._head = head_of(context.graph)
        outputs = tuple(name for name in context.graph.outputs if name in self._nodes)
        self._answering = (self._head,) if context.setting.explains and self._head in outputs else outputs
        self._listed = MORE if context.setting.explains else FEW
        self.label_extent = self._room_for_names()
        self._timeline = timeline
        self._block_passes = BlockPasses(context, timeline)
        self.duration = self._timeline.duration
        self._kept: dict[Selection, _Still] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the blocks as revealed at `t` by the forward pass and by the backward pass."""
        still, come = self._passes(selection)
        # The answers are shown only after the forward pass has reached all of them.
        known = all(self._block_passes.reached(output, t) >= 1 for output in self._answering)
        words = still.answer if known else still.question
        if come is still:
            return (*(self._block_passes.revealed(b, t) for b in still.blocks), *words, *still.scales)
        scales = (still if self._timeline.turned(t) < 0.5 else come).scales
        slopes = tuple(b for b in come.blocks if isinstance(b, Voxels))
        replaced = {b.name for b in slopes}
        return (
            *(self._block_passes.dimmed(self._block_passes.revealed(b, t), t, replaced) for b in still.blocks),
            *(self._block_passes.returned(b, t) for b in slopes),
            *words,
            *scales,
        )

    def _passes(self, selection: Selection) -> tuple[_Still, _Still]:
        """Return what the forward pass and what the backward pass reveals; the same without a backward pass."""
        there = replace(selection, quantity="activation")
        back = replace(selection, quantity="gradient")
        if self._timeline.backward is None or self._quantity(selection) != "activation":
            there, back = selection, selection
        if not self._kept.keys() >= {there, back}:
            self._kept = {chosen: self._still(chosen) for chosen in {there, back}}
        return self._kept[there], self._kept[back]

    def shows_cells(self, layer: str, selection: Selection) -> bool:
        """Whether the cells of a layer, or a picture of them, are drawn in one of the passes."""
        blocks = (block for still in self._passes(selection) for block in still.blocks)
        return any(block.name == layer for block in blocks if isinstance(block, Voxels | Image))

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit cell of a block or of the input's picture."""
        match hit:
            case CellHit(primitive=Voxels(source=Source(layer=str(layer)))):
                return pick_cell(self._context, layer, hit)
            case PixelHit(primitive=Image(source=Source(layer=str(layer)))):
                return pick_cell(self._context, layer, hit)
        return None

    def cells_of(self, layer: str, selection: Selection) -> ColoredCells | None:
        """Return the numbers of the shown quantity of a layer with their colours; `None` if there are none."""
        layers = self._shown(selection)
        return self._colored(layers[layer], layers, selection) if layer in layers else None

    def _still(self, selection: Selection) -> _Still:
        blocks = tuple(self._blocks(selection))
        voxels = {b.name: b for b in blocks if isinstance(b, Voxels)}
        layers = self._shown(selection)
        scales = scale_panels(
            voxels,
            [layers[name].statistics for name in voxels],
            what=words_for(self._context, self._quantity(selection), self._compared(selection)),
            threshold=self._spec.threshold if selection.threshold is None else selection.threshold,
            shared=(selection.normalize or self._spec.normalize) == "global",
            chosen=(selection.unfold if selection.unfolded > 0 else None) or selection.layer,
        )
        changed = self._quantity(selection) == "change"
        among = layers if changed else self._context.graph.inputs
        unchanged = {name for name in among if name in layers and not self._reached(name, selection)}
        if changed:  # a change may reach a layer and leave all of its numbers as they are
            inner = [(name, one.values) for name, one in layers.items() if name not in self._context.graph.inputs]
            unchanged |= {name for name, values in inner if values.size and not values.any()}
        words = (
            Labels("columns", tuple(column_labels(self._context, selection.sample))),
            Labels("odd numbers", tuple(odd_labels(self._context, layers, self._nodes, selection.sample, unchanged))),
            Labels("axes", tuple(axis_labels(self._context, voxels, selection.layer))),
        )
        models = self._quantity(selection) == "difference" and self._compared(selection).against is None
        other = selection if models else None
        scores = scores_of(self._context, self._answering, selection.sample, self._listed, other, changed=changed)
        answer = (*scores, *words)
        question = (title_panel(self._context, selection.sample), *words)
        return _Still(blocks, scales, answer, question)

    def _choose(self, selectors: tuple[str, ...]) -> tuple[str, ...]:
        graph, capture = self._context.graph, self._context.capture
        chosen: set[str] = set()
        for selector in selectors:
            found = matching(selector, graph)
            names = [node.id for node in graph]
            if not found and by_kind(selector):
                raise SceneError(f"layers: {lacks(selector, graph)}; its layers are {', '.join(names[:40])}.")
            if not found:
                close = difflib.get_close_matches(selector, names, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise SceneError(f"layers: no layer matches {selector!r}; the model has {', '.join(names[:40])}.{hint}")
            chosen.update(found)
        return tuple(node.id for node in graph if node.id in chosen and capture.has_activations(node.id))

    def _quantity(self, selection: Selection) -> Quantity:
        return selection.quantity or self._spec.quantity

    def _compared(self, selection: Selection) -> Selection:
        return replace(selection, against=self._spec.against) if selection.against is None else selection

    def _shown(self, selection: Selection) -> dict[str, LayerValues]:
        """Return the shown numbers by layer; some layers have none."""
        quantity, compared = self._quantity(selection), self._compared(selection)
        layers = {name: self._context.shown(name, quantity, compared) for name in self._nodes}
        return {name: layer for name, layer in layers.items() if layer is not None}

    def _blocks(self, selection: Selection) -> list[Primitive]:
        plain = self._quantity(selection) == "activation"
        layers = self._shown(selection)
        blocks: list[Primitive] = []
        for name in self._nodes:
            placement, layer = self._context.placement(name), layers.get(name)
            pictured = (
                plain or layer is None or (name in self._context.graph.inputs and not self._reached(name, selection))
            )
            picture = self._picture(name, selection.sample) if pictured else None
            if picture is not None:
                x, y, z = placement.origin
                seen = 1.0 if selection.layer in (None, name) else 0.45
                blocks.append(
                    Image(
                        name,
                        picture,
                        (x, y, z + placement.size[2]),
                        placement.size[:2],
                        seen,
                        Source("activations", name),
                    )
                )
                continue
            if layer is None or not placement.grid.count:
                continue
            colored = self._colored(layer, layers, selection)
            signal = is_signal(placement.grid)
            blocks.append(
                Voxels(
                    name,
                    layer.cells,
                    placement.origin,
                    placement.cell,
                    colored.colormap,
                    colored.limits,
                    threshold=self.threshold_of(name, selection) * limits_for(layer.statistics, "layer")[1],
                    count=placement.grid.count if len(placement.grid.shape) < 2 else None,
                    emphasis=(1.0 if selection.layer in (None, name) else 0.3) * (_BEHIND if signal else 1.0),
                    source=Source("activations", name),
                )
            )
            if signal:
                blocks += curves(name, layer, placement, 1.0 if selection.layer in (None, name) else 0.4)
        return blocks

    def _colored(self, layer: LayerValues, layers: dict[str, LayerValues], selection: Selection) -> ColoredCells:
        """Return a layer's numbers with their colours; one scale for all layers depends on these."""
        normalize: Normalize = selection.normalize or self._spec.normalize
        # A quantity other than the activation is signed even if all numbers happen to have one sign.
        own: Normalize = normalize if self._quantity(selection) == "activation" else "symmetric"
        limits = limits_for(layer.statistics, own)
        if normalize == "global":
            shared = self._shared_limits(layers)
            limits = (-shared if limits[0] < 0 else 0.0, shared)
        return ColoredCells(layer, limits, self._map(limits, selection), self._quantity(selection))

    def _reached(self, name: str, selection: Selection) -> bool:
        """Whether the shown quantity has numbers of its own for a layer, not zeros of a change that does not reach it."""
        quantity = self._quantity(selection)
        if quantity == "difference" and self._compared(selection).against is None:
            return bool(np.any(self._context.difference(name, selection)))
        return quantity != "change" or self._context.explanations(selection.sample).reaches(name)

    def _room_for_names(self) -> NDArray[np.float64]:
        """Return points beside short inputs and outputs that leave room for their names; none without names."""
        plan, context = self._context.plan, self._context
        low, high = plan.bounds_x
        found = [np.empty((0, 3))]
        for output in vector_outputs(context.graph):
            if plan.placements[output].grid.count <= NAMED_CELLS and (len(self._answering) > 1 or output == self._head):
                beside = plan.corners([output])
                beside[:, 0] += _NAMES / min(max(context.aspect, _UPRIGHT), 1.0) * (high - low)
                found.append(beside)
        for number, panel in enumerate(comparisons(context, self._answering, 0)):
            # The panel at the upper right is higher than the title, for which the camera leaves room.
            top, bottom = max(row.top for row in plan.rows), min(row.bottom for row in plan.rows)
            share = _PICTURES + _ROW * (len(panel.rows) - 1)
            found.append(np.array([[high, top + share * (top - bottom), 0.0]])[: 1 - number])
        for name in named_inputs(context):
            longest = max(map(len, words_beside(context, name, 0)))
            beside = plan.corners([name])
            beside[:, 0] -= min(_LETTER * longest, _WIDEST_NAME) * (high - low)
            found.append(beside)
        return np.concatenate(found)

    def threshold_of(self, name: str, selection: Selection) -> float:
        """Return the share of a layer's colour range below which its cells are not drawn; 0 for vectors.

        No cell of a sheet of tokens hides another one, so all are drawn unless the scene or the user sets a threshold.
        The cells behind curves are a strip without holes.
        """
        grid = self._context.placement(name).grid
        if len(grid.shape) < 2 or is_signal(grid):
            return 0.0
        if grid.tokens and selection.threshold is None and "threshold" not in self._spec.model_fields_set:
            return 0.0
        return self._spec.threshold if selection.threshold is None else selection.threshold

    def _map(self, limits: tuple[float, float], selection: Selection) -> Colormap:
        chosen = colormap(selection.colormap or self._spec.colormap)
        if limits[0] < 0:
            return chosen if chosen.diverging else colormap(self._spec.diverging)
        return chosen if not chosen.diverging else colormap(self._spec.colormap)

    def _shared_limits(self, layers: dict[str, LayerValues]) -> float:
        heads = {self._head} | set(self._context.graph.inputs)
        tops = [layer.statistics.strong for name, layer in layers.items() if name not in heads]
        return max(tops, default=1.0) or 1.0

    def _picture(self, name: str, sample: int) -> NDArray[np.uint8] | None:
        if name not in self._context.graph.inputs:
            return output_picture(self._context, name, sample)
        found = self._context.capture.picture(name, sample)
        if found is not None:
            return found
        layer = self._context.values(name, sample)
        return picture_of(layer.values, layer.grid.axes)


def picture_of(values: NDArray[np.float32], axes: Axes = ()) -> NDArray[np.uint8] | None:
    """Convert an input tensor to a picture ``(H, W, 3)``, scaled from its least to its greatest number.

    Parameters
    ----------
    values
        The tensor, ``shape``.
    axes
        Names of its axes; by default channels last.
    """
    shape = PictureShape.of(values.shape, axes or axes_of(values.shape))
    if shape is None:
        return None
    values = shape.upright(values[np.newaxis])[0]
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    scaled = np.nan_to_num((values - low) / (high - low or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if shape.channels == 1 else np.ascontiguousarray(pixels[..., :3])
