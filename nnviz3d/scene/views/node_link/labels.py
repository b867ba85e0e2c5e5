"""Labels and legends of a node-link graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Ranking
from nnviz3d.scene.class_names import top_classes
from nnviz3d.scene.colors import colormap, score
from nnviz3d.scene.context import SceneContext, vector_outputs
from nnviz3d.scene.derived.layer_figures import weights_of_then
from nnviz3d.scene.derived.neurons import Neurons
from nnviz3d.scene.derived.unit_weights import Links
from nnviz3d.scene.layout.nodes import BallLayout
from nnviz3d.scene.panel_rows import Row, ScaleRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Panel, Primitive, Source, Vector, vector
from nnviz3d.scene.views.columns import named_inputs, words_beside
from nnviz3d.scene.views.legends import END_TICKS, listed, own_scales, span_text
from nnviz3d.scene.views.node_link.colors import Scale
from nnviz3d.scene.views.outputs import NAMED_CELLS, names_of, scores_of

_ASIDE = 1.0
"""World distance of a score from its ball."""
Drawn = Sequence[tuple[Links, int]]
"""Links between two layers, and the number of drawn lines."""
Boxes = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""The lowest and the highest corner of a layer's balls, by layer."""


def names(
    context: SceneContext, neurons: Neurons, layouts: Mapping[str, BallLayout], drawn: Drawn, boxes: Boxes
) -> Labels:
    """Return a label below each layer: its number of balls and of lines, and the layers that pass its units on."""
    labels = []
    for node in neurons.graph:
        layout, count = layouts[node.id], neurons.counts[node.id]
        unit = "number" if node.id in context.graph.inputs else "neuron"
        what = unit if node.id in neurons.vectors else "channel"
        shown = f"{len(layout.units):,} of {count:,}" if len(layout.units) < count else f"{count:,}"
        lines = [node.name, f"{shown} {what}{'s' * (count != 1)}"]
        lines += [f"{k:,} of {links.total:,} edges" for links, k in drawn if links.feed.target == node.id]
        lines += [f"→ {context.graph.node(name).name}" for name in neurons.passed_on(node.id)]
        ends = node.id in (*context.graph.inputs, *context.graph.outputs)
        low, high = boxes[node.id]
        if node.id in context.graph.outputs:
            low = low - np.array([0.0, layout.pitch, 0.0])  # room for the score beside the last ball
        labels.append(Label(vector(low), tuple(lines), priority=3.0 + ends, span=vector(high - low)))
    return Labels("names", tuple(labels))


def scores(context: SceneContext, layouts: Mapping[str, BallLayout], sample: int) -> tuple[Primitive, ...]:
    """Return the title, names and scores beside the outputs' balls, and numbers beside those of short inputs."""
    labels = [
        Label(vector(point - np.array([_ASIDE, 0.0, 0.0])), (text,), "left", 7.0, 0.5, small=True)
        for name in written_inputs(context, layouts)
        for text, point in zip(words_beside(context, name, sample), layouts[name].points, strict=True)
    ]
    for output in named_outputs(context, layouts):
        numbers = context.values(output, sample).values.reshape(-1)
        names = names_of(context.capture, output, len(numbers)) if len(numbers) > 1 else [""]
        best = top_classes(numbers, 1)[0]
        for unit, position in zip(layouts[output].units, layouts[output].points, strict=True):
            text = f"{names[unit]}   {score(float(numbers[unit]))}".strip()
            strong = unit == best
            anchor: Vector = vector(position + np.array([_ASIDE, 0.0, 0.0]))
            labels.append(Label(anchor, (text,), "right", 20.0 if strong else 8.0, 1.0 if strong else 0.5, small=True))
    return (*title(context, sample), Labels("scores", tuple(labels)))


def named_outputs(context: SceneContext, layouts: Mapping[str, BallLayout]) -> list[str]:
    """Return the outputs whose balls have names beside them."""
    return [name for name in vector_outputs(context.graph) if len(layouts[name].units) <= NAMED_CELLS]


def written_inputs(context: SceneContext, layouts: Mapping[str, BallLayout]) -> list[str]:
    """Return the inputs whose numbers are written beside their balls."""
    return [name for name in named_inputs(context) if name in layouts and len(layouts[name].units) <= NAMED_CELLS]


def title(context: SceneContext, sample: int) -> tuple[Panel, ...]:
    """Return the title with the answers of the outputs, and their panels."""
    outputs = [name for name in context.graph.outputs if context.capture.has_activations(name)]
    return tuple(found for found in scores_of(context, outputs, sample) if isinstance(found, Panel))


def ball_scales(scales: Mapping[str, Scale], what: str, *, some: bool) -> tuple[Panel, ...]:
    """Return the legend rows for the balls' scales; each layer's scale ends at its own largest number.

    Parameters
    ----------
    some
        Whether a layer has more units than balls, so that the legend must say which units have balls.
    """
    panels: list[Panel] = []
    for signed in sorted({limits[0] < 0 for _, limits in scales.values()}):
        alike = [(scale, limits[1]) for scale, limits in scales.values() if (limits[0] < 0) == signed]
        rows: list[Row] = [
            TextRow(own_scales(f"ball colour: {what}", [top for _, top in alike]), "quiet"),
            ScaleRow(alike[0][0], END_TICKS[signed]),
        ]
        if some and not panels:
            rows.append(TextRow("k of n: those with the largest |activation|; of an output, the highest", "quiet"))
        panels.append(Panel(f"scale/{len(panels)}", "bottom-left", tuple(rows), Source("nodes", part="scale")))
    return tuple(panels)


def line_scale(
    capture: CaptureReader, drawn: Drawn, ranking: Ranking, diverging: str, unknown: Sequence[str], *, some: bool
) -> tuple[Panel, ...]:
    """Describe the colours and widths of lines, the number of drawn lines, and the layers without known weights.

    Parameters
    ----------
    unknown
        Names of layers with unknown weights between single pairs of units.
    some
        Whether a layer has more units than balls; lines to units without balls are not drawn, even if they are strong.
    """
    shown = [(links, count) for links, count in drawn if count]
    left_out = (TextRow(f"one grey line instead of weights: {listed(unknown)}", "quiet"),) if unknown else ()
    if not shown:
        return (Panel("links", "bottom-right", left_out),) if left_out else ()
    tops = [float(np.max(links.norm[np.isfinite(links.norm)])) for links, _ in shown]
    slices = any(links.numbers > 1 for links, _ in shown)
    what, joined = {
        "weight": ("weight", "a line for several weights: their norm, with the sign of their sum"),
        "contribution": ("weight × activation", "a line for several weights: the sum of their contributions"),
    }[ranking]
    count, total = sum(count for _, count in drawn), sum(links.total for links, _ in drawn)
    rows: list[Row] = [
        TextRow(f"line: {what}; the scale of two layers ends at {span_text(tops)}", "quiet"),
        ScaleRow(colormap(diverging), ((0.0, "−end"), (0.5, "0"), (1.0, "end"))),
        *([TextRow(joined, "quiet")] if slices else []),
        TextRow(f"{_chosen(count, total, some=some)}{weights_of_then(capture)}", "quiet"),
        *left_out,
    ]
    return (Panel("links", "bottom-right", tuple(rows)),)


def _chosen(count: int, total: int, *, some: bool) -> str:
    """Describe the choice of the drawn edges."""
    if count == total:
        return f"all {total:,} edges"
    return (
        f"{count:,} of {total:,} edges, the strongest between these balls"
        if some
        else f"the strongest {count:,} of {total:,} edges"
    )
