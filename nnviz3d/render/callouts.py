"""Placement of brackets around marked cells, of the callout's words beside them, and of boards in front of the scene.

Pure geometry in pixels, the origin at the lower left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nnviz3d.render.label_placement import Rect, project
from nnviz3d.render.text import PlacedSprite, Sprite, board_sprite
from nnviz3d.scene.primitives import Callout, Panel, Span

_ARM = 7.0
"""Length of a bracket's arm, in pixels of a picture that is 720 pixels high, like all sizes here."""
_STROKE = 1.8
_SMALLEST = 15.0
"""Minimum width and height inside the brackets: a cell may be smaller than a pixel."""
_AIR = 3.0
"""Distance between a mark and its brackets."""
_OFFSET = 12.0
"""Distance between the brackets and the words."""
_WIDEST = 0.9
"""Maximum width of words and boards, as a share of the picture's width."""
_CAPTION = 760.0
"""Maximum width of a caption: a line of some 90 characters can still be read at a glance."""
_COVERED = 60.0
"""Cost of words that cover blocks completely, where 1 is the cost of the next entry in the list of sides."""
_INK = (255, 255, 255, 255)
_SHADOW = (4, 6, 10, 200)
_UNIT = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_FINE = 8
"""Interpolated points for each segment of a path on the screen."""
_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Sides of a mark where the words may stand, the best first: 1 for right or above, -1 for left or below."""
_FARTHER = (1.0, 3.0, 7.0)
"""Distances from the mark, as multiples of the usual offset."""


@dataclass(frozen=True)
class PlacedCallout:
    """Outlines of a callout's marks on the screen, and of its words; `None` if the marked cells are out of sight."""

    marks: tuple[Rect, ...]
    words: Rect | None


def callout_places(
    callouts: Sequence[Callout],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    scale: float,
    occupied: list[Rect],
    blocks: NDArray[np.float64],
) -> list[PlacedSprite]:
    """Place the brackets and words of callouts; adds the rectangles of the words to `occupied`.

    Parameters
    ----------
    matrix
        ``(4, 4)``: world to clip coordinates.
    size
        Width and height of the picture.
    scale
        1 for a picture that is 720 pixels high.
    occupied
        Rectangles that words should not cover.
    blocks
        ``(n, 4)``: left, bottom, right and top of the blocks, which words cover only if no other place is free; NaN
        for a block that is out of sight.
    """
    found: list[PlacedSprite] = []
    for callout in callouts:
        words = board_sprite(callout.rows, scale, _WIDEST * size[0])
        placed = place_callout(callout, matrix, size, scale, (words.shape[1], words.shape[0]), occupied, blocks)
        for mark in placed.marks:
            found.extend(corners_of(mark, scale))
        if placed.words is not None:
            found.append(PlacedSprite(words, placed.words.left, placed.words.bottom))
            occupied.append(placed.words)
    return found


