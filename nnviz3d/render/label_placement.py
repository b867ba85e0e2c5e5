"""Placement of labels on the screen without overlaps. Pure geometry in pixels, the origin at the lower left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.cover_map import CoverMap, overlap
from nnviz3d.render.label_ways import ALIGNS, ASIDE, OPPOSITE, PLAIN, SIDEWAYS, LabelWays
from nnviz3d.render.line_map import LineMap
from nnviz3d.scene.primitives import Label

_OFFSET = 3.0
"""Distance between an anchor and its text, in pixels of a picture that is 720 pixels high."""
_EDGE = 3.0
"""Width of the edge of a label in which there is no text, in the same pixels."""
_APART = 0.5
"""Distance of a name left or right of its block to other blocks, as a share of its width, so that it names no other."""


Flags = NDArray[np.bool_]


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


def corners_of(labels: Sequence[Label]) -> NDArray[np.float64]:
    """Return the corners of the boxes that labels name, ``(8, n, 3)`` world coordinates."""
    low = np.array([label.anchor for label in labels], dtype=np.float64).reshape(-1, 3)
    span = np.array([label.span for label in labels], dtype=np.float64).reshape(-1, 3)
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])[:, np.newaxis]
    return np.asarray(low + unit * span)


def outlines(corners: NDArray[np.float64], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the outline on the screen of what each label names, ``(n, 4)``: left, bottom, right, top in pixels.

    Parameters
    ----------
    corners
        From `corners_of`.
    """
    seen = project(corners.reshape(-1, 3), matrix, size).reshape(8, -1, 2)
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)], axis=1)


def line_map(
    lines: Iterable[NDArray[np.float32]], matrix: NDArray[np.float64], size: tuple[int, int]
) -> LineMap | None:
    """Return the map of lines in the world, ``(n, p, 3)`` each; `None` without lines."""
    seen = [project(one.reshape(-1, 3).astype(np.float64), matrix, size).reshape(*one.shape[:2], 2) for one in lines]
    return LineMap(seen, size) if seen else None


