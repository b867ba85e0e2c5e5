"""Charts in two dimensions: the curves of a training, and the points of an embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.structure_figure import INK, QUIET
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.panel_rows import SwatchRow, TextRow
from nnviz3d.scene.primitives import Panel, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.history import WORDS, HistorySpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

_MOST_NAMED = 24
"""Maximum number of lines that a legend names one by one."""
_WITHIN = (0.01, 0.01, 0.98, 0.98)
"""Part of the page that a chart and its text take: left, bottom, width and height."""
_FROM_THE_FRONT = "from the front: the depth is not shown"
_COLORS = ("#d9541e", "#2f6fd0", "#2e8b57", "#8e44ad", "#b8860b", "#128a91")


def curves_figure(training: Training, scene: Scene, selection: Selection) -> Figure:
    """Draw loss, metrics and learning rate over the steps; with a history in the scene, its statistic of each layer too."""
    from matplotlib.figure import Figure

    groups = _groups(training)
    history = next((view for view in scene.spec.views if isinstance(view, HistorySpec)), None)
    rows = len(groups) + (history is not None)
    figure = Figure(figsize=(10, 1.2 + 2.5 * rows), layout=_layout())
    plots = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    steps, ends = training.steps, training.epoch_ends
    validated = ends.validation
    for plot, (title, lines) in zip(plots, groups.items(), strict=False):
        for (name, values), color in zip(lines.items(), _cycled(len(lines)), strict=True):
            dashed = {"linestyle": "--", "marker": "o", "markersize": 3.0} if name in validated else {}
            at = ends.steps if name in validated else training.steps
            plot.plot(at, values, color=color, linewidth=1.4, label=_plain(name), **dashed)
        _finish(plot, title, len(lines))
    if history is not None:
        statistic = selection.statistic or history.statistic
        figures = training.statistic(statistic)
        shown = [k for k in range(figures.shape[1]) if np.isfinite(figures[:, k]).any()]
        table = colormap("viridis").table[np.linspace(0, 225, max(len(shown), 1)).astype(int)] / 255
        for k, color in zip(shown, table, strict=False):
            plots[-1].plot(steps, figures[:, k], color=color, linewidth=1.2, label=_plain(training.layers[k]))
        spread = figures[np.isfinite(figures) & (figures > 0)]
        if history.scale == "log" or (history.scale is None and spread.size and spread.max() > 10 * spread.min()):
            plots[-1].set_yscale("log")
        _finish(plots[-1], WORDS[statistic], len(shown))
    plots[-1].set_xlabel("training step", color=INK)
    figure.suptitle(scene.title(selection.sample), color=INK, fontweight="bold", parse_math=False)
    if len(steps) < 2:
        for plot in plots:
            plot.margins(0.1)
    return figure


def scatter_figure(cloud: Points, scene: Scene, selection: Selection) -> Figure:
    """Draw an embedding from the front, as it lies in the scene: in the plane in which it is widest."""
    from matplotlib.figure import Figure

    drawn = scene.at(scene.first_time, selection).primitives
    panels = {one.name: one.rows for one in drawn if isinstance(one, Panel)}
    figure = Figure(figsize=(10, 8), layout=_layout())
    plot = figure.subplots()
    rings = np.zeros((len(cloud.points), 4)) if cloud.rings is None else cloud.rings
    ringed = rings[:, 3] > 0
    order = np.argsort(ringed, kind="stable")  # those with a ring in front
    colors = _on_white(cloud.colors[:, :3])
    x, y = cloud.points[order, 0], cloud.points[order, 1]
    edges = np.where(ringed[:, np.newaxis], _on_white(rings[:, :3]), 1.0)
    sizes = np.where(ringed, 55, 26)[order]
    widths = np.where(ringed, 1.6, 0.3)[order].tolist()
    plot.scatter(x, y, s=sizes, c=colors[order], edgecolors=edges[order], linewidths=widths)
    plot.set_aspect("equal")
    plot.set(xticks=[], yticks=[])
    for spine in plot.spines.values():
        spine.set_color("#c9ced6")
    _name_classes(plot, panels.get("embedding", ()))
    words = [_wrapped(row.text) for row in panels.get("title", ()) if isinstance(row, TextRow)]
    figure.suptitle("\n".join(words[:3]), fontsize=10, color=INK, parse_math=False)
    return figure


def _layout() -> ConstrainedLayoutEngine:
    """Return a layout with a margin around all text."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return ConstrainedLayoutEngine(rect=_WITHIN)


def _name_classes(plot: Plot, rows: Any) -> None:
    """Add the legend of the classes, and the words below it."""
    from matplotlib.lines import Line2D

    swatches = [one for row in rows if isinstance(row, SwatchRow) for one in row.swatches]
    handles = []
    for color, text in swatches:
        paint, label = _on_white(np.array([color]))[0], _plain(text.replace("  ", ": "))
        handles.append(Line2D([], [], marker="o", linestyle="", color=paint, label=label))
    if handles:
        legend = plot.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        for entry in legend.get_texts():
            entry.set(parse_math=False, color=INK)
    words = [*(row.text for row in rows if isinstance(row, TextRow)), _FROM_THE_FRONT]
    plot.set_xlabel("\n".join(words), color=QUIET, fontsize=9, parse_math=False)


def _groups(training: Training) -> Mapping[str, Mapping[str, NDArray[np.float64]]]:
    """Return the curves with numbers by what they share a plot for: a metric and its validation, the loss first."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    own = {"loss": training.loss, **training.metrics, "learning rate": training.learning_rate}
    curves = {**own, **training.epoch_ends.validation}
    for name, values in curves.items():
        finite = values[np.isfinite(values)]
        constant = name == "learning rate" and finite.size and np.ptp(finite) == 0
        if finite.size and not constant:
            found.setdefault(name.removeprefix("val_"), {})[name] = values
    return found or {"loss": {"loss": training.loss}}


def _finish(plot: Plot, title: str, lines: int) -> None:
    plot.set_ylabel(title.replace("_", " "), color=INK, parse_math=False)
    plot.grid(visible=True, color="#e6e9ee", linewidth=0.7)
    plot.tick_params(colors=QUIET)
    for side, spine in plot.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9aa3b0")
    if 1 < lines <= _MOST_NAMED:
        legend = plot.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
        for text in legend.get_texts():
            text.set(parse_math=False, color=INK)


def _cycled(count: int) -> list[str]:
    return [_COLORS[k % len(_COLORS)] for k in range(count)]


def _plain(text: str) -> str:
    """Return a name for a legend, which would leave out names with an underscore at the beginning."""
    return f"\u200b{text}" if text.startswith("_") else text


def _wrapped(text: str, width: int = 110) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def _on_white(colors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Darken light colours, ``(n, 3)``, so that they are seen on white."""
    light = colors @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(np.clip(colors * np.minimum(1.0, 0.62 / np.maximum(light, 1e-6))[:, np.newaxis], 0, 1))
