"""Labels that do not blink: which of them a film shows when is chosen for all of it, before it is drawn.

For a single picture the most important labels take what room there is. From picture to picture of a moving camera that
choice would change many times a second, each change with others after it. Here a label that is shown stays as long as
there is room, one that comes needs a little more than its room, and none comes for less than a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.labelling import outlines, place_labels
from nnviz3d.render.text import label_sprite
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Label, Labels, Primitive

_STEP = 0.25
"""Seconds between the moments at which labels come and go."""
_LEAST = 4
"""Steps for which a label is shown at least."""
_STAYS = 3.0
"""How much more important a label is that is shown already: only the scores' own may take its place."""
_AROUND = (14.0, 5.0)
"""Pixels of a 720 pixels high picture by which the room for one that comes has to be wider and higher."""

Lines = tuple[str, ...]


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
        shown: Mapping[Label, Lines] | None = None
        chosen: list[Mapping[Label, Lines]] = []
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
        return replace(what, primitives=tuple(_only(p, now, later) for p in what.primitives))


class _Moment:
    """What could be written at one moment of the film."""

    def __init__(self, what: DrawList, pose: CameraPose, size: tuple[int, int], scale: float) -> None:
        self._labels = [label for p in what.primitives if isinstance(p, Labels) for label in p.labels]
        self._outlines = outlines(self._labels, _matrix(pose, size), size)
        self._size, self._scale = size, scale

    def place(self, shown: Mapping[Label, Lines] | None) -> dict[Label, Lines]:
        """Choose what to write, given what is written at the neighbouring moment; none for a picture by itself."""
        known = shown or {}
        wider, higher = (0.0, 0.0) if shown is None else (pixels * self._scale for pixels in _AROUND)
        labels = [
            replace(label, priority=label.priority + _STAYS) if label in known else label for label in self._labels
        ]
        before = {id(label): known.get(original, ()) for label, original in zip(labels, self._labels, strict=True)}

        def measure(label: Label, lines: Lines) -> tuple[int, int]:
            height, width = label_sprite(lines, label.emphasis, self._scale, label.small).shape[:2]
            if len(lines) <= len(before[id(label)]) or label.small:
                return width, height
            return math.ceil(width + wider), math.ceil(height + higher)

        placed = place_labels(labels, self._outlines, measure, self._size, self._scale)
        return {self._labels[found.index]: found.lines for found in placed}


def _without_glimpses(shown: list[Mapping[Label, Lines]]) -> list[dict[Label, Lines]]:
    """Leave out labels, and lines of labels, that are shown for a moment only."""
    kept: list[dict[Label, Lines]] = [{} for _ in shown]
    for label in {label: None for moment in shown for label in moment}:
        counts = [len(moment.get(label, ())) for moment in shown]
        for lines in sorted({len(label.lines[:1]), len(label.lines)}):
            for start, end in _runs([count >= lines for count in counts]):
                # What begins before the film, or goes on after it, is no glimpse.
                if end - start > _LEAST or start == 0 or end == len(shown):
                    for k in range(start, end):
                        kept[k][label] = label.lines[:lines]
    return kept


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    """Return where flags are set without a break: first, and one past the last."""
    start = 0
    for flag, run in groupby(flags):
        end = start + sum(1 for _ in run)
        if flag:
            yield start, end
        start = end


def _only(primitive: Primitive, now: Mapping[Label, Lines], later: Mapping[Label, Lines]) -> Primitive:
    """Keep the labels that are shown both before and after this moment, so that they vanish before they collide."""
    if not isinstance(primitive, Labels):
        return primitive
    both = [label for label in primitive.labels if label in now and label in later]
    return replace(
        primitive, labels=tuple(replace(label, lines=min(now[label], later[label], key=len)) for label in both)
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