def place_labels(
    ways: LabelWays,
    around: NDArray[np.float64],
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
    ways
        The labels, and the ways in which each may be shown.
    around
        ``(n, 4)`` pixels: the outline of what each label names, as `outlines` returns it; NaN behind the camera.
    size
        Width and height of the picture.
    scale
        1 for a picture that is 720 pixels high.
    occupied
        Rectangles that labels must not cover.
    lines
        Lines of the picture that labels must not cover.
    """
    if not len(around):
        return []
    taken = np.array([(r.left, r.bottom, r.left + r.width, r.bottom + r.height) for r in occupied]).reshape(-1, 4)
    seen = np.asarray(np.isfinite(around).all(axis=1), dtype=np.bool_)
    room = _Room(ways, around, size, scale, lines)
    plain = room.of((ways.group == PLAIN) & seen[ways.label], taken)
    # The label of a point has no other side.
    block = np.asarray((around[:, 2:] > around[:, :2]).all(axis=1))
    uncovered = np.zeros(len(seen), dtype=np.bool_)
    uncovered[ways.label[plain.way[plain.uncovered]]] = True
    struck = np.zeros(len(seen), dtype=np.bool_)
    struck[ways.label[plain.way[plain.struck]]] = True
    group = np.where(ways.fixed, PLAIN, np.where(struck, ASIDE, np.where(block & ~uncovered, OPPOSITE, PLAIN)))
    tried = room.of((ways.group == group[ways.label]) & seen[ways.label], taken)
    shown = _chosen(ways, tried)
    placed = [tried.placed(k) for k in shown.values()]
    missing = seen.copy()
    missing[list(shown)] = False
    held = np.concatenate([taken, tried.rects[list(shown.values())]])
    sideways = room.of((ways.group == SIDEWAYS) & missing[ways.label], held, _APART)
    return [*placed, *(sideways.placed(k) for k in _chosen(ways, sideways).values())]


@dataclass(frozen=True)
class _Tried:
    """Ways of showing labels, and the room for each.

    Attributes
    ----------
    way
        ``(n,)``: index in the table of ways.
    rects
        ``(n, 4)`` pixels.
    uncovered
        ``(n,)``: whether it is inside the picture and covers no block.
    struck
        ``(n,)``: whether a line strikes through its text, of ways that cover a block only if they are `PLAIN`.
    free
        ``(n,)``: whether it may be shown if no other label is there.
    """

    ways: LabelWays
    way: NDArray[np.int64]
    rects: NDArray[np.float64]
    uncovered: Flags
    struck: Flags
    free: Flags

    def placed(self, k: int) -> PlacedLabel:
        """Return the k-th way as a label that is shown."""
        left, bottom, right, top = self.rects[k].tolist()
        way = int(self.way[k])
        return PlacedLabel(
            int(self.ways.label[way]), self.ways.lines(way), Rect(left, bottom, right - left, top - bottom)
        )


class _Room:
    """The room of one picture for labels."""

    def __init__(
        self,
        ways: LabelWays,
        around: NDArray[np.float64],
        size: tuple[int, int],
        scale: float,
        lines: LineMap | None,
    ) -> None:
        self._ways, self._around, self._size, self._scale, self._lines = ways, around, size, scale, lines
        self._inner = _inner(around)
        widest = float(ways.size[:, 0].max(initial=0.0)) * _APART
        self._blocks = CoverMap(self._inner, (-widest, 0.0), (size[0] + widest, float(size[1])))

    def of(self, chosen: Flags, taken: NDArray[np.float64], apart: float = 0.0) -> _Tried:
        """Return the room for some ways.

        A small label stands beside one cell of a block, so it may cover blocks; other labels cover none.

        Parameters
        ----------
        chosen
            Which ways of the table.
        taken
            ``(n, 4)``: rectangles that labels must not cover.
        apart
            Distance to keep to the blocks of other labels at the left and right, as a share of the label's width.
        """
        ways, way = self._ways, np.flatnonzero(chosen)
        label = ways.label[way]
        rects = self._rects(way)
        left, bottom, right, top = rects.T
        uncovered = (left >= 0) & (bottom >= 0) & (right <= self._size[0]) & (top <= self._size[1])
        small = ways.small[label]
        beside = apart * np.outer(ways.size[way, 0], [-1.0, 0.0, 1.0, 0.0])
        # Away from its own block, because the map of all blocks cannot leave out one.
        outwards = rects
        if apart:
            at_left = ways.align[way] == ALIGNS.index("left")
            outwards = rects + beside * np.column_stack([at_left, at_left, ~at_left, ~at_left])
        own = self._inner[label]
        over_own = (outwards[:, 0] < own[:, 2]) & (own[:, 0] < outwards[:, 2])
        over_own &= (outwards[:, 1] < own[:, 3]) & (own[:, 1] < outwards[:, 3])
        asked = np.flatnonzero(uncovered & ~small & ~over_own)
        uncovered[asked] = ~self._blocks.overlap(outwards[asked])
        over_own &= uncovered & ~small
        uncovered[over_own] = self._clear(over_own, way, outwards, self._inner)
        struck = np.zeros(len(way), dtype=np.bool_)
        if self._lines is not None:
            # Of a label at its own place, all ways count, because one that is struck through lets the label move aside.
            asked = np.flatnonzero(uncovered | (ways.group[way] == PLAIN))
            struck[asked] = self._lines.cross(rects[asked] + np.array([1, 1, -1, -1]) * _EDGE * self._scale)
        free = uncovered & (ways.fixed[label] | ~struck)
        free[free] = ~overlap(rects[free], taken).any(axis=1)
        if apart:
            free[free] = self._clear(free, way, rects + beside, self._inner)
        # A lonely way has to keep half its height from the blocks below it.
        lonely = free & ways.alone[way]
        lower = rects + np.outer(ways.size[way, 1] / 2, [0.0, -1.0, 0.0, 1.0])
        free[lonely] = self._clear(lonely, way, lower, self._around)
        return _Tried(ways, way, rects, uncovered, struck, free)

    def _clear(
        self, which: Flags, way: NDArray[np.int64], rects: NDArray[np.float64], blocks: NDArray[np.float64]
    ) -> Flags:
        """Return which of some ways, whose rectangles are ``(n, 4)``, overlap no block but that of their own label."""
        asked = np.flatnonzero(which)
        covers = overlap(rects[asked], blocks)
        covers[np.arange(len(asked)), self._ways.label[way[asked]]] = False
        return np.asarray(~covers.any(axis=1))

    def _rects(self, way: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the rectangles of some ways on whole pixels, ``(n, 4)``."""
        ways, offset = self._ways, _OFFSET * self._scale
        align, aside = ways.align[way], ways.away[way]
        # Column by column, because NumPy's loops over axes of two or four numbers are slow.
        found = np.empty((len(way), 4))
        for axis, (after, before) in enumerate((("right", "left"), ("above", "below"))):
            low, high = self._around[ways.label[way], axis], self._around[ways.label[way], axis + 2]
            size = ways.size[way, axis]
            corner = (low + high) / 2 - size / 2
            beside = np.where(align == ALIGNS.index(before), low - offset - size, corner)
            corner = np.rint(np.where(align == ALIGNS.index(after), high + offset, beside))
            found[:, axis] = corner + aside[:, axis]
            found[:, axis + 2] = corner + size + aside[:, axis]
        return found


def _chosen(ways: LabelWays, tried: _Tried) -> dict[int, int]:
    """Return the position of the way that is shown of each label; none covers another."""
    free = np.flatnonzero(tried.free)
    rects, index, longer = tried.rects[free], ways.label[tried.way[free]], ways.instead[tried.way[free]]
    shown: dict[int, int] = {}
    left = ~longer
    while left.any():
        k = int(left.argmax())
        shown[int(index[k])] = k
        left &= ~overlap(rects, rects[k : k + 1])[:, 0] & (index != index[k])
    for k in np.flatnonzero(longer).tolist():
        i = int(index[k])
        others = [other for label, other in shown.items() if label != i]
        if i in shown and not longer[shown[i]] and not overlap(rects[k : k + 1], rects[others]).any():
            shown[i] = k
    return {label: int(free[k]) for label, k in shown.items()}


def _inner(outlines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of each outline ``(n, 4)`` that text must not cover; NaN for outlines without area.

    It is smaller than the outline, because a block that is seen at an angle does not fill its corners.
    """
    low, size = outlines[:, :2], outlines[:, 2:] - outlines[:, :2]
    inner = np.concatenate([low + 0.12 * size, low + 0.88 * size], axis=1)
    inner[~(size > 0).all(axis=1)] = np.nan
    return inner
