"""Colour scales of the activations view, and the words for its quantities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnviz3d.data.quantities import Quantity
from nnviz3d.data.targets import LOSS, Explained
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, ValueStatistics, number, score
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.panel_rows import Row, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Panel, Source, Voxels
from nnviz3d.scene.selection import Selection

END_TICKS = {
    False: ((0.0, "0"), (0.5, "half"), (1.0, "≥ end")),
    True: ((0.0, "≤ −end"), (0.5, "0"), (1.0, "≥ end")),
}
"""Ticks of a scale that ends at another number for each layer, without and with negative numbers."""
_NAMED = 3
"""Maximum number of layers that a legend names."""


def words_for(context: SceneContext, quantity: Quantity, selection: Selection) -> str:
    """Describe a quantity with its target, or with the two samples or models of a difference."""
    if quantity == "activation":
        return "activation"
    if quantity == "difference":
        odd = " (the inputs differ, too)" if context.inputs_differ(selection) else ""
        return " − ".join(context.compared_names(selection)) + odd
    if quantity == "change":
        return f"change by: {listed([one.shown_text for one in context.explanations(selection.sample).interventions])}"
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


def listed(names: Sequence[str]) -> str:
    """List the first few of some names, and count the others."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


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
        Share of each layer's scale below which cells are not drawn.
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
        scales[0].append(TextRow(f"{shown:,} of {total:,} {cells} reach {threshold:.0%} of the scale (drawn)", "quiet"))
    nans, infinities = sum(s.nans for s in statistics), sum(s.infinities for s in statistics)
    for color, count, kind in ((NAN_COLOR, nans, "NaN"), (INF_COLOR, infinities, "infinite")):
        if count:
            scales[-1].append(SwatchRow(((color, f"{count:,} {kind}"),)))
    source = Source("activations", part="scale")
    return tuple(Panel(f"scale/{k}", "bottom-left", tuple(rows), source) for k, rows in enumerate(scales))


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
    lowest = f"≤ {number(low)}" if low < 0 else number(low)
    ticks = ((0.0, lowest), (0.5, number((low + high) / 2)), (1.0, f"≥ {number(high)}"))
    hidden = _hidden(block.threshold / high if high else 0.0, low < 0) if of is not None else ()
    return [
        TextRow(f"{what}, {of or 'one scale for all layers'}", "quiet"),
        ScaleRow(block.colormap, ticks, hidden),
    ]


def _relative_scale(blocks: list[Voxels], signed: bool, what: str) -> list[Row]:
    # A layer of zeros has no range of its own.
    tops = [b.limits[1] for b in blocks if np.any(b.values)] or [0.0]
    threshold = max((b.threshold / b.limits[1] for b in blocks if b.limits[1]), default=0.0)
    name = f"signed {what}" if signed and what == "activation" else what
    return [
        TextRow(own_scales(name, tops), "quiet"),
        ScaleRow(blocks[0].colormap, END_TICKS[signed], _hidden(threshold, signed)),
    ]


def own_scales(what: str, tops: Sequence[float]) -> str:
    """Describe colours for which each layer has a scale of its own, by the numbers at which the scales end."""
    return f"{what}; each layer's scale ends at {span_text(tops)}"


def span_text(tops: Sequence[float]) -> str:
    """Write the smallest and the largest number, or one number if both are equal."""
    return number(tops[0]) if len(set(tops)) == 1 else f"{number(min(tops))} … {number(max(tops))}"


def _hidden(share: float, signed: bool) -> tuple[tuple[float, float], ...]:
    if share <= 0:
        return ()
    return ((0.5 - share / 2, 0.5 + share / 2),) if signed else ((0.0, share),)
