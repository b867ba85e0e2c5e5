"""Places what stands in front of the scene: brackets around what is marked, words beside it, and boards.

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
from nnviz3d.render.text import Sprite, board_sprite
from nnviz3d.scene.primitives import Callout, Panel, Span

_ARM = 7.0
"""Pixels that each arm of a bracket is long, of a 720 pixels high picture, as all sizes here."""
_STROKE = 1.8
_SMALLEST = 15.0
"""Width and height of what the brackets enclose, at least: a cell may be smaller than a pixel."""
_AIR = 3.0
"""Between what is marked and its brackets."""
_OFFSET = 12.0
"""Between the brackets and the words."""
_WIDEST = 0.9
"""Share of the picture's width that words and boards may take."""
_COVERED = 60.0
"""How bad it is to cover blocks altogether, where 1 is a step down in the list of sides."""
_INK = (255, 255, 255, 255)
_SHADOW = (4, 6, 10, 200)
_UNIT = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_FINE = 8
"""Points of the screen for each piece of a path."""
_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Where the words may stand, the best place first: right or left, above or below."""
_FARTHER = (1.0, 3.0, 7.0)
"""How far away, as multiples of the usual offset."""


Place = tuple[Sprite, float, float]
"""A small picture, and where its lower left corner stands."""


@dataclass(frozen=True)
class PlacedCallout:
    """Where the outlines of the marks are on the screen, and where the words stand; `None` for what is not in sight."""

    marks: tuple[Rect, ...]
    words: Rect | None


def callout_places(
    callouts: Sequence[Callout],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    scale: float,
    occupied: list[Rect],
    blocks: NDArray[np.float64],
) -> list[Place]:
    """Say where brackets and words stand; adds to `occupied` what others should not cover.

    Parameters
    ----------
    blocks
        ``(n, 4)``: left, bottom, right and top of what is better seen than covered; NaN for what is not in sight.
    """
    found: list[Place] = []
    for callout in callouts:
        words = board_sprite(callout.rows, scale, _WIDEST * size[0])
        placed = place_callout(callout, matrix, size, scale, (words.shape[1], words.shape[0]), occupied, blocks)
        for mark in placed.marks:
            found.extend(corners_of(mark, scale))
        if placed.words is not None:
            found.append((words, placed.words.left, placed.words.bottom))
            occupied.append(placed.words)
    return found


def board_places(panels: Sequence[Panel], size: tuple[int, int], scale: float, occupied: Sequence[Rect]) -> list[Place]:
    """Say where the boards stand: in the middle, or as low as nothing is in the way."""
    found: list[Place] = []
    for panel in panels:
        sprite = board_sprite(panel.rows, scale, _WIDEST * size[0])
        height, width = sprite.shape[:2]
        rect = Rect((size[0] - width) // 2, (size[1] - height) // 2, width, height)
        if panel.corner == "bottom":
            rect = replace(rect, bottom=round(_OFFSET * scale))
            while blocking := [other for other in occupied if rect.overlaps(other)]:
                rect = replace(rect, bottom=math.ceil(max(other.bottom + other.height for other in blocking)))
        found.append((sprite, rect.left, rect.bottom))
    return found


def place_callout(
    callout: Callout,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    scale: float,
    words: tuple[int, int],
    occupied: Sequence[Rect],
    blocks: NDArray[np.float64],
) -> PlacedCallout:
    """Find a place for the words beside the marks, in the picture and not on anything that matters.

    Parameters
    ----------
    matrix
        ``(4, 4)``: world to clip coordinates.
    size
        Width and height of the picture.
    words
        Width and height of the words.
    occupied
        What the words should not cover.
    blocks
        ``(n, 4)``: what they should rather not cover.
    """
    marks = tuple(_outlines(callout.marks, matrix, size, scale))
    way = _fine(project(callout.path.astype(np.float64), matrix, size))
    beside = _middle(way, size)
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
        cost += 5 * int(np.count_nonzero(_covered(way, inside)))
        cost += _COVERED * _share_covered(inside, blocks)
        if best is None or cost < best[0]:
            best = cost, inside
    return PlacedCallout(marks, None if best is None else best[1])


def corners_of(mark: Rect, scale: float) -> Iterator[Place]:
    """Yield the four brackets around a mark: their pictures, and where each has its lower left corner."""
    sprites = _brackets(scale)
    side = sprites[0].shape[0]
    right, top = mark.left + mark.width - side, mark.bottom + mark.height - side
    places = ((mark.left, top), (right, top), (mark.left, mark.bottom), (right, mark.bottom))
    yield from ((sprite, *place) for sprite, place in zip(sprites, places, strict=True))


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
    # Own copies: the renderer knows a sprite again by its identity.
    return tuple(np.ascontiguousarray(s) for s in (first, first[:, ::-1], first[::-1], first[::-1, ::-1]))


def _outlines(
    marks: Sequence[Span], matrix: NDArray[np.float64], size: tuple[int, int], scale: float
) -> Iterator[Rect]:
    for mark in marks:
        corners = project(np.array(mark.origin) + _UNIT * np.array(mark.size), matrix, size)
        if not np.isfinite(corners).all():
            continue  # behind the eye
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        air, least = _AIR * scale, _SMALLEST * scale
        width, height = max(right - left + 2 * air, least), max(top - bottom + 2 * air, least)
        yield Rect(float(left + right - width) / 2, float(bottom + top - height) / 2, float(width), float(height))


def _fine(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Set points along a polyline, ``(n, 2)``, so closely that one cannot be missed."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return points
    at = np.linspace(0, len(points) - 1, _FINE * len(points))
    return np.stack([np.interp(at, np.arange(len(points)), points[:, k]) for k in (0, 1)], axis=1)


def _middle(way: NDArray[np.float64], size: tuple[int, int]) -> Rect | None:
    """Return the middle of the part of a path that is in the picture."""
    seen = way[((way >= 0) & (way <= np.array(size))).all(axis=1)]
    if not len(seen):
        return None
    x, y = seen[len(seen) // 2]
    return Rect(float(x), float(y), 1.0, 1.0)


def _places(beside: Rect, width: float, height: float, scale: float) -> Iterator[tuple[Rect, float]]:
    for farther in _FARTHER:
        offset = _OFFSET * scale * farther
        for right, up in _SIDES:
            x = beside.left + (beside.width - width) / 2 + right * ((beside.width + width) / 2 + offset)
            y = beside.bottom + (beside.height - height) / 2
            y += up * ((beside.height + height) / 2 + (offset if right == 0 else -beside.height / 2))
            yield Rect(round(x), round(y), width, height), farther


def _within(rect: Rect, size: tuple[int, int]) -> tuple[float, float]:
    return (
        max(0.0, min(rect.left, size[0] - rect.width)),
        max(0.0, min(rect.bottom, size[1] - rect.height)),
    )


def _share_covered(rect: Rect, blocks: NDArray[np.float64]) -> float:
    """Return how much of a rectangle lies on blocks, as a share of its area."""
    right, top = rect.left + rect.width, rect.bottom + rect.height
    across = np.clip(np.minimum(blocks[:, 2], right) - np.maximum(blocks[:, 0], rect.left), 0, None)
    up = np.clip(np.minimum(blocks[:, 3], top) - np.maximum(blocks[:, 1], rect.bottom), 0, None)
    return float(np.nansum(across * up)) / (rect.width * rect.height)


def _covered(points: NDArray[np.float64], rect: Rect) -> NDArray[np.bool_]:
    low, high = (rect.left, rect.bottom), (rect.left + rect.width, rect.bottom + rect.height)
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))
