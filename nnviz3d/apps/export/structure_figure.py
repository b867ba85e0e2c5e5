"""The structure of a network as vector graphics: bodies, edges and names, as they are laid out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.faces import LIGHT
from nnviz3d.apps.export.flat_labels import projection
from nnviz3d.apps.export.solids import CORNERS, SIDES
from nnviz3d.render.label_placement import PlacedLabel, Rect, corners_of, line_map, outlines, place_labels, project
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.panel_rows import Row, SwatchRow, TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Lines, Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas
    from matplotlib.figure import Figure

_HEIGHTS = (720, 900, 1080, 1440, 1800, 2160, 2880)
"""Heights of the picture that are tried, until all names have room. A vector picture has no resolution to spare."""
_MORE = 1.3
"""How much larger than needed for all names a picture may be, so that kinds and shapes have room too."""
_ASPECT = 16 / 9
Size = tuple[int, int]
"""Width and height of the picture."""
_NAME, _DETAIL, _TITLE = 12.0, 9.5, 19.0
"""Sizes of the text."""
_PAD = 3.0
"""Free distance around a name."""
_ROWS = 3
"""Number of rows of names above and below blocks that are closer together than their names are wide."""
_MARGIN = 0.15
"""Share of a block's outline at each side that a name of another block may reach into."""
_EDGE = 24.0
"""Distance of titles and legends from the edge."""
INK, QUIET, PAPER = "#12161f", "#5b6472", "white"
"""Colours of names, of other words, and of the background."""
_ROUTE = 0.72
"""Brightness of edges relative to the picture's, which is dark."""


def structure_figure(scene: Scene, selection: Selection) -> Figure:
    """Draw the structure of a scene's network on white."""
    spec = scene.spec.model_copy(update={"views": (), "camera": scene.spec.camera.model_copy(update={"keyframes": ()})})
    plain = Scene.build(spec.with_view("structure"), scene.capture, aspect=_ASPECT, opened=scene.context.opened)
    drawn = plain.at(plain.duration, Selection(selection.sample)).primitives
    pose = plain.overview(aspect=_ASPECT)
    # The names of all layers come before the kind and the shape of any.
    labels = [replace(label, brief=True) for one in drawn if isinstance(one, Labels) for label in one.labels]
    lines = [one for one in drawn if isinstance(one, Lines)]
    panels: dict[str, Sequence[Row]] = {one.corner: one.rows for one in drawn if isinstance(one, Panel)}
    sizes = [(round(height * _ASPECT), height) for height in _HEIGHTS]
    size, placed = _roomy(sizes, labels, lambda size: _placed(labels, lines, pose, size, panels))
    figure, canvas = _blank(size)
    _draw_lines(canvas, lines, pose, size)
    _draw_bodies(canvas, [one for one in drawn if isinstance(one, Box)], pose, size)
    for one in placed:
        _draw_label(canvas, one)
    _draw_rows(canvas, panels.get("top-left", ()), _EDGE, size[1] - _EDGE)
    legend = panels.get("bottom-left", ())
    _draw_rows(canvas, legend, _EDGE, _EDGE + _height_of(legend))
    return figure


def _roomy(
    sizes: Sequence[Size], labels: Sequence[Label], place: Callable[[Size], list[PlacedLabel]]
) -> tuple[Size, list[PlacedLabel]]:
    """Return the smallest size in which all labels have room, or a little more if more of their lines have room then."""
    wanted = sum(len(label.lines) for label in labels)
    found: list[tuple[int, Size, list[PlacedLabel]]] = []
    enough = math.inf
    for size in sizes:
        if size[1] > enough:
            break
        placed = place(size)
        if len(placed) == len(labels):
            enough = min(enough, _MORE * size[1])
        found.append((sum(len(one.lines) for one in placed), size, placed))
        if found[-1][0] == wanted:
            break
    _, size, placed = max(found, key=lambda one: one[0])
    return size, placed


def write_text(canvas: Canvas, x: float, y: float, text: str, size: float, color: str, **more: Any) -> None:
    """Write a text as it is, whatever its characters."""
    canvas.text(x, y, text, fontsize=size * 0.72, color=color, parse_math=False, **more)


