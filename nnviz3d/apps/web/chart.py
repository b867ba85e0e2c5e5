"""Draws what went over a training as the paths of a small chart: lines, numbers along both axes, and where a step is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.history import PROGRESS, History
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, categorical, colormap, number
from nnviz3d.scene.layout.ridges import Scale
from nnviz3d.scene.views.history import step_ticks

WIDTH, HEIGHT = 288, 150
"""Of the chart, in pixels of the page."""
LEFT, RIGHT, _TOP, _BOTTOM = 42, 6, 6, 18
"""What its edges leave to the numbers."""
_POINTS = 6000
"""Columns of all lines together at most, so that a page has little to read."""
_COLUMNS = (60, 240)
"""Columns of a line: at least, and at most, one for each pixel."""
_MARK = 5
"""Height of the marks of what is not finite: NaN at the foot, infinite ones at the top."""


def columns(lines: int) -> int:
    """Say how many columns each of some lines may have."""
    low, high = _COLUMNS
    return max(low, min(high, _POINTS // max(lines, 1)))


def place_of(found: History, step: int) -> float:
    """Return where a step is along the chart, in pixels from its left edge."""
    return float(_across(found, np.array([step]))[0])


def chart_of(found: History) -> dict[str, Any]:
    """Draw a chart.

    Returns
    -------
    ``lines``: each with its ``name``, whether that is a ``layer``'s, a ``color``, the path ``d``, and paths and colours
    of what is not finite, ``odd``; the first layer is dark and the last one bright. ``across`` and ``up``: places and
    words of the numbers along the axes.
    """
    scale = Scale.of(found, None)
    x = _across(found, found.at)
    low, high = (_down(scale, values) for values in (found.low, found.high))
    lines = []
    for k, (name, color) in enumerate(zip(found.names, _colors(found), strict=True)):
        odd = [
            {"color": _css(paint), "d": "".join(f"M{at:.1f} {y}v{_MARK}" for at in x[where[k]])}
            for where, paint, y in (
                (found.nan, NAN_COLOR, HEIGHT - _BOTTOM - _MARK),
                (found.infinite, INF_COLOR, _TOP),
            )
            if where[k].any()
        ]
        path = _path(x, low[k], high[k], found.joined[k])
        lines.append({"name": name, "layer": found.statistic != PROGRESS, "color": color, "d": path, "odd": odd})
    return {
        "lines": lines,
        "across": [[place_of(found, step), f"{step:,}"] for step in step_ticks(found.first, found.last, 4)],
        "up": [[float(_down(scale, np.array([tick]))[0]), number(tick)] for tick in scale.ticks],
    }


def _across(found: History, steps: NDArray[Any]) -> NDArray[np.float64]:
    share = (steps - found.first) / max(found.last - found.first, 1)
    return np.asarray(LEFT + share * (WIDTH - LEFT - RIGHT))


def _down(scale: Scale, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(HEIGHT - _BOTTOM - scale.share(values) * (HEIGHT - _BOTTOM - _TOP))


def _path(
    x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], joined: NDArray[np.bool_]
) -> str:
    """Draw a line through all columns with numbers, up and down where one has several; a lone one is a dash."""
    parts: list[str] = []
    for j in np.flatnonzero(np.isfinite(low)):
        begins = j == 0 or not joined[j - 1]
        ends = j == len(x) - 1 or not joined[j]
        if begins and ends:
            parts.append(f"M{x[j] - 1:.1f} {high[j]:.1f}h2")
        else:
            parts.append(f"{'M' if begins else 'L'}{x[j]:.1f} {high[j]:.1f}")
        if low[j] != high[j]:
            parts.append(f"M{x[j]:.1f} {high[j]:.1f}V{low[j]:.1f}" if ends and begins else f"V{low[j]:.1f}")
    return "".join(parts)


def _colors(found: History) -> Sequence[str]:
    count = len(found.names)
    if found.statistic == PROGRESS:
        return ["var(--ember)", *(_css(color) for color in categorical(count + 3)[3:])][:count]
    table = colormap("plasma").table[np.linspace(60, 240, count).astype(int)] / 255
    return [_css(color) for color in table]


def _css(color: Sequence[float] | NDArray[np.float64]) -> str:
    return f"rgb({', '.join(str(round(255 * float(c))) for c in color)})"
