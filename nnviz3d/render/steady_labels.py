"""Labels that do not blink: which of them a film shows when is chosen for all of it, before it is drawn.

For a single picture the most important labels take what room there is. From picture to picture of a moving camera that
choice would change many times a second, each change with others after it. Here a label that is shown stays as long as
there is room, one that comes needs a little more than its room, and none comes for less than a second. A label is known by
its place: its words may change, as a class's score does while a training goes by.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.label_placement import outlines, place_labels
from nnviz3d.render.text import label_sprite
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Label, Labels, Primitive, Vector

_STEP = 0.25
"""Seconds between the moments at which labels come and go."""
_LEAST = 4
"""Steps for which a label is shown at least."""
_STAYS = 3.0
"""How much more important a label is that is shown already: only the scores' own may take its place."""
_AROUND = (14.0, 5.0)
"""Pixels of a 720 pixels high picture by which the room for one that comes has to be wider and higher."""

Place = tuple[Vector, str, Vector, int]
"""By what a label is known: its anchor, where it stands there, its span, how many others of the same come before it."""
Shown = Mapping[Place, int]
"""How many lines are shown of each label."""


class SteadyLabels:
    """The labels of a film.

    Parameters
    ----------
    seconds
        How long it is.
    at
        What is drawn, and from where, so many seconds into it.
    size, scale
        Of the renderer that draws it.
    loops
        Whether the end leads into the beginning.
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
        steps = max(1, math.ceil(seconds / _STEP))
        self._pace = steps / seconds
        moments = [_Moment(*at(k / self._pace), size, scale) for k in range(steps + 1)]
        shown: Shown | None = None
        chosen: list[Shown] = []
        # From the end, where everything is known and the camera rests; a loop twice, so that its end fits its beginning.
        for moment in [*reversed(moments), *(reversed(moments) if loops else ())]:
            shown = moment.place(shown)
            chosen.append(shown)
        film = chosen[: -steps - 2 : -1]
        if loops:
            film[-1] = film[0]
        self._shown = _without_glimpses(film)

    def of(self, what: DrawList, tau: float) -> DrawList:
        """Return what is drawn `tau` seconds into the film, with no more labels than are shown then."""
        k = min(int(tau * self._pace + 1e-9), len(self._shown) - 1)
        now, later = self._shown[k], self._shown[min(k + 1, len(self._shown) - 1)]
        places = iter(_places([label for p in what.primitives if isinstance(p, Labels) for label in p.labels]))
        return replace(what, primitives=tuple(_only(p, places, now, later) for p in what.primitives))


class _Moment:
    """What could be written at one moment of the film."""

    def __init__(self, what: DrawList, pose: CameraPose, size: tuple[int, int], scale: float) -> None:
        self._labels = [label for p in what.primitives if isinstance(p, Labels) for label in p.labels]
        self._outlines = outlines(self._labels, _matrix(pose, size), size)
        self._size, self._scale = size, scale

    def place(self, shown: Shown | None) -> dict[Place, int]:
        """Choose what to write, given what is written at the neighbouring moment; none for a picture by itself."""
        known = shown or {}
        wider, higher = (0.0, 0.0) if shown is None else (pixels * self._scale for pixels in _AROUND)
        places = _places(self._labels)
        labels = [
            replace(label, priority=label.priority + _STAYS) if place in known else label
            for label, place in zip(self._labels, places, strict=True)
        ]
        before = {id(label): known.get(place, 0) for label, place in zip(labels, places, strict=True)}

        def measure(label: Label, lines: tuple[str, ...]) -> tuple[int, int]:
            height, width = label_sprite(lines, label.emphasis, self._scale, label.small).shape[:2]
            if len(lines) <= before[id(label)] or label.small:
                return width, height
            return math.ceil(width + wider), math.ceil(height + higher)

        placed = place_labels(labels, self._outlines, measure, self._size, self._scale)
        return {places[found.index]: len(found.lines) for found in placed}


def _places(labels: list[Label]) -> list[Place]:
    """Say by what each label is known."""
    found: list[Place] = []
    count: Counter[tuple[Vector, str, Vector]] = Counter()
    for label in labels:
        place = (label.anchor, label.align, label.span)
        found.append((*place, count[place]))
        count[place] += 1
    return found


def _without_glimpses(shown: list[Shown]) -> list[dict[Place, int]]:
    """Leave out labels, and lines of labels, that are shown for a moment only."""
    kept: list[dict[Place, int]] = [{} for _ in shown]
    for place in {place: None for moment in shown for place in moment}:
        counts = [moment.get(place, 0) for moment in shown]
        for lines in sorted({1, max(counts)}):
            for start, end in _runs([count >= lines for count in counts]):
                # What begins before the film, or goes on after it, is no glimpse.
                if end - start > _LEAST or start == 0 or end == len(shown):
                    for k in range(start, end):
                        kept[k][place] = lines
    return kept


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    """Return where flags are set without a break: first, and one past the last."""
    start = 0
    for flag, run in groupby(flags):
        end = start + sum(1 for _ in run)
        if flag:
            yield start, end
        start = end


def _only(primitive: Primitive, places: Iterator[Place], now: Shown, later: Shown) -> Primitive:
    """Keep the labels that are shown both before and after this moment, so that they vanish before they collide."""
    if not isinstance(primitive, Labels):
        return primitive
    counts = [min(now.get(place, 0), later.get(place, 0)) for place in islice(places, len(primitive.labels))]
    return replace(
        primitive,
        labels=tuple(
            replace(label, lines=label.lines[:count])
            for label, count in zip(primitive.labels, counts, strict=True)
            if count
        ),
    )


def _matrix(pose: CameraPose, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return world to clip coordinates, ``(4, 4)``; the depth within the frame is of no interest here."""
    eye = np.array(pose.position)
    back = eye - np.array(pose.target)
    back /= np.linalg.norm(back)
    right = np.cross(pose.up, back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    focus = 1 / math.tan(math.radians(pose.field_of_view / 2))
    rows = np.array([right * focus * size[1] / size[0], up * focus, back, -back])
    return np.column_stack([rows, -rows @ eye])
