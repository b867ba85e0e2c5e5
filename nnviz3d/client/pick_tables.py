"""Tables from which the client describes picks without a capture, for an exported file.

The description of a cell is made by the client from a layer's numbers, which the frames hold anyway, and the words of
`nnviz3d.scene.derived.cell_facts`; that of a connection from its line and the numbers of its ends. All other picks are
made and described beforehand, one for each line, point, tile, column of a ridge or grid point of a surface.
`static/pick_words.js` reads the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nnviz3d.client.pick_parts import PartHits, hits_on, likeness
from nnviz3d.client.pick_records import (
    CellNumbers,
    CellSource,
    CellWords,
    Copies,
    LayerTable,
    MarkedPick,
    PickedParts,
    PickTable,
    PickTables,
    SheetCells,
    SheetWords,
    Slopes,
)
from nnviz3d.client.sheet_words import SheetPick, sheet_cells, sheet_of, sheet_words
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.records import RANKINGS
from nnviz3d.scene.derived.cell_facts import cell_arrays, cell_pixels, cell_words
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.layout.attention import ScorePick
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.primitives import Callout, DrawList, Points, Primitive, Source, Span, Vector, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.views.blocks import span_of
from nnviz3d.scene.views.connections import EdgePick

MOST = 4000
"""Maximum number of picks that are described beforehand for one table."""
MOST_CELLS = 100_000
"""Maximum number of weights, or of a gate's numbers, in a block whose cells can be picked."""
_FEW_SCORES = 600
"""Maximum number of scores of a head that are described beforehand."""
_POINT = Span((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
_PROBED = 256
"""Number of a primitive's parts of which at least one is picked, if any is."""


def pick_tables(
    scene: Scene,
    frames: Sequence[tuple[float, DrawList]],
    selection: Selection,
    *,
    gradients: bool = True,
    most: int = MOST,
    without: frozenset[str] = frozenset(),
) -> PickTables:
    """Describe what can be picked.

    Parameters
    ----------
    frames
        The scene's pictures with this selection and their times.
    gradients
        Whether the description of a cell has its gradient, so that the tables hold the gradients of all layers.
    most
        Maximum number of picks that are described beforehand for one table.
    without
        Layers whose numbers the tables do not hold, so that neither their cells nor their connections can be picked.
    """
    selection = replace(selection, pick=None)
    makers: dict[Scene, _Maker] = {}
    of_frame = []
    with scene.context.capture.stored.remembering():
        for t, drawn in frames:
            moment = scene.as_of(t, selection)
            maker = makers.setdefault(moment, _Maker(moment, selection, gradients, most, without))
            maker.add(t, drawn)
            of_frame.append(list(makers).index(moment))
        tables = tuple(maker.table() for maker in makers.values())
    left_out = dict.fromkeys(text for maker in makers.values() for text in maker.left_out)
    return PickTables(tables, tuple(of_frame), tuple(left_out))


def scientific_from(kind: type[np.floating]) -> float:
    """Return the power of ten from which on NumPy writes numbers of a type with an exponent; versions differ."""
    powers = (kind(10.0**k) for k in range(1, 20) if 10.0**k <= np.finfo(kind).max)
    return next((float(number) for number in powers if "e" in str(number)), 1e16)


class _Maker:
    """Collects the picks of one scene."""

    def __init__(self, scene: Scene, selection: Selection, gradients: bool, most: int, without: frozenset[str]) -> None:
        self._scene = scene
        self._selection = selection
        self._gradients = gradients
        self._most = most
        self._without = without
        self._layers: dict[str, None] = {}
        self._sources: dict[Source, bool] = {}
        self._pairs: dict[tuple[str, str], None] = {}
        self._sheets: dict[Source, SheetCells] = {}
        self._sheet_words: dict[object, SheetWords] = {}
        self._orders: dict[object, NDArray[np.int64]] = {}
        self._parts: dict[int, PickedParts] = {}
        self._known: dict[object, NDArray[np.int64]] = {}
        self._kept: list[object] = []
        self._numbers: dict[tuple[Pick, bool], int] = {}
        self._picks: list[MarkedPick] = []
        self._left_out: dict[str, tuple[int, int]] = {}

    def add(self, t: float, drawn: DrawList) -> None:
        """Add what can be picked in a frame."""
        for primitive in drawn.primitives:
            source: Source | None = getattr(primitive, "source", None)
            if source is None or id(primitive) in self._parts:
                continue
            hits = hits_on(primitive)
            if hits is None or source in self._sheets or self._by_client(primitive, source, hits):
                continue
            key, held = likeness(primitive)
            if key not in self._known:
                self._known[key] = self._enumerated(primitive, source, hits, t)
                self._kept.append(held)  # another object may get the identity of a deleted one
            if (self._known[key] >= 0).any():
                self._parts[id(primitive)] = PickedParts(primitive, self._known[key])

    def _by_client(self, primitive: Primitive, source: Source, hits: PartHits) -> bool:
        """Note what the client describes itself; false if the primitive's picks have to be described beforehand."""
        if not self._scene.blocks or isinstance(primitive, Points):
            return False
        probed = (self._pick(hit) for hit in islice(hits.all(), _PROBED))
        first = next((pick for pick in probed if pick is not None), None)
        if isinstance(first, SheetPick) and isinstance(primitive, Voxels) and self._is_sheet(primitive, first):
            self._sheets[source] = self._sheet(source, primitive, hits, first)
            return True
        if isinstance(first, CellPick):
            self._layers[first.layer] = None
            of_locations = len(first.index) < len(self._scene.context.placement(first.layer).grid.shape)
            self._sources[source] = (of_locations and isinstance(primitive, Voxels)) or self._sources.get(source, False)
        elif isinstance(first, EdgePick):
            self._layers |= {first.source: None, first.target: None}
            self._pairs[first.source, first.target] = None
            self._sources[source] = False
        return isinstance(first, CellPick | EdgePick)

    def _is_sheet(self, block: Voxels, first: SheetPick) -> bool:
        """Whether the client describes the numbers of a block; few scores have lines to their query besides words."""
        count = block.values.size
        if count > MOST_CELLS or likeness(block)[0] in self._known:
            return False
        return not isinstance(first, ScorePick) or count > _FEW_SCORES or len(self._picks) + count > self._most

    def _sheet(self, source: Source, block: Voxels, hits: PartHits, first: SheetPick) -> SheetCells:
        """Return the cells of a block of weights, of a gate's numbers or of scores."""
        key = sheet_of(first)
        if key not in self._sheet_words:
            self._sheet_words[key] = sheet_words(self._scene, first, block, self._selection)
        words = self._sheet_words[key]
        # All heads have their scores in the same order.
        order = (ScorePick, words.shape) if isinstance(first, ScorePick) else source
        if order not in self._orders:
            self._orders[order] = sheet_cells(words, block, map(self._pick, hits.all()))
        return SheetCells(source, self._orders[order], words)

    def _pick(self, hit: Hit) -> Pick | None:
        return self._scene.pick(hit, self._selection)

    def _enumerated(self, primitive: Primitive, source: Source, hits: PartHits, t: float) -> NDArray[np.int64]:
        """Return the number of each part's pick; a single one if all parts have the same."""
        nothing = np.array([-1])
        if hits.count > self._most:
            self._leave_out(source, hits.count)
            return nothing
        picks = [self._pick(hit) for hit in hits.all()]
        of_point = isinstance(primitive, Points)
        new = {(pick, of_point) for pick in picks if pick is not None} - self._numbers.keys()
        if len(self._picks) + len(new) > self._most:
            self._leave_out(source, hits.count)
            return nothing
        numbers = [-1 if pick is None else self._number(pick, of_point, t) for pick in picks]
        found = np.array(numbers, dtype=np.int64)
        return found[:1] if len(found) and (found == found[0]).all() else found

    def _leave_out(self, source: Source, count: int) -> None:
        things, parts = self._left_out.get(source.view, (0, 0))
        self._left_out[source.view] = (things + 1, parts + count)

    @property
    def left_out(self) -> list[str]:
        """A sentence about each view with picks that the table does not hold."""
        return [
            f"{parts:,} parts of {things:,} {'things' if things > 1 else 'thing'} that the view {view} shows cannot be "
            f"picked in the file: it describes at most {self._most:,} of them."
            for view, (things, parts) in self._left_out.items()
        ]

    def _number(self, pick: Pick, of_point: bool, t: float) -> int:
        """Return the position of a pick in the list; -1 if it has no description."""
        key = (pick, of_point)
        if key not in self._numbers:
            marks = self._scene.mark(pick, t, self._selection)
            callout = next((mark for mark in marks if isinstance(mark, Callout)), None)
            if callout is None:
                self._numbers[key] = -1
                return -1
            moves = of_point and len(marks) == 1 and [mark.size for mark in callout.marks] == [_POINT.size]
            name = f"{pick!r}, a point" if moves else repr(pick)
            rest = tuple(mark for mark in marks if mark.name != "pick/frames")
            # The client puts the mark where the point is.
            rest = (replace(callout, marks=(_POINT,)),) if moves else rest
            self._numbers[key] = len(self._picks)
            self._picks.append(MarkedPick(name, moves, rest, len(rest) < len(marks)))
        return self._numbers[key]

    def table(self) -> PickTable:
        """Return the table of all frames that were added."""
        layers = (self._layer(name) for name in self._layers if name not in self._without)
        return PickTable(
            (scientific_from(np.float32), scientific_from(np.float16)),
            tuple(layer for layer in layers if layer is not None),
            tuple(CellSource(source, locations) for source, locations in self._sources.items()),
            tuple(slope for pair in self._pairs if not self._without & {*pair} for slope in self._slopes(*pair)),
            tuple(self._sheets.values()),
            tuple(self._parts.values()),
            tuple(self._picks),
        )

    def _layer(self, name: str) -> LayerTable | None:
        """Return the table of a layer; `None` if the sample's numbers have another rank than its block."""
        context, selection = self._scene.context, self._selection
        placement, shown = context.placement(name), context.values(name, selection.sample)
        grid, values = placement.grid, shown.values
        if values.ndim != len(grid.shape):
            return None
        x, y, z = shown.cells.shape
        held = replace(grid, shape=values.shape, size=(x, y, z))
        rank = len(grid.shape)
        words = CellWords(
            cell_words(context, name, rank, selection.sample),
            cell_words(context, name, len(grid.location_shape), selection.sample),
        )
        return LayerTable(
            name,
            grid,
            held,
            channel_axis(grid.axes),
            tuple(int(row) for row in grid.token_rows) if grid.tokens else (),
            placement.origin,
            placement.cell,
            words,
            shown.cells.T,
            tuple(self._further(name, held)),
            cell_pixels(context, name, selection.sample),
            self._copies(name, grid),
        )

    def _further(self, name: str, held: CellGrid) -> Iterator[CellNumbers]:
        for array in cell_arrays(self._scene.context, name, self._selection):
            if not self._gradients and "gradient" in array.name:
                continue
            values = array.values if array.by_location else held.arrange(array.values).T
            yield CellNumbers(array.name, values, array.by_location, array.times_activation)

    def _copies(self, name: str, grid: CellGrid) -> tuple[Copies, ...]:
        """Return the boxes that other views draw for a location of a picture."""
        if len(grid.location_shape) != 2 or len(grid.shape) < 2:
            return ()
        at = [self._copies_at(name, (row, column), grid) for row, column in ((0, 0), (1, 0), (0, 1))]
        return tuple(
            Copies(first, _way(first, below), _way(first, beside))
            for first, below, beside in zip(at[0], at[1], at[2], strict=True)
        )

    def _copies_at(self, name: str, location: tuple[int, int], grid: CellGrid) -> tuple[Span, ...]:
        rows, columns = grid.location_shape
        within = (min(location[0], rows - 1), min(location[1], columns - 1))
        marks = self._scene.mark(CellPick(name, within), 0.0, self._selection)
        callout = next((mark for mark in marks if isinstance(mark, Callout)), None)
        own = span_of(self._scene.context, name, within)
        return () if callout is None else tuple(span for span in callout.marks if span != own)

    def _slopes(self, source: str, target: str) -> Iterator[Slopes]:
        """Yield the gradients by the connections of two layers, in the order in which they are looked up."""
        context, selection = self._scene.context, self._selection
        if not self._gradients:
            return
        for ranking in RANKINGS:
            pair = context.capture.connections(source, target, ranking, selection.sample)
            if pair is None:
                continue
            found = context.explanations(selection.sample).connection_gradient(pair, selection.target)
            if found is not None:
                yield Slopes(source, target, pair.index, np.asarray(found, dtype=np.float32))


def _way(start: Span, end: Span) -> Vector:
    x, y, z = (b - a for a, b in zip(start.origin, end.origin, strict=True))
    return x, y, z
