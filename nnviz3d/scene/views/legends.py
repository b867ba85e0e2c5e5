"""The words of the activations view: what is seen, the class scores, and the scales with their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, ValueStatistics, number, score
from nnviz3d.scene.primitives import BarRow, Label, Labels, Panel, Primitive, Row, ScaleRow, SwatchRow, TextRow, Voxels
from nnviz3d.scene.stage import Stage, class_name, top_classes

_NAMED_CELLS = 16
"""Heads up to this size have a name beside every cell; larger ones list their best."""
_BEST = 3


def title_panel(capture: Capture, sample: int, answer: str | None = None) -> Panel:
    """Say what is seen: the sample, its label, what the model makes of it, and how it was prepared."""
    names = capture.provenance.samples
    words = [f"input {names[sample] if sample < len(names) else f'sample {sample}'}"]
    if capture.labels is not None:
        words.append(f"labelled {class_name(capture.classes, int(capture.labels[sample]))}")
    if answer is not None:
        words.append(answer)
    facts = [f"preprocessing {capture.provenance.preprocessing}", *(n.rstrip(".") for n in capture.provenance.notes)]
    return Panel("title", "top-left", (TextRow(" · ".join(words)), TextRow(" · ".join(facts), "quiet")))


def scores_of(stage: Stage, head: str, sample: int) -> tuple[Primitive, ...]:
    """Return the title with the answer in it, and the class scores: beside their cells, or the best of many."""
    scores = stage.values(head, sample).values
    classes = stage.capture.classes
    best = top_classes(scores, 1)[0]
    answer = f"predicted {class_name(classes, best)} ({score(float(scores[best]))})"
    title = title_panel(stage.capture, sample, answer)
    if len(scores) <= _NAMED_CELLS:
        return (title, _beside_cells(stage, head, scores, best))
    return (title, Panel("scores", "top-right", tuple(_best_rows(head, scores, classes))))


def _beside_cells(stage: Stage, head: str, scores: NDArray[np.float32], best: int) -> Labels:
    place = stage.place(head)
    right = place.origin[0] + place.size[0] + 0.12
    centers = stage.centers(head, np.arange(len(scores)))
    labels = tuple(
        Label(
            (right, float(y), float(z)),
            (f"{class_name(stage.capture.classes, i)}   {score(float(scores[i]))}",),
            align="right",
            priority=20.0 if i == best else 8.0 - 0.1 * abs(i - best),
            emphasis=1.0 if i == best else 0.5,
            small=True,
        )
        for i, (_, y, z) in enumerate(centers)
    )
    return Labels("scores", labels)


def _best_rows(head: str, scores: NDArray[np.float32], classes: tuple[str, ...] | None) -> list[Row]:
    finite = scores[np.isfinite(scores)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 0.0)
    rows: list[Row] = [TextRow(f"{head}: highest {_BEST} of {len(scores):,}", "quiet")]
    for position, i in enumerate(top_classes(scores, _BEST)):
        share = np.clip((np.nan_to_num(scores[i], nan=low) - low) / (high - low), 0, 1) if high > low else 0.0
        rows.append(BarRow(class_name(classes, i), score(float(scores[i])), float(share), position == 0))
    return rows


def scale_panels(
    blocks: Mapping[str, Voxels],
    statistics: Sequence[ValueStatistics],
    *,
    threshold: float,
    shared: bool,
    chosen: str | None,
) -> tuple[Panel, ...]:
    """Say what the colours mean, how many cells are drawn, and what is no number.

    Parameters
    ----------
    blocks, statistics
        All blocks by name, and what their numbers are like, in the same order.
    threshold
        Share of each layer's range below which cells are not drawn.
    shared
        Whether one scale holds for all layers.
    chosen
        The layer whose scale is shown with its own numbers, if one is selected.
    """
    scales: list[list[Row]] = []
    if chosen is not None and chosen in blocks:
        scales.append(_absolute_scale(blocks[chosen], chosen))
    else:
        for signed in sorted({b.limits[0] < 0 for b in blocks.values()}):
            alike = [b for b in blocks.values() if (b.limits[0] < 0) == signed]
            scales.append(_absolute_scale(alike[0], None) if shared else _relative_scale(alike, signed))
    if not scales:
        return ()
    if any(b.threshold > 0 for b in blocks.values()):
        shown, total = cells_shown(blocks.values())
        text = f"{shown:,} of {total:,} cells reach {threshold:.0%} of their layer's range"
        scales[0].append(TextRow(text, "quiet"))
    nans, infinities = sum(s.nans for s in statistics), sum(s.infinities for s in statistics)
    for color, count, what in ((NAN_COLOR, nans, "NaN"), (INF_COLOR, infinities, "infinite")):
        if count:
            scales[-1].append(SwatchRow(((color, f"{count:,} {what}"),)))
    return tuple(Panel(f"scale/{k}", "bottom-left", tuple(rows)) for k, rows in enumerate(scales))


def cells_shown(blocks: Iterable[Voxels]) -> tuple[int, int]:
    """Count the cells that are drawn, and all there are."""
    shown = total = 0
    for block in blocks:
        count = block.count if block.count is not None else block.values.size
        total += count
        if block.threshold <= 0:
            shown += count
        else:
            # Not less than, as the shader has it: NaN is drawn.
            shown += count - int(np.count_nonzero(np.abs(block.values) < block.threshold))
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
