"""Table of the ways in which each label may be shown: with which lines, on which side of what it names, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import Label

ALIGNS = ("below", "above", "right", "left")
_OPPOSITE = (1, 0, 3, 2)
"""Index of the opposite side of each of `ALIGNS`."""
_ASIDE = ((0.0, 0.0), (0.3, 0.0), (-0.3, 0.0), (0.0, 0.5), (0.55, 0.0), (-0.55, 0.0), (0.3, 0.5), (-0.3, 0.5))
"""Offsets that are tried for a label that a line strikes through, as shares of its width and height."""

PLAIN, ASIDE, OPPOSITE, SIDEWAYS = range(4)
"""Sets of ways: the label's own place; also aside and on the opposite side, for a label that a line strikes through; also
the opposite side if nothing else is near, for a label that would cover a block; left and right of a block."""


class LabelWays:
    """All ways of showing some labels, in the order of the labels' priority, the best way of each label first.

    Parameters
    ----------
    labels
        The labels.
    measure
        Returns width and height of a label's sprite with some of its lines.

    Attributes
    ----------
    label
        ``(n,)``: index of each way's label.
    group
        ``(n,)``: the set of ways that it belongs to, such as `PLAIN`.
    whole
        ``(n,)``: whether all lines are shown; otherwise the first one.
    align
        ``(n,)``: index in `ALIGNS`.
    instead
        ``(n,)``: whether it takes the place of a shorter way that is shown, if there is room in the end.
    alone
        ``(n,)``: whether it must stay away from other blocks, because between two blocks it would seem to name the wrong
        one.
    away
        ``(n, 2)`` pixels: offset to the right and upwards.
    size
        ``(n, 2)`` pixels: width and height.
    fixed, small
        ``(labels,)``: those attributes of each label.
    """

    def __init__(self, labels: Sequence[Label], measure: Callable[[Label, tuple[str, ...]], tuple[int, int]]) -> None:
        self.labels = labels
        self.fixed = np.array([label.fixed for label in labels], dtype=np.bool_)
        self.small = np.array([label.small for label in labels], dtype=np.bool_)
        order = sorted(range(len(labels)), key=lambda i: -labels[i].priority)
        found = [_template(*_kind(labels[i])) for i in order] or [_template(False, True, 0, False)]
        self.label = np.repeat(np.array(order, dtype=np.int64), [len(rows) for rows in found[: len(order)]])
        rows = np.concatenate(found)[: len(self.label)]
        self.group, self.align = rows[:, 0].astype(np.int64), rows[:, 2].astype(np.int64)
        self.whole, self.instead, self.alone = (rows[:, k] > 0 for k in (1, 3, 4))
        sizes = np.array([[measure(one, one.lines[:1]), measure(one, one.lines)] for one in labels], dtype=np.float64)
        self.size = sizes.reshape(-1, 2, 2)[self.label, self.whole.astype(np.int64)]
        upwards = np.where(self.align == ALIGNS.index("above"), 1.0, -1.0)
        self.away = np.rint(rows[:, 5:] * np.column_stack([np.ones(len(rows)), upwards]) * self.size)

    def lines(self, way: int) -> tuple[str, ...]:
        """Return the lines that a way shows."""
        lines = self.labels[int(self.label[way])].lines
        return lines if self.whole[way] else lines[:1]


def _kind(label: Label) -> tuple[bool, bool, int, bool]:
    """Return what a label's ways depend on: whether it is brief, has one line, its side, whether it may go sideways."""
    sideways = label.align == "below" and any(label.span) and not (label.fixed or label.small)
    return label.brief, len(label.lines) < 2, ALIGNS.index(label.align), sideways


@cache
def _template(brief: bool, single: bool, align: int, sideways: bool) -> NDArray[Any]:
    """Return the ways of a kind of labels, ``(n, 7)``.

    The columns are the set of ways, whether all lines are shown, the side, whether the way takes the place of a shorter
    one, whether it must stay alone, and the offset to the right and away from what the label names, as shares of the
    label's width and height.
    """
    plain = [(0, 0), (1, 1)] if brief else [(1, 0)] if single else [(1, 0), (0, 0)]
    rows: list[tuple[float, ...]] = [(PLAIN, whole, align, instead, 0, 0, 0) for whole, instead in plain]
    for group, offsets in ((ASIDE, _ASIDE), (OPPOSITE, _ASIDE[:1])):
        rows += [(group, whole, align, instead, 0, *offset) for whole, instead in plain for offset in offsets]
        rows += [(group, whole, _OPPOSITE[align], instead, group == OPPOSITE, 0, 0) for whole, instead in plain]
    if sideways:
        rows += [(SIDEWAYS, whole, side, 0, 0, 0, 0) for whole in ((1,) if single else (1, 0)) for side in (3, 2)]
    return np.array(rows, dtype=np.float64)