def _blank(size: tuple[int, int]) -> tuple[Figure, Canvas]:
    """Make an empty picture with pixels as coordinates, counted from the lower left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor=PAPER)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, size[0]), ylim=(0, size[1]))
    canvas.set_axis_off()
    return figure, canvas


@cache
def _font(size: float, *, bold: bool) -> Any:
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold" if bold else "DejaVuSans"
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", size)


def _width(text: str, size: float, *, bold: bool = False) -> float:
    return float(_font(size, bold=bold).getlength(text))


def _measure(label: Label, shown: tuple[str, ...]) -> tuple[int, int]:
    """Return width and height of a label with these lines."""
    widths = [_width(line, _DETAIL if k else _NAME, bold=not k) for k, line in enumerate(shown)]
    height = _NAME * 1.35 + (len(shown) - 1) * _DETAIL * 1.4
    return math.ceil(max(widths) + 2 * _PAD), math.ceil(height + 2 * _PAD)


def _placed(
    labels: Sequence[Label],
    lines: Sequence[Lines],
    pose: CameraPose,
    size: tuple[int, int],
    panels: dict[str, Sequence[Row]],
) -> list[PlacedLabel]:
    matrix = projection(pose, _ASPECT)
    title, legend = panels.get("top-left", ()), panels.get("bottom-left", ())
    taken = [
        Rect(0, size[1] - _EDGE - _height_of(title), _width_of(title), _EDGE + _height_of(title)),
        Rect(0, 0, _width_of(legend), _EDGE + _height_of(legend)),
    ]
    ways = line_map([one.points for one in lines if one.avoided], matrix, size)
    around = outlines(corners_of(labels), matrix, size)
    found = place_labels(LabelWays(labels, _measure), around, size, 1.0, taken, ways)
    bodies = [Rect(x, y, right - x, top - y) for x, y, right, top in _inner(around)]
    return _staggered(labels, around, found, [*taken, *bodies], size)


def _staggered(
    labels: Sequence[Label],
    around: NDArray[np.float64],
    found: Sequence[PlacedLabel],
    taken: Sequence[Rect],
    size: Size,
) -> list[PlacedLabel]:
    """Return the placed labels, and the names that have room in the first three rows below and above their blocks."""
    shown = list(found)
    for k in sorted({*range(len(labels))} - {one.index for one in found}):
        lines = labels[k].lines[:1]
        width, height = _measure(labels[k], lines)
        left = (around[k, 0] + around[k, 2] - width) / 2
        rows = range(_ROWS)
        bottoms = [place for n in rows for place in (around[k, 1] - (n + 1) * height, around[k, 3] + n * height)]
        for bottom in bottoms:
            rect = Rect(left, bottom, width, height)
            inside = left >= 0 and bottom >= 0 and left + width <= size[0] and bottom + height <= size[1]
            if inside and not any(rect.overlaps(other) for other in (*taken, *(one.rect for one in shown))):
                shown.append(PlacedLabel(k, lines, rect))
                break
    return shown


def _inner(outlines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle parts of outlines, ``(n, 4)``, which no name of another block may cover."""
    trim = _MARGIN * (outlines[:, 2:] - outlines[:, :2])
    return np.concatenate([outlines[:, :2] + trim, outlines[:, 2:] - trim], axis=1)


def _draw_lines(canvas: Canvas, lines: Sequence[Lines], pose: CameraPose, size: tuple[int, int]) -> None:
    from matplotlib.collections import LineCollection

    matrix = projection(pose, _ASPECT)
    for one in lines:
        seen = project(one.points.reshape(-1, 3).astype(np.float64), matrix, size).reshape(*one.points.shape[:2], 2)
        colors = one.colors.astype(np.float64)
        colors[:, :3] *= _ROUTE
        colors[:, 3] = 1.0
        canvas.add_collection(
            LineCollection(list(seen), colors=colors, linewidths=one.width, capstyle="round", zorder=1)
        )


def _draw_bodies(canvas: Canvas, boxes: Sequence[Box], pose: CameraPose, size: tuple[int, int]) -> None:
    """Draw the faces of boxes that are turned to the eye, the farthest boxes first."""
    from matplotlib.collections import PolyCollection

    matrix, eye = projection(pose, _ASPECT), np.array(pose.position)
    order = sorted(boxes, key=lambda one: -float(np.linalg.norm(np.array(one.origin) + np.array(one.size) / 2 - eye)))
    polygons: list[NDArray[np.float64]] = []
    fills, edges = [], []
    for box in order:
        low, extent = np.array(box.origin), np.array(box.size)
        seen = project(low + CORNERS.astype(np.float64) * extent, matrix, size)
        for side, corners in enumerate(SIDES):
            axis, up = divmod(side, 2)
            if eye[axis] > low[axis] + extent[axis] if up else eye[axis] < low[axis]:
                polygons.append(seen[corners])
                fills.append(np.array(box.color) * LIGHT[side])
                edges.append(np.array(box.color) * 0.5)
    canvas.add_collection(
        PolyCollection(polygons, facecolors=fills, edgecolors=edges, linewidths=0.6, joinstyle="round", zorder=2)
    )


def _draw_label(canvas: Canvas, one: PlacedLabel) -> None:
    middle = one.rect.left + one.rect.width / 2
    y = one.rect.bottom + one.rect.height - _PAD
    for k, line in enumerate(one.lines):
        size = _DETAIL if k else _NAME
        y -= size * (1.4 if k else 1.35)
        weight = "normal" if k else "bold"
        write_text(canvas, middle, y + 0.35 * size, line, size, QUIET if k else INK, ha="center", weight=weight)


def _size_of(row: Row) -> float:
    return _TITLE if isinstance(row, TextRow) and row.style == "title" else _NAME


def _height_of(rows: Sequence[Row]) -> float:
    return sum(_size_of(row) * 1.6 for row in rows)


def _width_of(rows: Sequence[Row]) -> float:
    """Return the distance of the end of rows from the left edge of the picture."""
    widths = [_width(row.text, _size_of(row)) for row in rows if isinstance(row, TextRow)]
    widths += [
        sum(_width(text, _NAME) + 2.2 * _NAME for _, text in row.swatches) for row in rows if isinstance(row, SwatchRow)
    ]
    return _EDGE + max(widths, default=0.0)


def _draw_rows(canvas: Canvas, rows: Sequence[Row], left: float, top: float) -> None:
    """Draw rows of text and of colours with their meanings, from the top down."""
    from matplotlib.patches import Rectangle

    y = top
    for row in rows:
        size = _size_of(row)
        y -= size * 1.6
        if isinstance(row, TextRow):
            weight = "bold" if row.style == "title" else "normal"
            write_text(
                canvas, left, y + 0.4 * size, row.text, size, QUIET if row.style == "quiet" else INK, weight=weight
            )
        elif isinstance(row, SwatchRow):
            x = left
            for color, text in row.swatches:
                canvas.add_patch(Rectangle((x, y + 0.3 * size), 0.8 * size, 0.8 * size, facecolor=color, linewidth=0))
                write_text(canvas, x + 1.2 * size, y + 0.4 * size, text, size, INK)
                x += _width(text, size) + 2.2 * size
