"""Places of the panels in the corners of a picture. Pure geometry in pixels, the origin at the lower left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnviz3d.render.label_placement import Rect
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Panel

MOST_OF_HEIGHT = 0.25
"""Maximum height of a panel, as a share of the picture's height."""
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
_MARGIN = 6.0
_SHADE = 28.0
"""Pixels of a panel's width that are its soft shadow, which may overlap the shadow of the next panel."""
_WIDEST = {"top-left": 0.70, "top-right": 0.27, "bottom-left": 0.5, "bottom-right": 0.46}
"""Maximum width of the panels of each corner, as a share of the picture's width."""
_NARROW = 720.0
"""Width of a picture, divided by its scale, below which each panel may take the whole width."""
_GAP = 14.0
"""Least distance of the panels at the left from those at the right, if they stand side by side."""
_LEAST = 220.0
"""Width of its rows to which a panel is narrowed at most, so that others have room beside it."""


@dataclass(frozen=True)
class PlacedPanel:
    """The place of a panel.

    Attributes
    ----------
    index
        Index of the panel.
    left, bottom
        Its lower left corner.
    rect
        What other text must not cover: the panel without its shadow.
    """

    index: int
    left: float
    bottom: float
    rect: Rect


def is_narrow(size: tuple[int, int], scale: float) -> bool:
    """Whether a picture is upright and so narrow that its panels are one above the other, all with text at the left."""
    return size[0] < min(_NARROW * scale, size[1])


def panel_widest(corner: str, beside: int, size: tuple[int, int], scale: float) -> float:
    """Return the maximum width of the rows of each of `beside` panels in a corner, in pixels."""
    margin, shade = _MARGIN * scale, _SHADE * scale
    if is_narrow(size, scale):
        return size[0] - 2 * margin - shade
    return min(_WIDEST[corner] * size[0] - margin, size[0] / beside - 2 * margin - shade)


def narrowed(panels: Sequence[tuple[str, tuple[int, int]]], size: tuple[int, int], scale: float) -> dict[int, float]:
    """Return the panels that must be narrower, so that those of an edge stand side by side, with their rows' widths.

    Panels at the left and at the right that are too wide together share the width: short ones keep theirs. If the others
    would be too narrow to read, none is narrowed.

    Parameters
    ----------
    panels
        As for `place_panels`.
    """
    found: dict[int, float] = {}
    for edge in () if is_narrow(size, scale) else ("top", "bottom"):
        own = {i: w for i, (corner, (w, _)) in enumerate(panels) if corner.startswith(edge)}
        if len({panels[i][0] for i in own}) < 2:
            continue
        left = size[0] - len(own) * _MARGIN * scale + (_SHADE - _GAP) * scale
        cut: dict[int, float] = {}
        for done, i in enumerate(sorted(own, key=own.__getitem__)):
            room = left / (len(own) - done)
            if own[i] > room:
                cut[i] = math.floor(room) - _SHADE * scale - 2
            left -= min(own[i], room)
        if all(width >= _LEAST * scale for width in cut.values()):
            found |= cut
    return found


def is_too_high(height: float, size: tuple[int, int]) -> bool:
    """Whether a panel is too high for the picture, so that it is left out and does not cover the scene."""
    return height > MOST_OF_HEIGHT * size[1]


def left_out_note(panels: Sequence[Panel], heights: Sequence[int], size: tuple[int, int]) -> Panel | None:
    """Return a panel that says how many panels are left out, in the corner of the first one; `None` if all are shown.

    Parameters
    ----------
    heights
        Height of each panel in pixels.
    """
    high = [panel for panel, height in zip(panels, heights, strict=True) if is_too_high(height, size)]
    if not high:
        return None
    text = f"{len(panels) - len(high)} of {len(panels)} legends are shown; a larger picture shows all"
    return Panel("left out", high[0].corner, (TextRow(text, "quiet"),))


def place_panels(
    panels: Sequence[tuple[str, tuple[int, int]]], size: tuple[int, int], scale: float
) -> list[PlacedPanel]:
    """Place the panels that are not too high.

    Panels of one corner are side by side, the first one outermost, in as many rows as needed. In a narrow upright picture
    they are one above the other.

    Parameters
    ----------
    panels
        Corner, and width and height in pixels.
    size
        Width and height of the picture.
    scale
        1 for a picture that is 720 pixels high.
    """
    shown = [(i, corner, w, h) for i, (corner, (w, h)) in enumerate(panels) if not is_too_high(h, size)]
    if is_narrow(size, scale):
        return _one_above_the_other(shown, size, scale)
    return _side_by_side(shown, size, scale)


def _one_above_the_other(
    panels: Sequence[tuple[int, str, int, int]], size: tuple[int, int], scale: float
) -> list[PlacedPanel]:
    margin = _MARGIN * scale
    found = []
    for edge in ("top", "bottom"):
        used = margin
        own = sorted((p for p in panels if p[1].startswith(edge)), key=lambda p: p[1].endswith("right"))
        for i, _, w, h in own:
            found.append(_placed(i, margin, size[1] - used - h if edge == "top" else used, (w, h), scale))
            used += h - _SHADE * scale / 2
    return found


def _side_by_side(
    panels: Sequence[tuple[int, str, int, int]], size: tuple[int, int], scale: float
) -> list[PlacedPanel]:
    width, height = size
    margin = _MARGIN * scale
    shelves = {corner: _shelves([p for p in panels if p[1] == corner], width, margin) for _, corner, _, _ in panels}
    across = {corner: max(sum(w + margin for _, _, w, _ in s) for s in found) for corner, found in shelves.items()}
    found = []
    for corner, rows in shelves.items():
        rise = margin
        other = corner.replace("right", "left")
        if other != corner and other in across and across[other] + across[corner] - (_SHADE - _GAP) * scale > width:
            rise += sum(max(h for *_, h in shelf) for shelf in shelves[other])
        for shelf in rows:
            tallest, offset = max(h for *_, h in shelf), margin
            for i, _, w, h in shelf:
                left = width - offset - w if corner.endswith("right") else offset
                bottom = height - rise - h if corner.startswith("top") else rise + tallest - h
                found.append(_placed(i, left, bottom, (w, h), scale))
                offset += w + margin
            rise += tallest
    return sorted(found, key=lambda one: one.index)


def _shelves(
    panels: Sequence[tuple[int, str, int, int]], width: int, margin: float
) -> list[list[tuple[int, str, int, int]]]:
    """Divide panels among rows that are not wider than a picture; a panel that is wider has a row of its own."""
    found: list[list[tuple[int, str, int, int]]] = []
    used = margin
    for panel in panels:
        if not found or used + panel[2] + margin > width:
            found.append([])
            used = margin
        found[-1].append(panel)
        used += panel[2] + margin
    return found


def _placed(index: int, left: float, bottom: float, extent: tuple[int, int], scale: float) -> PlacedPanel:
    shade = _SHADE * scale / 2
    return PlacedPanel(
        index, left, bottom, Rect(left + shade, bottom + shade, extent[0] - 2 * shade, extent[1] - 2 * shade)
    )
