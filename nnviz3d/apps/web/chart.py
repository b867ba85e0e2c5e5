"""Paths and axis labels of a small chart of a training, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.history import EPOCH_LOSS, PROGRESS, History
from nnviz3d.data.training_epochs import VALIDATION
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, categorical, colormap, number
from nnviz3d.scene.layout.ridges import Scale
from nnviz3d.scene.views.history import step_ticks

WIDTH, HEIGHT = 288, 150
"""Size of the chart, in pixels of the page."""
LEFT, RIGHT, _TOP, _BOTTOM = 42, 6, 6, 18
"""Margins of the chart, in pixels; the left and lower ones hold the axis labels."""
_POINTS = 6000
"""Most columns of all lines together, so that the page stays small."""
_COLUMNS = (60, 240)
"""Least and most columns of a line; at most one for each pixel."""
_MARK = 5
"""Height in pixels of the marks of values that are not finite: NaN at the bottom, infinite values at the top."""
_DOT = 2.0
"""Radius in pixels of the dots of numbers of the validation data."""
_MOST_DOTS = 60
"""With more ends of epochs than this, only the dashes tell a line of the validation data."""


def columns(lines: int) -> int:
    """Return the number of columns of each line, if there are so many lines."""
    low, high = _COLUMNS
    return max(low, min(high, _POINTS // max(lines, 1)))


def x_of(found: History, step: int) -> float:
    """Return the horizontal position of a step, in pixels from the left edge of the chart."""
    return float(_across(found, np.array([step]))[0])


def chart_of(found: History, other_name: str = "") -> dict[str, Any]:
    """Return the paths and labels of a chart.

    Parameters
    ----------
    other_name
        Name of the other training of the history, if it has one; its lines have this name behind theirs.

    Returns
    -------
    ``lines``: each with its ``name``, whether it belongs to a ``layer``, its ``color`` (the first layer is dark, the last
    one bright), its path ``d``, and the paths and colours of values that are not finite, ``odd``. A line of the validation
    data is ``dashed``, has the path of its ``dots`` at the ends of epochs, and the colour of the training's metric. A line
    of another training is ``dotted``, and has a colour of its own.
    ``across`` and ``up``: positions and texts of the labels along the axes.
    """
    scale = Scale.of(found, None)
    lines = _with_validation(found, scale, dict(zip(found.names, _colors(found), strict=True)))
    if found.other is not None:
        taken = len(found.names) + 3
        paints = map(_css, categorical(taken + len(found.other.names))[taken:])
        others = _with_validation(found.other, scale, dict(zip(found.other.names, paints, strict=True)))
        lines += [{**line, "name": f"{line['name']} · {other_name}", "dotted": True} for line in others]
    return {
        "lines": lines,
        "across": [[x_of(found, step), f"{step:,}"] for step in step_ticks(found.first, found.last, 4)],
        "up": [[float(_down(scale, np.array([tick]))[0]), number(tick)] for tick in scale.ticks],
    }


def _with_validation(found: History, scale: Scale, colors: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the lines of a history, and those of its validation data."""
    lines = _lines(found, scale, colors, dashed=False)
    if found.validation is not None:
        lines += _lines(found.validation, scale, _validation_colors(found.validation.names, colors), dashed=True)
    return lines


def _lines(found: History, scale: Scale, colors: Mapping[str, str], *, dashed: bool) -> list[dict[str, Any]]:
    x = _across(found, found.at)
    low, high = (_down(scale, values) for values in (found.low, found.high))
    lines = []
    for k, name in enumerate(found.names):
        odd = [
            {"color": _css(paint), "d": "".join(f"M{at:.1f} {y}v{_MARK}" for at in x[where[k]])}
            for where, paint, y in (
                (found.nan, NAN_COLOR, HEIGHT - _BOTTOM - _MARK),
                (found.infinite, INF_COLOR, _TOP),
            )
            if where[k].any()
        ]
        line = {"name": name, "layer": found.statistic != PROGRESS, "color": colors[name], "odd": odd}
        line |= {"d": _path(x, low[k], high[k], found.joined[k]), "dashed": dashed, "dotted": False}
        line["dots"] = _dots(x, high[k]) if dashed and len(x) <= _MOST_DOTS else ""
        lines.append(line)
    return lines


def _dots(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return the path of a dot at each number."""
    r, known = _DOT, np.flatnonzero(np.isfinite(y))
    return "".join(f"M{x[j] - r:.1f} {y[j]:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0" for j in known)


def _across(found: History, steps: NDArray[Any]) -> NDArray[np.float64]:
    share = (steps - found.first) / max(found.last - found.first, 1)
    return np.asarray(LEFT + share * (WIDTH - LEFT - RIGHT))


def _down(scale: Scale, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(HEIGHT - _BOTTOM - scale.share(values) * (HEIGHT - _BOTTOM - _TOP))


def _path(
    x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], joined: NDArray[np.bool_]
) -> str:
    """Return a line through all columns with numbers, with the range of each column; a single column is a dash."""
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


def _validation_colors(names: Sequence[str], colors: Mapping[str, str]) -> Mapping[str, str]:
    """Give each metric of the validation data the colour of the training's metric that it is compared with."""
    found = {}
    for name in names:
        own = name.removeprefix(VALIDATION)
        own = EPOCH_LOSS if own == "loss" and EPOCH_LOSS in colors else own
        found[name] = colors.get(own, "var(--faint)")
    return found


def _css(color: Sequence[float] | NDArray[np.float64]) -> str:
    return f"rgb({', '.join(str(round(255 * float(c))) for c in color)})"
