"""Places labels on the screen so that none covers another. Pure geometry in pixels, the origin at the lower left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import Label

_OFFSET = 3.0
"""Pixels between an anchor and its text, of a 720 pixels high picture."""


@dataclass(frozen=True)
class Rect:
    """A rectangle of the screen, in pixels."""

    left: float
    bottom: float
    width: float
    height: float

    def overlaps(self, other: Rect) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )


@dataclass(frozen=True)
class Placed:
    """A label that is shown: which, with which of its lines, and where."""

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
    ``(n, 2)`` pixels; NaN for what lies behind the eye.
    """
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ndc = clip[:, :2] / clip[:, 3:4]
    screen = (ndc + 1) / 2 * np.array(size)
    screen[clip[:, 3] <= 0] = np.nan
    return np.asarray(screen)


def outlines(labels: Sequence[Label], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return what each label names as a rectangle of the screen, ``(n, 4)``: left, bottom, right, top in pixels."""
    if not labels:
        return np.empty((0, 4))
    low = np.array([label.anchor for label in labels])[:, np.newaxis]
    span = np.array([label.span for label in labels])[:, np.newaxis]
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners = project((low + unit * span).reshape(-1, 3), matrix, size).reshape(-1, 8, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def place_labels(
    labels: Sequence[Label],
    around: NDArray[np.float64],
    measure: Callable[[Label, tuple[str, ...]], tuple[int, int]],
    size: tuple[int, int],
    scale: float,
    occupied: Iterable[Rect] = (),
) -> list[Placed]:
    """Choose what to show where: the more important first, whole if there is room, else its first line, else not.

    Parameters
    ----------
    around
        ``(n, 4)`` pixels, what each names, as `outlines` gives it; NaN for what is not in front of the eye.
    measure
        Width and height of a label's picture with these lines.
    occupied
        What labels must not cover.
    """
    seen = [int(i) for i in np.flatnonzero(np.isfinite(around).all(axis=1))]
    order = sorted(seen, key=lambda i: -labels[i].priority)
    # Whole, and with its first line alone.
    choices = [(i, lines) for i in order for lines in dict.fromkeys((labels[i].lines, labels[i].lines[:1]))]
    if not choices:
        return []
    index = np.array([i for i, _ in choices])
    sizes = np.array([measure(labels[i], lines) for i, lines in choices], dtype=np.float64)
    rects = _beside(around[index], sizes, [labels[i].align for i, _ in choices], _OFFSET * scale)
    free = (rects[:, :2] >= 0).all(axis=1) & (rects[:, 2:] <= size).all(axis=1)
    # A small label stands on purpose beside one cell of a block; all others keep clear of every other block.
    covers = _overlap(rects, _inner(around))
    covers[np.arange(len(choices)), index] = False
    free &= np.array([labels[i].small for i, _ in choices]) | ~covers.any(axis=1)
    taken = np.array([(r.left, r.bottom, r.left + r.width, r.bottom + r.height) for r in occupied]).reshape(-1, 4)
    free &= ~_overlap(rects, taken).any(axis=1)
    shown: list[Placed] = []
    while free.any():
        k = int(free.argmax())
        i, lines = choices[k]
        left, bottom = rects[k, :2].tolist()
        shown.append(Placed(i, lines, Rect(left, bottom, *sizes[k].tolist())))
        free &= ~_overlap(rects, rects[k : k + 1])[:, 0] & (index != i)
    return shown


def _overlap(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which rectangles ``(m, 4)`` share any area with which others ``(n, 4)``: ``(m, n)``; none does with NaN."""
    left, bottom, right, top = some.T[:, :, np.newaxis]
    return np.asarray(
        (left < others[:, 2]) & (others[:, 0] < right) & (bottom < others[:, 3]) & (others[:, 1] < top), dtype=np.bool_
    )


def _inner(outlines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of each block's outline that text must not cover: a block seen at an angle leaves corners free.

    NaN for what has no area.
    """
    low, size = outlines[:, :2], outlines[:, 2:] - outlines[:, :2]
    inner = np.concatenate([low + 0.12 * size, low + 0.88 * size], axis=1)
    inner[~(size > 0).all(axis=1)] = np.nan
    return inner


def _beside(
    outlines: NDArray[np.float64], sizes: NDArray[np.float64], aligns: Sequence[str], offset: float
) -> NDArray[np.float64]:
    """Return rectangles of these sizes ``(n, 2)`` beside these outlines ``(n, 4)``, on whole pixels."""
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
