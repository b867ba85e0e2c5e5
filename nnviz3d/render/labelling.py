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
    taken = list(occupied)
    shown: list[Placed] = []
    blocks = [_inner(outline) for outline in around]
    for i in sorted(range(len(labels)), key=lambda k: -labels[k].priority):
        label, outline = labels[i], around[i]
        if not np.isfinite(outline).all():
            continue
        for lines in dict.fromkeys((label.lines, label.lines[:1])):
            rect = _rect(label.align, outline, measure(label, lines), _OFFSET * scale)
            inside = (
                rect.left >= 0
                and rect.bottom >= 0
                and rect.left + rect.width <= size[0]
                and rect.bottom + rect.height <= size[1]
            )
            # A small label stands on purpose beside one cell of a block; all others keep clear of every other block.
            clear = label.small or not any(b is not None and rect.overlaps(b) for k, b in enumerate(blocks) if k != i)
            if inside and clear and not any(rect.overlaps(other) for other in taken):
                taken.append(rect)
                shown.append(Placed(i, lines, rect))
                break
    return shown


def _inner(outline: NDArray[np.float64]) -> Rect | None:
    """Return the part of a block's outline that text must not cover: a block seen at an angle leaves corners free."""
    left, bottom, right, top = (float(v) for v in outline)
    width, height = right - left, top - bottom
    if not width > 0 or not height > 0:
        return None
    return Rect(left + 0.12 * width, bottom + 0.12 * height, 0.76 * width, 0.76 * height)


def _rect(align: str, outline: NDArray[np.float64], size: tuple[int, int], offset: float) -> Rect:
    width, height = size
    left, bottom, right, top = (float(v) for v in outline)
    x, y = (left + right) / 2, (bottom + top) / 2
    match align:
        case "below":
            return Rect(round(x - width / 2), round(bottom - offset - height), width, height)
        case "above":
            return Rect(round(x - width / 2), round(top + offset), width, height)
        case "right":
            return Rect(round(right + offset), round(y - height / 2), width, height)
        case _:
            return Rect(round(left - offset - width), round(y - height / 2), width, height)
