"""The words of the nodes view: what the colours of balls and lines mean, and how many lines there are of how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnviz3d.scene.colors import Colormap, colormap, number
from nnviz3d.scene.links import Links
from nnviz3d.scene.primitives import Panel, Row, ScaleRow, TextRow

Scale = tuple[Colormap, tuple[float, float]]


def legend(
    scales: Mapping[str, Scale], drawn: Sequence[tuple[Links, int]], *, diverging: str, channels: bool
) -> tuple[Panel, ...]:
    """Return the scales of balls and lines.

    Parameters
    ----------
    scales
        Of each layer.
    drawn
        Of each pair of layers that weights join: what joins it, and how many lines are drawn.
    channels
        Whether some balls are channels.
    """
    what = "activation (of a channel its mean)" if channels else "activation"
    panels: list[Panel] = []
    for signed in sorted({limits[0] < 0 for _, limits in scales.values()}):
        alike = [(scale, limits[1]) for scale, limits in scales.values() if (limits[0] < 0) == signed]
        ticks = ((0.0, "≤ −m"), (0.5, "0"), (1.0, "≥ m")) if signed else ((0.0, "0"), (0.5, "m/2"), (1.0, "≥ m"))
        rows: list[Row] = [
            TextRow(f"ball: {what}, up to each layer's m: {_span([top for _, top in alike])}", "quiet"),
            ScaleRow(alike[0][0], ticks),
        ]
        panels.append(Panel(f"scale/{len(panels)}", "bottom-left", tuple(rows)))
    weighted = [(links, count) for links, count in drawn if count]
    if weighted:
        panels.append(Panel("links", "bottom-right", tuple(_of_lines(weighted, diverging))))
    return tuple(panels)


def _of_lines(drawn: Sequence[tuple[Links, int]], diverging: str) -> list[Row]:
    tops = [float(np.max(links.norm[np.isfinite(links.norm)])) for links, _ in drawn]
    slices = any(links.numbers > 1 for links, _ in drawn)
    what = "weight; of several, their norm, signed as their sum" if slices else "weight"
    rows: list[Row] = [
        TextRow(f"line: {what}, up to each pair's m: {_span(tops)}", "quiet"),
        ScaleRow(colormap(diverging), ((0.0, "−m"), (0.5, "0"), (1.0, "m"))),
    ]
    count, total = sum(count for _, count in drawn), sum(links.total for links, _ in drawn)
    rows.append(TextRow(f"the strongest {count:,} of {total:,} connections", "quiet"))
    return rows


def _span(tops: Sequence[float]) -> str:
    return number(tops[0]) if len(set(tops)) == 1 else f"{number(min(tops))} … {number(max(tops))}"
