"""Placement of labels on the screen without overlaps. Pure geometry in pixels, the origin at the lower left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.line_map import LineMap
from nnviz3d.scene.primitives import Label

_OFFSET = 3.0
"""Distance between an anchor and its text, in pixels of a picture that is 720 pixels high."""
_EDGE = 3.0
"""Width of the edge of a label in which there is no text, in the same pixels."""
_ASIDE = ((0.0, 0.0), (0.3, 0.0), (-0.3, 0.0), (0.0, 0.5), (0.55, 0.0), (-0.55, 0.0), (0.3, 0.5), (-0.3, 0.5))
"""Offsets that are tried for a label that a line strikes through, as shares of its width and height."""
_APART = 0.5
"""Distance of a name left or right of its block to other blocks, as a share of its width, so that it names no other."""
_OPPOSITE = {"below": "above", "above": "below", "left": "right", "right": "left"}


@dataclass(frozen=True)
class Rect:
    """A rectangle of the screen, in pixels."""

    left: float
    bottom: float
    width: float
    height: float

    def overlaps(self, other: Rect) -> bool:
        """Whether the two rectangles share any area."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )


@dataclass(frozen=True)
class PlacedLabel:
    """A label that is shown.

    Attributes
    ----------
    index
        Index of the label.
    lines
        Its shown lines.
    rect
        Its rectangle on the screen.
    """

    index: int
    lines: tuple[str, ...]
    rect: Rect


