"""Every number of the chosen layers as a voxel; the input as its picture; the scores with their names."""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import (
    INF_COLOR,
    NAN_COLOR,
    Colormap,
    ValueStatistics,
    colormap,
    limits_for,
    number,
    score,
)
from nnviz3d.scene.primitives import (
    BarRow,
    Image,
    Label,
    Labels,
    Panel,
    Primitive,
    Row,
    ScaleRow,
    SwatchRow,
    TextRow,
    Voxels,
)
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import Activations, SceneSpec
from nnviz3d.scene.stage import Stage, class_name, head_of, top_classes

_NAMED_CELLS = 16
"""Heads up to this size have a name beside every cell; larger ones list their best."""


class ActivationsView:
    """The blocks of voxels and what explains them."""

    def __init__(self, spec: Activations, stage: Stage, scene: SceneSpec) -> None:
        self._spec = spec
        self._stage = stage
        self._nodes = self._choose(spec.layers)
        self._head = head_of(stage.graph)
        self._reveal = (spec.reveal.start, spec.reveal.duration)
        self.duration = spec.reveal.start + spec.reveal.duration
        self._still: dict[Selection, tuple[tuple[Primitive, ...], tuple[Primitive, ...]]] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the blocks as far as the forward pass has come by `t`."""
        if selection not in self._still:
            blocks = tuple(self._blocks(selection))
            self._still = {selection: (blocks, (*self._score_labels(selection), *self._panels(selection)))}
        blocks, words = self._still[selection]
        return (*(self._revealed(b, t) for b in blocks), *words)

    def _choose(self, globs: tuple[str, ...]) -> tuple[str, ...]:
        graph, capture = self._stage.graph, self._stage.capture
        for glob in globs:
            if not any(fnmatchcase(node.id, glob) for node in graph):
                names = [node.id for node in graph]
                close = difflib.get_close_matches(glob, names, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise SceneError(f"layers: no layer matches {glob!r}; the model has {', '.join(names[:40])}.{hint}")
        return tuple(
            node.id
            for node in graph
            if any(fnmatchcase(node.id, g) for g in globs) and capture.has_activations(node.id)
        )

    def _revealed(self, block: Primitive, t: float) -> Primitive:
        start, duration = self._reveal
        if duration <= 0 or not isinstance(block, Voxels | Image):
            return block
        step = duration / self._stage.ranks
        share = float(np.clip((t - start) / step - self._stage.place(block.name).rank, 0, 1))
        if share >= 1:
            return block
        return replace(block, reveal=share) if isinstance(block, Voxels) else replace(block, opacity=share)

    def _blocks(self, selection: Selection) -> list[Primitive]:
        normalize = selection.normalize or self._spec.normalize
        shared = self._shared_limits(selection.sample) if normalize == "global" else None
        blocks: list[Primitive] = []
        for name in self._nodes:
            place = self._stage.place(name)
            layer = self._stage.values(name, selection.sample)
            picture = self._picture(name, selection.sample)
            if picture is not None:
                x, y, z = place.origin
                blocks.append(Image(name, picture, (x, y, z + place.size[2]), place.size[:2]))
                continue
            limits = limits_for(layer.statistics, normalize) if shared is None else self._clip(shared, layer.statistics)
            blocks.append(
                Voxels(
                    name,
                    layer.cells,
                    place.origin,
                    place.cell,
                    self._map(limits, selection),
                    limits,
                    threshold=self.threshold_of(name, selection) * limits_for(layer.statistics, "layer")[1],
                    count=place.grid.count if len(place.grid.shape) < 2 else None,
                    emphasis=1.0 if selection.layer in (None, name) else 0.3,
                )
            )
        return blocks

    def threshold_of(self, name: str, selection: Selection) -> float:
        """Return the share of the layer's own range below which its cells are not drawn; vectors are drawn whole."""
        if len(self._stage.place(name).grid.shape) < 2:
            return 0.0
        return self._spec.threshold if selection.threshold is None else selection.threshold

    def _map(self, limits: tuple[float, float], selection: Selection) -> Colormap:
        chosen = colormap(selection.colormap or self._spec.colormap)
        if limits[0] < 0:
            return chosen if chosen.diverging else colormap(self._spec.diverging)
        return chosen if not chosen.diverging else colormap(self._spec.colormap)

    def _shared_limits(self, sample: int) -> float:
        heads = {self._head} | set(self._stage.graph.inputs)
        tops = [self._stage.values(n, sample).statistics.strong for n in self._nodes if n not in heads]
        return max(tops, default=1.0) or 1.0

    def _clip(self, top: float, statistics: ValueStatistics) -> tuple[float, float]:
        return (-top, top) if statistics.low < 0 else (0.0, top)

    def _picture(self, name: str, sample: int) -> NDArray[np.uint8] | None:
        if name not in self._stage.graph.inputs:
            return None
        found = self._stage.capture.picture(name, sample)
        if found is not None:
            return found
        return picture_of(self._stage.values(name, sample).values)

    def _score_labels(self, selection: Selection) -> list[Primitive]:
        if self._head is None or self._head not in self._nodes:
            return []
        scores = self._stage.values(self._head, selection.sample).values
        best = top_classes(scores, 1)[0]
        classes = self._stage.capture.classes
        place = self._stage.place(self._head)
        right = place.origin[0] + place.size[0] + 0.12
        if len(scores) <= _NAMED_CELLS:
            centers = self._stage.centers(self._head, np.arange(len(scores)))
            labels = tuple(
                Label(
                    (right, float(y), float(z)),
                    (f"{class_name(classes, i)}   {score(float(scores[i]))}",),
                    align="right",
                    priority=20.0 if i == best else 8.0 - 0.1 * abs(i - best),
                    emphasis=1.0 if i == best else 0.5,
                    small=True,
                )
                for i, (_, y, z) in enumerate(centers)
            )
            return [Labels("scores", labels)]
        return []

    def _panels(self, selection: Selection) -> list[Primitive]:
        panels: list[Primitive] = [Panel("title", "top-left", tuple(self._title(selection)))]
        scores = self._score_rows(selection)
        if scores:
            panels.append(Panel("scores", "top-right", tuple(scores)))
        for position, rows in enumerate(self._scales(selection)):
            panels.append(Panel(f"scale/{position}", "bottom-left", tuple(rows)))
        return panels

    def _title(self, selection: Selection) -> list[Row]:
        capture = self._stage.capture
        names = capture.provenance.samples
        sample = names[selection.sample] if selection.sample < len(names) else f"sample {selection.sample}"
        words = [f"input {sample}"]
        labels = capture.labels
        if labels is not None:
            words.append(f"labelled {class_name(capture.classes, int(labels[selection.sample]))}")
        if self._head is not None and self._head in self._nodes:
            scores = self._stage.values(self._head, selection.sample).values
            best = top_classes(scores, 1)[0]
            words.append(f"predicted {class_name(capture.classes, best)} ({score(float(scores[best]))})")
        facts = [
            f"preprocessing {capture.provenance.preprocessing}",
            *(n.rstrip(".") for n in capture.provenance.notes),
        ]
        return [TextRow(" · ".join(words)), TextRow(" · ".join(facts), "quiet")]

    def _score_rows(self, selection: Selection) -> list[Row]:
        if self._head is None or self._head not in self._nodes:
            return []
        scores = self._stage.values(self._head, selection.sample).values
        if len(scores) <= _NAMED_CELLS:
            return []
        best = top_classes(scores, 3)
        low, high = min(0.0, float(np.nanmin(scores))), float(np.nanmax(scores))
        rows: list[Row] = [TextRow(f"{self._head}: highest 3 of {len(scores):,}", "quiet")]
        for position, i in enumerate(best):
            share = (float(scores[i]) - low) / (high - low) if high > low else 0.0
            name = class_name(self._stage.capture.classes, i)
            rows.append(BarRow(name, score(float(scores[i])), 0.0 if math.isnan(share) else share, position == 0))
        return rows

    def _scales(self, selection: Selection) -> list[list[Row]]:
        normalize = selection.normalize or self._spec.normalize
        blocks = {b.name: b for b in self._still_blocks(selection)}
        scales: list[list[Row]] = []
        if selection.layer in blocks:
            scales.append(_absolute_scale(blocks[selection.layer], selection.layer))
        else:
            for signed in sorted({b.limits[0] < 0 for b in blocks.values()}):
                alike = [b for b in blocks.values() if (b.limits[0] < 0) == signed]
                one = normalize == "global"
                scales.append(_absolute_scale(alike[0], None) if one else _relative_scale(alike, signed))
        if not scales:
            return []
        if any(b.threshold > 0 for b in blocks.values()):
            hidden = self._spec.threshold if selection.threshold is None else selection.threshold
            shown, total = self.cells_shown(selection)
            scales[0].append(
                TextRow(f"{shown:,} of {total:,} cells reach {hidden:.0%} of their layer's range", "quiet")
            )
        statistics = [self._stage.values(n, selection.sample).statistics for n in blocks]
        for color, count, what in (
            (NAN_COLOR, sum(s.nans for s in statistics), "NaN"),
            (INF_COLOR, sum(s.infinities for s in statistics), "infinite"),
        ):
            if count:
                scales[-1].append(SwatchRow(((color, f"{count:,} {what}"),)))
        return scales

    def _still_blocks(self, selection: Selection) -> list[Voxels]:
        kept = self._still.get(selection)
        blocks = kept[0] if kept else tuple(self._blocks(selection))
        return [b for b in blocks if isinstance(b, Voxels)]

    def cells_shown(self, selection: Selection) -> tuple[int, int]:
        """Count the cells that are drawn, and all there are."""
        shown = total = 0
        for block in self._still_blocks(selection):
            count = block.count if block.count is not None else block.values.size
            total += count
            if block.threshold <= 0:
                shown += count
            else:
                shown += int(block.values.size - np.count_nonzero(np.abs(block.values) < block.threshold))
        return shown, total