def board_places(
    panels: Sequence[Panel],
    size: tuple[int, int],
    scale: float,
    occupied: list[Rect],
    marked: float | None = None,
) -> list[PlacedSprite]:
    """Place the boards: in the middle, at a side, or at the lowest place where they cover nothing `occupied`.

    The rectangles of captions and of boards at a side are added to `occupied`, so that labels and callouts keep clear of
    them.

    Parameters
    ----------
    marked
        Where marks are, in pixels from the left: boards at a side are at the other one; without marks at the right.
    """
    found: list[PlacedSprite] = []
    for panel in panels:
        caption = panel.corner == "caption"
        widest = min(_WIDEST * size[0], _CAPTION * scale) if caption else _WIDEST * size[0]
        sprite = board_sprite(panel.rows, scale, widest, size[1])
        height, width = sprite.shape[:2]
        rect = Rect((size[0] - width) // 2, (size[1] - height) // 2, width, height)
        if panel.corner == "side":
            free, margin = size[0] - width, round(_OFFSET * scale)
            rect = replace(rect, left=margin if marked is not None and marked > size[0] / 2 else free - margin)
        if panel.corner in ("bottom", "caption"):
            rect = replace(rect, bottom=round(_OFFSET * scale))
            while blocking := [other for other in occupied if rect.overlaps(other)]:
                rect = replace(rect, bottom=math.ceil(max(other.bottom + other.height for other in blocking)))
        if caption or panel.corner == "side":
            occupied.append(rect)
        found.append(PlacedSprite(sprite, rect.left, rect.bottom))
    return found


def marked_at(
    callouts: Sequence[Callout], matrix: NDArray[np.float64], size: tuple[int, int], scale: float
) -> float | None:
    """Return where the marks of callouts are, in pixels from the left; `None` without marks."""
    rects = [rect for callout in callouts for rect in _outlines(callout.marks, matrix, size, scale)]
    return sum(rect.left + rect.width / 2 for rect in rects) / len(rects) if rects else None


def place_callout(
    callout: Callout,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    scale: float,
    words: tuple[int, int],
    occupied: Sequence[Rect],
    blocks: NDArray[np.float64],
) -> PlacedCallout:
    """Find the place of a callout's words: beside the marks, inside the picture, where they cover the least.

    Parameters
    ----------
    matrix
        ``(4, 4)``: world to clip coordinates.
    size
        Width and height of the picture.
    words
        Width and height of the words.
    occupied
        Rectangles that the words should not cover.
    blocks
        ``(n, 4)``: left, bottom, right and top of the blocks, which the words cover only if no other place is free.
    """
    marks = tuple(_outlines(callout.marks, matrix, size, scale))
    path = _fine(project(callout.path.astype(np.float64), matrix, size))
    beside = _middle(path, size)
    if beside is None:
        beside = marks[0] if marks else None
    if beside is None or not beside.overlaps(Rect(0, 0, *size)):
        return PlacedCallout(marks, None)
    width, height = words
    best: tuple[float, Rect] | None = None
    for rank, (rect, farther) in enumerate(_places(beside, width, height, scale)):
        inside = Rect(*_within(rect, size), width, height)
        moved = abs(inside.left - rect.left) + abs(inside.bottom - rect.bottom)
        cost = rank + 10 * farther + 2 * moved / scale
        cost += 1000 * sum(inside.overlaps(mark) for mark in marks)
        cost += 200 * sum(inside.overlaps(other) for other in occupied)
        cost += 5 * int(np.count_nonzero(_covered(path, inside)))
        cost += _COVERED * _share_covered(inside, blocks)
        if best is None or cost < best[0]:
            best = cost, inside
    return PlacedCallout(marks, None if best is None else best[1])


def corners_of(mark: Rect, scale: float) -> Iterator[PlacedSprite]:
    """Yield the four brackets around a mark."""
    sprites = _brackets(scale)
    side = sprites[0].shape[0]
    right, top = mark.left + mark.width - side, mark.bottom + mark.height - side
    places = ((mark.left, top), (right, top), (mark.left, mark.bottom), (right, mark.bottom))
    yield from (PlacedSprite(sprite, *place) for sprite, place in zip(sprites, places, strict=True))


@cache
def _brackets(scale: float) -> tuple[Sprite, ...]:
    """Draw the corners: upper left, upper right, lower left, lower right."""
    side, stroke = max(4, round(_ARM * scale)), max(1, round(_STROKE * scale))
    edge = max(1, round(0.7 * scale))
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    thick = stroke + 2 * edge - 1
    draw.rectangle((0, 0, side - 1, thick), fill=_SHADOW)
    draw.rectangle((0, 0, thick, side - 1), fill=_SHADOW)
    draw.rectangle((edge, edge, side - 1 - edge, edge + stroke - 1), fill=_INK)
    draw.rectangle((edge, edge, edge + stroke - 1, side - 1 - edge), fill=_INK)
    first = np.asarray(canvas)
    # Contiguous copies that are made once: the renderer recognizes a sprite by its identity.
    return tuple(np.ascontiguousarray(s) for s in (first, first[:, ::-1], first[::-1], first[::-1, ::-1]))


def _outlines(
    marks: Sequence[Span], matrix: NDArray[np.float64], size: tuple[int, int], scale: float
) -> Iterator[Rect]:
    """Yield the rectangle on the screen that encloses each mark, except for marks behind the camera."""
    for mark in marks:
        corners = project(np.array(mark.origin) + _UNIT * np.array(mark.size), matrix, size)
        if not np.isfinite(corners).all():
            continue
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        air, least = _AIR * scale, _SMALLEST * scale
        width, height = max(right - left + 2 * air, least), max(top - bottom + 2 * air, least)
        yield Rect(float(left + right - width) / 2, float(bottom + top - height) / 2, float(width), float(height))


def _fine(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate a polyline, ``(n, 2)``, so densely that a rectangle of words cannot lie on it unnoticed."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return points
    at = np.linspace(0, len(points) - 1, _FINE * len(points))
    return np.stack([np.interp(at, np.arange(len(points)), points[:, k]) for k in (0, 1)], axis=1)


def _middle(path: NDArray[np.float64], size: tuple[int, int]) -> Rect | None:
    """Return the middle of the part of a path that is in the picture; `None` if no part is."""
    seen = path[((path >= 0) & (path <= np.array(size))).all(axis=1)]
    if not len(seen):
        return None
    x, y = seen[len(seen) // 2]
    return Rect(float(x), float(y), 1.0, 1.0)


def _places(beside: Rect, width: float, height: float, scale: float) -> Iterator[tuple[Rect, float]]:
    """Yield the possible rectangles of the words, the best first, each with its distance from `_FARTHER`."""
    for farther in _FARTHER:
        offset = _OFFSET * scale * farther
        for right, up in _SIDES:
            x = beside.left + (beside.width - width) / 2 + right * ((beside.width + width) / 2 + offset)
            y = beside.bottom + (beside.height - height) / 2
            y += up * ((beside.height + height) / 2 + (offset if right == 0 else -beside.height / 2))
            yield Rect(round(x), round(y), width, height), farther


def _within(rect: Rect, size: tuple[int, int]) -> tuple[float, float]:
    """Return the lower left corner of a rectangle that is moved into the picture."""
    return (
        max(0.0, min(rect.left, size[0] - rect.width)),
        max(0.0, min(rect.bottom, size[1] - rect.height)),
    )


def _share_covered(rect: Rect, blocks: NDArray[np.float64]) -> float:
    """Return the share of a rectangle's area that lies on blocks."""
    right, top = rect.left + rect.width, rect.bottom + rect.height
    across = np.clip(np.minimum(blocks[:, 2], right) - np.maximum(blocks[:, 0], rect.left), 0, None)
    up = np.clip(np.minimum(blocks[:, 3], top) - np.maximum(blocks[:, 1], rect.bottom), 0, None)
    return float(np.nansum(across * up)) / (rect.width * rect.height)


def _covered(points: NDArray[np.float64], rect: Rect) -> NDArray[np.bool_]:
    """Return which points, ``(n, 2)``, lie in a rectangle: ``(n,)``."""
    low, high = (rect.left, rect.bottom), (rect.left + rect.width, rect.bottom + rect.height)
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))
