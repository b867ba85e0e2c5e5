"""Title, class scores and colour scales of the activations view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.quantities import Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.targets import LOSS, Explained
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, ValueStatistics, number, score
from nnviz3d.scene.context import SceneContext, class_name, is_classifier, top_classes, two_classes, vector_outputs
from nnviz3d.scene.panel_rows import BarRow, Row, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Panel, Primitive, Voxels
from nnviz3d.scene.selection import Selection

NAMED_CELLS = 16
"""Maximum size of an output with a name beside every cell; for larger outputs the best scores are listed."""
_NAMED = 3
"""Maximum number of layers that a legend names."""
FEW, MORE = 3, 5
"""Number of listed scores, and their number in a scene that explains a decision."""


def words_for(context: SceneContext, quantity: Quantity, selection: Selection) -> str:
    """Describe a quantity with its target, or with the two samples of a difference."""
    if quantity == "activation":
        return "activation"
    if quantity == "difference":
        return " − ".join(context.capture.sample_name(i) for i in (selection.sample, selection.against or 0))
    explained = context.explained(selection)
    whose = "" if explained is None else score_text(context, explained)
    return f"gradient of {whose}" if quantity == "gradient" else f"gradient × activation for {whose}"


def score_text(context: SceneContext, explained: Explained) -> str:
    """Describe a target with its score and its probability, or the loss of a training."""
    if explained.target == LOSS:
        return "the probe samples' loss"
    numbers = f"score {number(explained.score)}"
    if explained.probability is not None:
        numbers += f", p {score(explained.probability)}"
    return f"the score of {context.name_of(explained.target)} ({numbers})"


def title_panel(capture: CaptureReader, sample: int, answer: str | None = None) -> Panel:
    """Return the title: the sample, its label, the prediction, and the preprocessing."""
    words = [f"input {capture.sample_name(sample)}"]
    label = capture.label(sample)
    if label is not None:
        words.append(f"labelled {class_name(capture.classes, label)}")
    if answer is not None:
        words.append(answer)
    mode, _ = capture.preprocessing(sample)
    records = capture.step_records
    step = [] if records is None or records.probe_step is None else [f"after training step {records.probe_step:,}"]
    facts = [*step, f"preprocessing {mode}", *(n.rstrip(".") for n in capture.provenance.notes_of(sample))]
    return Panel("title", "top-left", (TextRow(" · ".join(words)), TextRow(" · ".join(facts), "quiet")))


def scores_of(context: SceneContext, head: str, sample: int, listed: int = FEW) -> tuple[Primitive, ...]:
    """Return the title with the prediction, and the class scores: beside their cells, or a list of the best ones."""
    scores = context.values(head, sample).values.reshape(-1)
    names = names_of(context.capture, head, len(scores))
    best = top_classes(scores, 1)[0]
    shown = f"({score(float(scores[best]))})"
    if np.isnan(scores[best]):
        answer = "the output is NaN"
    elif len(scores) == 1:
        answer = f"output {score(float(scores[0]))}{_between_two(context, head, float(scores[0]))}"
    elif is_classifier(context.capture, head):
        answer = f"predicted {names[best]} {shown}"
    else:
        answer = f"largest output {names[best]} {shown}"
    if len(context.graph.outputs) > 1:
        answer = f"{context.graph.node(head).name}: {answer}"
    labels: list[Label] = []
    for output in vector_outputs(context.graph):
        if context.capture.has_activations(output) and context.placement(output).grid.count <= NAMED_CELLS:
            labels += _beside_cells(context, output, sample)
    found: list[Primitive] = [title_panel(context.capture, sample, answer), Labels("scores", tuple(labels))]
    if len(scores) > NAMED_CELLS:
        found.append(Panel("scores", "top-right", tuple(best_rows(head, scores, names, listed))))
    return tuple(found)


def listed(names: Sequence[str]) -> str:
    """List the first few of some names, and count the others."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _between_two(context: SceneContext, head: str, value: float) -> str:
    """Return the class, one of two, that a single probability predicts; empty for any other number."""
    two = two_classes(context.capture, head)
    if two is None or context.graph.node(head).activation != "sigmoid":
        return ""
    return f", predicted {two[1]}" if value > 0.5 else f", predicted {two[0]}"


def names_of(capture: CaptureReader, head: str, count: int) -> list[str]:
    """Return names of an output's numbers: class names, for a single number its class for 1, otherwise positions."""
    if is_classifier(capture, head):
        return [class_name(capture.classes, i) for i in range(count)]
    if count == 1:
        two = two_classes(capture, head)
        return ["output" if two is None else two[1]]
    return [str(i) for i in range(count)]


def _beside_cells(context: SceneContext, head: str, sample: int) -> list[Label]:
    scores = context.values(head, sample).values.reshape(-1)
    placement = context.placement(head)
    names = names_of(context.capture, head, len(scores)) if len(scores) > 1 else [""]
    best = top_classes(scores, 1)[0]
    corners = np.array(placement.origin) + placement.grid.cells(np.arange(len(scores))) * np.array(placement.cell)
    return [
        Label(
            (float(x), float(y), float(z)),
            (f"{names[i]}   {score(float(scores[i]))}".strip(),),
            align="right",
            priority=20.0 if i == best else 8.0 - 0.1 * abs(i - best),
            emphasis=1.0 if i == best else 0.5,
            small=True,
            span=placement.cell,
        )
        for i, (x, y, z) in enumerate(corners)
    ]