def project(points: NDArray[np.float64], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Project world coordinates to the screen.

    Parameters
    ----------
    points
        ``(n, 3)``.
    matrix
        ``(4, 4)``: world to clip coordinates.
    size
        Width and height in pixels.

    Returns
    -------
    ``(n, 2)`` pixels; NaN for points behind the camera.
    """
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ndc = clip[:, :2] / clip[:, 3:4]
    screen = (ndc + 1) / 2 * np.array(size)
    screen[clip[:, 3] <= 0] = np.nan
    return np.asarray(screen)


def outlines(labels: Sequence[Label], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the outline on the screen of what each label names, ``(n, 4)``: left, bottom, right, top in pixels."""
    if not labels:
        return np.empty((0, 4))
    low = np.array([label.anchor for label in labels])[:, np.newaxis]
    span = np.array([label.span for label in labels])[:, np.newaxis]
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners = project((low + unit * span).reshape(-1, 3), matrix, size).reshape(-1, 8, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def line_map(
    lines: Iterable[NDArray[np.float32]], matrix: NDArray[np.float64], size: tuple[int, int]
) -> LineMap | None:
    """Return the map of lines in the world, ``(n, p, 3)`` each; `None` without lines."""
    seen = [project(one.reshape(-1, 3).astype(np.float64), matrix, size).reshape(*one.shape[:2], 2) for one in lines]
    return LineMap(seen, size) if seen else None


def place_labels(
    labels: Sequence[Label],
    around: NDArray[np.float64],
    measure: Callable[[Label, tuple[str, ...]], tuple[int, int]],
    size: tuple[int, int],
    scale: float,
    occupied: Iterable[Rect] = (),
    lines: LineMap | None = None,
) -> list[PlacedLabel]:
    """Choose which labels to show, and where, in the order of their priority.

    A label is shown whole if there is room, else with its first line, else not at all. Brief labels get their further lines
    last, where there is still room. A label that would cover another block or leave the picture goes to the other side of
    its block, and one that a line would strike through first moves aside a little, unless it is fixed. The name of a block
    that has no room below or above goes to its left or right, if nothing else is near.

    Parameters
    ----------
    around
        ``(n, 4)`` pixels: the outline of what each label names, as `outlines` returns it; NaN behind the camera.
    measure
        Returns width and height of a label's sprite with these lines.
    size
        Width and height of the picture.
    scale
        1 for a picture that is 720 pixels high.
    occupied
        Rectangles that labels must not cover.
    lines
        Lines of the picture that labels must not cover.
    """
    seen = [int(i) for i in np.flatnonzero(np.isfinite(around).all(axis=1))]
    order = sorted(seen, key=lambda i: -labels[i].priority)
    choices = [choice for i in order for choice in _choices(i, labels[i])]
    if not choices:
        return []
    rects = _rects(choices, labels, around, measure, scale)
    free = _free(choices, rects, labels, around, size)
    # The label of a point has no other side.
    blocks = set(np.flatnonzero((around[:, 2:] > around[:, :2]).all(axis=1)).tolist())
    covering = blocks.intersection(order) - {c.label for c, one in zip(choices, free, strict=True) if one}
    hit = np.zeros(len(choices), dtype=np.bool_) if lines is None else lines.cross(_text(rects, scale))
    struck = {c.label for c, one in zip(choices, hit, strict=True) if one}
    hindered = {i: i in struck for i in struck | covering if not labels[i].fixed}
    if hindered:
        choices = [
            choice
            for i in order
            for choice in (_nearby(i, labels[i], hindered[i]) if i in hindered else _choices(i, labels[i]))
        ]
        rects = _rects(choices, labels, around, measure, scale)
        free = _free(choices, rects, labels, around, size)
    taken = np.array([(r.left, r.bottom, r.left + r.width, r.bottom + r.height) for r in occupied]).reshape(-1, 4)
    free &= _clear(choices, rects, labels, taken, scale, lines)
    shown = _chosen(choices, rects, free)
    missing = [i for i in order if i not in shown]
    sideways = [choice for i in missing for choice in _beside_block(i, labels[i])]
    placed = [_placed(choices[k], rects[k]) for k in shown.values()]
    if not sideways:
        return placed
    held = np.array([rects[k] for k in shown.values()]).reshape(-1, 4)
    rects = _rects(sideways, labels, around, measure, scale)
    free = _free(sideways, rects, labels, around, size, _APART)
    free &= _clear(sideways, rects, labels, np.concatenate([taken, held]), scale, lines)
    return [*placed, *(_placed(sideways[k], rects[k]) for k in _chosen(sideways, rects, free).values())]


def _clear(
    choices: Sequence[_Choice],
    rects: NDArray[np.float64],
    labels: Sequence[Label],
    taken: NDArray[np.float64],
    scale: float,
    lines: LineMap | None,
) -> NDArray[np.bool_]:
    """Return whether each choice covers no line, unless it is fixed, and none of the rectangles `taken`, ``(n,)``."""
    clear = ~_overlap(rects, taken).any(axis=1)
    if lines is not None:
        clear &= np.array([labels[c.label].fixed for c in choices]) | ~lines.cross(_text(rects, scale))
    return np.asarray(clear, dtype=np.bool_)


def _chosen(choices: Sequence[_Choice], rects: NDArray[np.float64], free: NDArray[np.bool_]) -> dict[int, int]:
    """Return the position of the choice that is shown of each label; none covers another."""
    index = np.array([choice.label for choice in choices])
    longer = np.array([c.instead for c in choices])
    shown: dict[int, int] = {}
    left = free & ~longer
    while left.any():
        k = int(left.argmax())
        shown[int(index[k])] = k
        left &= ~_overlap(rects, rects[k : k + 1])[:, 0] & (index != index[k])
    for k in np.flatnonzero(free & longer).tolist():
        i = int(index[k])
        others = [other for label, other in shown.items() if label != i]
        if i in shown and not longer[shown[i]] and not _overlap(rects[k : k + 1], rects[others]).any():
            shown[i] = k
    return shown


def _placed(choice: _Choice, rect: NDArray[np.float64]) -> PlacedLabel:
    left, bottom, right, top = rect.tolist()
    return PlacedLabel(choice.label, choice.lines, Rect(left, bottom, right - left, top - bottom))


@dataclass(frozen=True)
class _Choice:
    """A way to show a label.

    Attributes
    ----------
    label
        Index of the label.
    instead
        Whether it takes the place of a shorter way that is shown, if there is room in the end.
    aside
        Offset to the right and away from what the label names, as shares of the label's width and height.
    alone
        Whether it must stay away from other blocks, because between two blocks it would seem to name the wrong one.
    """

    label: int
    lines: tuple[str, ...]
    align: str
    instead: bool = False
    aside: tuple[float, float] = (0.0, 0.0)
    alone: bool = False


def _free(
    choices: Sequence[_Choice],
    rects: NDArray[np.float64],
    labels: Sequence[Label],
    around: NDArray[np.float64],
    size: tuple[int, int],
    apart: float = 0.0,
) -> NDArray[np.bool_]:
    """Return whether each choice is inside the picture and covers no block, ``(n,)``.

    A small label stands beside one cell of a block, so it may cover blocks; other labels cover only their own block.

    Parameters
    ----------
    apart
        Distance to keep to the blocks of other labels at the left and right, as a share of the label's width.
    """
    index = np.array([choice.label for choice in choices])
    beside = apart * (rects[:, 2:3] - rects[:, :1]) * np.array([-1.0, 0.0, 1.0, 0.0])
    covers = _overlap(rects + beside, _inner(around))
    covers[np.arange(len(choices)), index] = False
    small = np.array([labels[i].small for i in index])
    inside = (rects[:, :2] >= 0).all(axis=1) & (rects[:, 2:] <= size).all(axis=1)
    alone = np.array([choice.alone for choice in choices])
    margin = np.where(alone, (rects[:, 3] - rects[:, 1]) / 2, 0.0)
    near = _overlap(rects + np.outer(margin, [0.0, -1.0, 0.0, 1.0]), around) & alone[:, np.newaxis]
    near[np.arange(len(choices)), index] = False
    return np.asarray(inside & (small | ~covers.any(axis=1)) & ~near.any(axis=1), dtype=np.bool_)


def _choices(number: int, label: Label) -> Iterable[_Choice]:
    """Yield the ways to show a label, the best one first."""
    first = label.lines[:1]
    if label.brief:
        yield _Choice(number, first, label.align)
        yield _Choice(number, label.lines, label.align, instead=True)
        return
    for lines in dict.fromkeys((label.lines, first)):
        yield _Choice(number, lines, label.align)


def _nearby(number: int, label: Label, aside: bool) -> Iterable[_Choice]:
    """Yield the ways to show a label at its place, on request near it, and on the other side of what it names."""
    choices = list(_choices(number, label))
    for choice in choices:
        yield from (replace(choice, aside=offset) for offset in (_ASIDE if aside else _ASIDE[:1]))
    for choice in choices:
        yield replace(choice, align=_OPPOSITE[choice.align], alone=not aside)


def _beside_block(number: int, label: Label) -> Iterable[_Choice]:
    """Yield the ways to show the name of a block at its left or right, the best one first."""
    if label.align == "below" and any(label.span) and not (label.fixed or label.small):
        for lines in dict.fromkeys((label.lines, label.lines[:1])):
            for side in ("left", "right"):
                yield _Choice(number, lines, side)


def _rects(
    choices: Sequence[_Choice],
    labels: Sequence[Label],
    around: NDArray[np.float64],
    measure: Callable[[Label, tuple[str, ...]], tuple[int, int]],
    scale: float,
) -> NDArray[np.float64]:
    """Return the rectangles of choices, ``(n, 4)``."""
    measured = {key: measure(labels[key[0]], key[1]) for key in {(one.label, one.lines) for one in choices}}
    sizes = np.array([measured[one.label, one.lines] for one in choices], dtype=np.float64)
    aligns = [one.align for one in choices]
    rects = _beside(around[[one.label for one in choices]], sizes, aligns, _OFFSET * scale)
    away = np.array([[one.aside[0], one.aside[1] * (1 if one.align == "above" else -1)] for one in choices])
    return np.asarray(rects + np.tile(np.rint(away * sizes), 2))


def _text(rects: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return the part of the rectangles of labels that their text fills, without the edge."""
    return rects + np.array([1, 1, -1, -1]) * _EDGE * scale


def _overlap(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether rectangles ``(m, 4)`` and others ``(n, 4)`` share any area: ``(m, n)``; false for NaN."""
    left, bottom, right, top = some.T[:, :, np.newaxis]
    return np.asarray(
        (left < others[:, 2]) & (others[:, 0] < right) & (bottom < others[:, 3]) & (others[:, 1] < top), dtype=np.bool_
    )


def _inner(outlines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of each outline ``(n, 4)`` that text must not cover; NaN for outlines without area.

    It is smaller than the outline, because a block that is seen at an angle does not fill its corners.
    """
    low, size = outlines[:, :2], outlines[:, 2:] - outlines[:, :2]
    inner = np.concatenate([low + 0.12 * size, low + 0.88 * size], axis=1)
    inner[~(size > 0).all(axis=1)] = np.nan
    return inner


def _beside(
    outlines: NDArray[np.float64], sizes: NDArray[np.float64], aligns: Sequence[str], offset: float
) -> NDArray[np.float64]:
    """Return rectangles ``(n, 4)`` of these sizes ``(n, 2)`` beside these outlines ``(n, 4)``, on whole pixels."""
    low, high = outlines[:, :2], outlines[:, 2:]
    corner = (low + high) / 2 - sizes / 2
    for align, axis, there in (
        ("below", 1, low - offset - sizes),
        ("above", 1, high + offset),
        ("right", 0, high + offset),
        ("left", 0, low - offset - sizes),
    ):
        chosen = np.array([a == align for a in aligns])
        corner[chosen, axis] = there[chosen, axis]
    corner = np.rint(corner)
    return np.concatenate([corner, corner + sizes], axis=1)