def _absolute_scale(block: Voxels, of: str | None) -> list[Row]:
    """Return a scale with real numbers, of one layer or of all; the threshold has one place on it only for one layer."""
    low, high = block.limits
    ticks = ((0.0, number(low)), (0.5, number((low + high) / 2)), (1.0, f"m = {number(high)}"))
    hidden = _hidden(block.threshold / high if high else 0.0, low < 0) if of is not None else ()
    return [
        TextRow(f"activation, {of or 'one scale for all layers'}", "quiet"),
        ScaleRow(block.colormap, ticks, hidden),
    ]


def _relative_scale(blocks: list[Voxels], signed: bool) -> list[Row]:
    tops = [b.limits[1] for b in blocks]
    span = number(min(tops)) if len(set(tops)) == 1 else f"{number(min(tops))} … {number(max(tops))}"
    ticks = ((0.0, "−m"), (0.5, "0"), (1.0, "m")) if signed else ((0.0, "0"), (0.5, "m/2"), (1.0, "m"))
    threshold = max((b.threshold / b.limits[1] for b in blocks if b.limits[1]), default=0.0)
    what = "signed activation" if signed else "activation"
    return [
        TextRow(f"{what}, m each layer's own: {span}", "quiet"),
        ScaleRow(blocks[0].colormap, ticks, _hidden(threshold, signed)),
    ]


def _hidden(share: float, signed: bool) -> tuple[tuple[float, float], ...]:
    if share <= 0:
        return ()
    return ((0.5 - share / 2, 0.5 + share / 2),) if signed else ((0.0, share),)


def picture_of(values: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """Show an input tensor as a picture, if it is one: ``(H, W, 1)`` or ``(H, W, 3)``, from its least to its greatest."""
    if values.ndim != 3 or values.shape[2] not in (1, 3):
        return None
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    scaled = np.nan_to_num((values - low) / (high - low or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if values.shape[2] == 1 else pixels
