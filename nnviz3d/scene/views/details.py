"""What was picked: marked where it stands, and told in full. It stays in its place when the sample changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import NEGATIVE, POSITIVE
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Callout, Color, Lines, Primitive, Span
from nnviz3d.scene.selection import (
    CellPick,
    ChannelPick,
    EdgePick,
    HistoryPick,
    KernelPick,
    LayerPick,
    LinkPick,
    Pick,
    PointPick,
    ScorePick,
    Selection,
)
from nnviz3d.scene.views.connections import curves
from nnviz3d.scene.views.facts import facts, flat_index

_BRIGHT: Color = (0.93, 0.98, 1.0)
_LIFT = 0.03
"""Share of a cell's shortest side by which its frame stands off from it."""
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1])


@runtime_checkable
class Marking(Protocol):
    """A view that shows numbers of its own, which stand in no layer's block, or a layer's places once more."""

    def spans_of(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        """Return where a picked number stands in it; nothing for all else, and for what is not shown."""
        ...


class DetailsView:
    """The marks and words of the present pick.

    Parameters
    ----------
    marking
        The views that are asked where their own numbers stand.
    """

    duration = 0.0

    def __init__(self, context: SceneContext, marking: Sequence[Marking] = ()) -> None:
        self._context = context
        self._marking = marking
        self._kept: tuple[Selection, tuple[Primitive, ...]] = (Selection(), ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the same marks at all times; nothing if nothing is picked, or if this sample has no such place."""
        key = Selection(
            selection.sample,
            selection.layer,
            against=selection.against,
            target=selection.target,
            statistic=selection.statistic,
            pick=selection.pick,
        )  # of nothing else do these words and marks depend
        if self._kept[0] != key:
            self._kept = (key, self._build(selection.pick, key))
        return self._kept[1]

    def _build(self, pick: Pick | None, selection: Selection) -> tuple[Primitive, ...]:
        found = None if pick is None else facts(self._context, pick, selection)
        if pick is None or found is None:
            return ()
        marks = tuple(self._marks(pick, selection))
        if not marks:
            return ()
        path = self._path(pick)
        thing: list[Primitive] = [_frames(marks)]
        if isinstance(pick, EdgePick):
            thing.extend(glow(path, POSITIVE if pick.weight >= 0 else NEGATIVE))
        return (*thing, Callout("pick", marks, found.rows, path))

    def _marks(self, pick: Pick, selection: Selection) -> list[Span]:
        elsewhere = [span for view in self._marking for span in view.spans_of(pick, selection)]
        match pick:
            case CellPick():
                return [*elsewhere, _span(self._context, pick.layer, pick.index)]
            case EdgePick():
                ends = ((pick.source, pick.source_index), (pick.target, pick.target_index))
                return [_span(self._context, layer, index) for layer, index in ends]
            case ScorePick() | KernelPick() | HistoryPick():
                return elsewhere
            case LayerPick():
                place = self._context.place(pick.layer)
                return [Span(place.origin, place.size)]
            case PointPick() | ChannelPick() | LinkPick():
                return []  # its view marks it, which knows where it is

    def _path(self, pick: Pick) -> NDArray[np.float32]:
        if not isinstance(pick, EdgePick):
            return np.empty((0, 3), dtype=np.float32)
        source, target = self._context.place(pick.source).grid.shape, self._context.place(pick.target).grid.shape
        index = np.array([[flat_index(pick.source_index, source), flat_index(pick.target_index, target)]])
        return np.asarray(curves(self._context, pick.source, pick.target, index)[0])


def _span(context: SceneContext, layer: str, index: tuple[int, ...]) -> Span:
    """Return where a number stands; the numbers of a pixel stand one behind the other."""
    place = context.place(layer)
    grid = place.grid
    alone = len(index) == len(grid.shape)
    ends = (index,) if alone else tuple(grid.full(index, c) for c in (0, grid.channels - 1))
    flat = [flat_index(end, grid.shape) for end in ends]
    cells = place.grid.cells(np.array(flat, dtype=np.int64))
    low = np.array(place.origin) + cells.min(axis=0) * place.cell
    size = (cells.max(axis=0) - cells.min(axis=0) + 1) * np.array(place.cell)
    return Span(tuple(map(float, low)), tuple(map(float, size)))  # type: ignore[arg-type]


def _frames(marks: Sequence[Span]) -> Lines:
    """Draw the edges of what is marked."""
    edges = []
    for mark in marks:
        size = np.array(mark.size)
        lift = _LIFT * size.min()
        corners = np.array(mark.origin) - lift + _CORNERS * (size + 2 * lift)
        edges.append(corners[_EDGES])
    points = np.concatenate(edges).astype(np.float32)
    return Lines("pick/frames", points, _paint(len(points), 1.0), width=1.8)


def glow(path: NDArray[np.float32], color: Color) -> list[Lines]:
    """Draw a connection so that it stands out from all others: bright, with a shine of its own colour."""
    shine = ((11.0, 0.16, color), (6.0, 0.45, color), (2.2, 1.0, _BRIGHT))
    return [
        Lines(f"pick/glow/{k}", path[np.newaxis], _paint(1, opacity, tint), width)
        for k, (width, opacity, tint) in enumerate(shine)
    ]


def _paint(count: int, opacity: float, color: Color = _BRIGHT) -> NDArray[np.float32]:
    return np.tile(np.array([*color, opacity], dtype=np.float32), (count, 1))
