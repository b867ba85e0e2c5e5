"""Choice of a film's labels for the whole film, before it is drawn, so that labels do not blink.

In a single picture the most important labels take the free room. With a moving camera that choice would change many times
a second. Here a label stays as long as there is room, a new label needs a little more room than its size, and none is
shown for less than a second. A label is identified by its position: its text may change, as the score of a class does
during a training.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.label_placement import corners_of, outlines, place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.text import label_size
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Label, Labels, Lines, Primitive, Vector

_INTERVAL = 0.25
"""Seconds between the moments at which labels appear and disappear."""
_LEAST = 4
"""Minimum number of intervals for which a label is shown."""
_STAYS = 3.0
"""Added to the priority of a label that is shown: only the labels of scores may then displace it."""
_AROUND = (14.0, 5.0)
"""Width and height that a new label needs beyond its size, in pixels of a picture that is 720 pixels high."""

LabelKey = tuple[Vector, str, Vector, int]
"""Identity of a label: its anchor, alignment and span, and the number of earlier labels with the same three."""
Shown = Mapping[LabelKey, int]
"""Number of shown lines of each label."""


class SteadyLabels:
    """The labels of a film.

    Parameters
    ----------
    seconds
        Length of the film.
    at
        Returns the draw list and the camera pose at a time in seconds.
    size, scale
        Size and scale of the renderer that draws the film.
    loops
        Whether the film is a loop, whose end leads to its beginning.
    """

    def __init__(
        self,
        seconds: float,
        at: Callable[[float], tuple[DrawList, CameraPose]],
        size: tuple[int, int],
        scale: float,
        *,
        loops: bool = False,
    ) -> None:
        intervals = max(1, math.ceil(seconds / _INTERVAL))
        self._pace = intervals / seconds
        moments = [_Moment(*at(k / self._pace), size, scale) for k in range(intervals + 1)]
        shown: Shown | None = None
        chosen: list[Shown] = []
        # From the end to the beginning, because the camera rests at the end; a loop twice, so that its ends match.
        for moment in [*reversed(moments), *(reversed(moments) if loops else ())]:
            shown = moment.place(shown)
            chosen.append(shown)
        film = chosen[: -intervals - 2 : -1]
        if loops:
            film[-1] = film[0]
        self._shown = _without_glimpses(film)

    def of(self, what: DrawList, tau: float) -> DrawList:
        """Return a draw list with only the labels that the film shows after `tau` seconds."""
        k = min(int(tau * self._pace + 1e-9), len(self._shown) - 1)
        now, later = self._shown[k], self._shown[min(k + 1, len(self._shown) - 1)]
        keys = iter(_keys([label for p in what.primitives if isinstance(p, Labels) for label in p.labels]))
        # Labels do not move aside from lines, because they would jump while the camera moves.
        shown = (replace(p, avoided=False) if isinstance(p, Lines) and p.avoided else p for p in what.primitives)
        return replace(what, primitives=tuple(_only(p, keys, now, later) for p in shown))


class _Moment:
    """The labels at one moment of the film, and the outlines of what they name."""

    def __init__(self, what: DrawList, pose: CameraPose, size: tuple[int, int], scale: float) -> None:
        # A label that could move to the side of its block would jump.
        labels = [label for p in what.primitives if isinstance(p, Labels) for label in p.labels]
        self._labels = [replace(label, fixed=True) for label in labels]
        self._outlines = outlines(corners_of(self._labels), _matrix(pose, size), size)
        self._size, self._scale = size, scale

    def place(self, shown: Shown | None) -> dict[LabelKey, int]:
        """Choose the labels to show, given those of the neighbouring moment; `None` for a single picture."""
        known = shown or {}
        wider, higher = (0.0, 0.0) if shown is None else (pixels * self._scale for pixels in _AROUND)
        keys = _keys(self._labels)
        labels = [
            replace(label, priority=label.priority + _STAYS) if key in known else label
            for label, key in zip(self._labels, keys, strict=True)
        ]
        before = {id(label): known.get(key, 0) for label, key in zip(labels, keys, strict=True)}

        def measure(label: Label, lines: tuple[str, ...]) -> tuple[int, int]:
            width, height = label_size(lines, self._scale, label.small)
            if len(lines) <= before[id(label)] or label.small:
                return width, height
            return math.ceil(width + wider), math.ceil(height + higher)

        placed = place_labels(LabelWays(labels, measure), self._outlines, self._size, self._scale)
        return {keys[found.index]: len(found.lines) for found in placed}


def _keys(labels: list[Label]) -> list[LabelKey]:
    """Return the identity of each label."""
    found: list[LabelKey] = []
    count: Counter[tuple[Vector, str, Vector]] = Counter()
    for label in labels:
        position = (label.anchor, label.align, label.span)
        found.append((*position, count[position]))
        count[position] += 1
    return found


def _without_glimpses(shown: list[Shown]) -> list[dict[LabelKey, int]]:
    """Remove labels, and lines of labels, that are shown for too short a time."""
    kept: list[dict[LabelKey, int]] = [{} for _ in shown]
    for key in {key: None for moment in shown for key in moment}:
        counts = [moment.get(key, 0) for moment in shown]
        for lines in sorted({1, max(counts)}):
            for start, end in _runs([count >= lines for count in counts]):
                # A label at the beginning or the end of the film may be short: it is cut there.
                if end - start > _LEAST or start == 0 or end == len(shown):
                    for k in range(start, end):
                        kept[k][key] = lines
    return kept


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    """Yield the unbroken runs of set flags: first index, and index after the last."""
    start = 0
    for flag, run in groupby(flags):
        end = start + sum(1 for _ in run)
        if flag:
            yield start, end
        start = end


def _only(primitive: Primitive, keys: Iterator[LabelKey], now: Shown, later: Shown) -> Primitive:
    """Keep the labels that are shown both before and after this moment, so that they disappear before they collide."""
    if not isinstance(primitive, Labels):
        return primitive
    counts = [min(now.get(key, 0), later.get(key, 0)) for key in islice(keys, len(primitive.labels))]
    return replace(
        primitive,
        labels=tuple(
            replace(label, lines=label.lines[:count], fixed=True)
            for label, count in zip(primitive.labels, counts, strict=True)
            if count
        ),
    )


def _matrix(pose: CameraPose, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the matrix from world to clip coordinates, ``(4, 4)``; its depth is not used."""
    eye = np.array(pose.position)
    back = eye - np.array(pose.target)
    back /= np.linalg.norm(back)
    right = np.cross(pose.up, back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    focus = 1 / math.tan(math.radians(pose.field_of_view / 2))
    rows = np.array([right * focus * size[1] / size[0], up * focus, back, -back])
    return np.column_stack([rows, -rows @ eye])