def best_rows(head: str, scores: NDArray[np.float32], names: Sequence[str], listed: int = FEW) -> list[Row]:
    """List the largest numbers of an output as bars."""
    finite = scores[np.isfinite(scores)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 0.0)
    count = len(scores)
    which = f": highest {listed} of {count:,}" if listed < count else f": all {count}" if count > 1 else ""
    rows: list[Row] = [TextRow(f"{head}{which}", "quiet")]
    for position, i in enumerate(top_classes(scores, listed)):
        share = np.clip((np.nan_to_num(scores[i], nan=low) - low) / (high - low), 0, 1) if high > low else 0.0
        rows.append(BarRow(names[i], score(float(scores[i])), float(share), position == 0))
    return rows


def scale_panels(
    blocks: Mapping[str, Voxels],
    statistics: Sequence[ValueStatistics],
    *,
    what: str,
    threshold: float,
    shared: bool,
    chosen: str | None,
) -> tuple[Panel, ...]:
    """Return the colour scales, with the number of drawn cells and of NaN and infinite numbers.

    Parameters
    ----------
    blocks, statistics
        All blocks by name, and the statistics of their numbers, in the same order.
    what
        Name of the quantity.
    threshold
        Share of each layer's range below which cells are not drawn.
    shared
        Whether all layers have one scale.
    chosen
        The selected layer, whose scale is shown with absolute numbers; `None` without one.
    """
    scales: list[list[Row]] = []
    if chosen is not None and chosen in blocks:
        scales.append(_absolute_scale(blocks[chosen], chosen, what))
    else:
        for signed in sorted({b.limits[0] < 0 for b in blocks.values()}):
            alike = [b for b in blocks.values() if (b.limits[0] < 0) == signed]
            scales.append(_absolute_scale(alike[0], None, what) if shared else _relative_scale(alike, signed, what))
    if not scales:
        return ()
    cut = [b for b in blocks.values() if b.threshold > 0]
    if cut:
        shown, total = cells_shown(cut)
        cells = "cells" if len(cut) == len(blocks) else "cells of maps"
        scales[0].append(
            TextRow(f"{shown:,} of {total:,} {cells} reach {threshold:.0%} of their layer's range", "quiet")
        )
    nans, infinities = sum(s.nans for s in statistics), sum(s.infinities for s in statistics)
    for color, count, kind in ((NAN_COLOR, nans, "NaN"), (INF_COLOR, infinities, "infinite")):
        if count:
            scales[-1].append(SwatchRow(((color, f"{count:,} {kind}"),)))
    return tuple(Panel(f"scale/{k}", "bottom-left", tuple(rows)) for k, rows in enumerate(scales))


def cells_shown(blocks: Iterable[Voxels]) -> tuple[int, int]:
    """Count the cells whose |number| reaches their block's threshold, and all cells. NaN reaches no threshold."""
    shown = total = 0
    for block in blocks:
        total += block.values.size
        shown += int(np.count_nonzero(np.abs(block.values) >= block.threshold))
    return shown, total


def _absolute_scale(block: Voxels, of: str | None, what: str) -> list[Row]:
    """Return a scale with absolute numbers, of one layer or of all; the threshold is marked only for one layer."""
    low, high = block.limits
    ticks = ((0.0, number(low)), (0.5, number((low + high) / 2)), (1.0, f"≥ {number(high)}"))
    hidden = _hidden(block.threshold / high if high else 0.0, low < 0) if of is not None else ()
    return [
        TextRow(f"{what}, {of or 'one scale for all layers'}", "quiet"),
        ScaleRow(block.colormap, ticks, hidden),
    ]


def _relative_scale(blocks: list[Voxels], signed: bool, what: str) -> list[Row]:
    # A layer of zeros has no range of its own.
    tops = [b.limits[1] for b in blocks if np.any(b.values)] or [0.0]
    span = number(min(tops)) if len(set(tops)) == 1 else f"{number(min(tops))} … {number(max(tops))}"
    ticks = ((0.0, "≤ −m"), (0.5, "0"), (1.0, "≥ m")) if signed else ((0.0, "0"), (0.5, "m/2"), (1.0, "≥ m"))
    threshold = max((b.threshold / b.limits[1] for b in blocks if b.limits[1]), default=0.0)
    name = f"signed {what}" if signed and what == "activation" else what
    return [
        TextRow(f"{name}, scaled to each layer's maximum m: {span}", "quiet"),
        ScaleRow(blocks[0].colormap, ticks, _hidden(threshold, signed)),
    ]


def _hidden(share: float, signed: bool) -> tuple[tuple[float, float], ...]:
    if share <= 0:
        return ()
    return ((0.5 - share / 2, 0.5 + share / 2),) if signed else ((0.0, share),)
