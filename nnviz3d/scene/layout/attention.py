"""Layout of the sheets of attention scores above the network: each layer's heads side by side, rollout last.

A sheet shows one head: queries down, keys to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.rollout import rollout
from nnviz3d.data.capabilities.attention import read_attention
from nnviz3d.data.graph import ModelGraph
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.token_names import tokens_of
from nnviz3d.scene.primitives import Span, Vector
from nnviz3d.scene.selection import Pick

_BETWEEN = 0.16
"""Room between two sheets of a layer that are side by side, in sides of a sheet."""
_ABOVE = 0.3
"""Room between two lines of sheets, for the names of the sheets, in sides of a sheet."""
_APART = 0.7
"""Room between two layers, in sides of a sheet."""
_WORDS = 1.2
"""Room for the words of the tokens at the left of the rollout, in sides of a sheet."""
_HIGHEST = 0.3
"""Maximum height of all lines of sheets, as a share of the network's width."""
_LIFT = 0.07
"""Room between the network and the sheets, as a share of the network's width."""


@dataclass(frozen=True)
class ScorePick(Pick):
    """An attention score.

    Attributes
    ----------
    layer
        Node id; `None` for the rollout.
    """

    layer: str | None
    head: int
    query: int
    key: int


@dataclass(frozen=True)
class Sheet:
    """One head of one attention layer, or the rollout of all of them.

    Attributes
    ----------
    layer
        Node id; `None` for the rollout.
    """

    layer: str | None
    head: int = 0

    @property
    def name(self) -> str:
        """Name of its primitives."""
        return "attention rollout" if self.layer is None else f"attention head {self.head} of {self.layer}"


@dataclass(frozen=True)
class PlacedSheet:
    """A sheet with its position.

    Attributes
    ----------
    origin
        World coordinates of its lower left rear corner.
    cell
        World length of the side of a cell.
    shape
        Numbers of queries and keys.
    """

    sheet: Sheet
    origin: Vector
    cell: float
    shape: tuple[int, int]

    @property
    def size(self) -> Vector:
        """World extent."""
        return self.shape[1] * self.cell, self.shape[0] * self.cell, self.cell

    def span(self, pick: ScorePick) -> Span:
        """Return the box of one score."""
        x, y, z = self.origin
        low = (x + pick.key * self.cell, y + (self.shape[0] - 1 - pick.query) * self.cell, z)
        return Span(low, (self.cell, self.cell, self.cell))

    def pick(self, cell: tuple[int, int, int]) -> ScorePick:
        """Return the score in a cell."""
        return ScorePick(self.sheet.layer, self.sheet.head, self.shape[0] - 1 - cell[1], cell[0])


def attention_layers(context: SceneContext) -> dict[str, tuple[int, int, int]]:
    """Return the layers whose scores the capture holds, in order, with their numbers of heads, queries and keys."""
    found = {}
    for node in context.graph:
        scores = read_attention(context.capture.stored, node.id, 0)
        if scores is not None:
            found[node.id] = (scores.shape[0], scores.shape[1], scores.shape[2])
    return found


def chained(context: SceneContext) -> tuple[str, ...]:
    """Return the layers of a rollout: consecutive self-attention layers of equal length.

    The result is empty if there are fewer than two.
    """
    return _chain(context)[0]


def why_no_rollout(context: SceneContext) -> str:
    """Return the reason why several attention layers have no rollout; empty if they have one, or for a single layer."""
    return _chain(context)[1]


def _chain(context: SceneContext) -> tuple[tuple[str, ...], str]:
    layers = attention_layers(context)
    if len(layers) < 2:
        return (), ""
    own = tuple(name for name, (_, t, s) in layers.items() if t == s and _looks_at_itself(context.graph, name))
    if len(own) < 2:
        count = "only one layer" if own else "no layer"
        return (), f"{count} attends from a sequence to itself"
    lengths = sorted({layers[name][1] for name in own})
    if len(lengths) > 1:
        return (), f"sequences of {' and '.join(map(str, lengths))} positions"
    for before, behind in pairwise(own):
        if before not in context.graph.ancestors(behind):
            return (), f"{behind.split('/')[-1]} does not follow {before.split('/')[-1]}"
    return own, ""


def _looks_at_itself(graph: ModelGraph, name: str) -> bool:
    """Whether a layer is self-attention; in older captures only its inputs show this."""
    known = graph.node(name).details.get("self_attention")
    return len(graph.sources(name)) == 1 if known is None else bool(known)


def sheet_scores(context: SceneContext, sheet: Sheet, sample: int) -> NDArray[np.float32] | None:
    """Return a sheet's numbers, ``(queries, keys)``; `None` if the sample was captured without scores."""
    explanations = context.capture.explanations(sample)
    if sheet.layer is not None:
        scores = explanations.attention(sheet.layer)
        return None if scores is None else scores[sheet.head]
    found = [explanations.attention(name) for name in chained(context)]
    known = [scores for scores in found if scores is not None]
    return rollout(known) if known and len(known) == len(found) else None


def place_sheets(context: SceneContext, *, with_rollout: bool = True) -> tuple[PlacedSheet, ...]:
    """Lay out all sheets.

    Layers are in a line from left to right. The heads of each layer are wrapped into the number of lines that makes the
    sheets largest, within the maximum height. The rollout is one sheet, as high as a layer.
    """
    layers = attention_layers(context)
    through = chained(context) if with_rollout else ()
    left, right = context.plan.bounds_x
    width = right - left
    most = max((heads for heads, _, _ in layers.values()), default=1)
    words = _WORDS if through and tokens_of(context, through[0], 0) is not None else 0.0
    lines = max(range(1, most + 1), key=lambda n: _scale(layers, bool(through), n, width, words))
    side = _scale(layers, bool(through), lines, width, words)
    tall = lines + (lines - 1) * _ABOVE
    bottom = max(row.top for row in context.plan.rows) + _LIFT * width
    free = width - side * (_across(layers, bool(through), lines) + words)
    groups = len(layers) + bool(through)
    x = left + free / (groups + 1)
    found: list[PlacedSheet] = []
    for name, (heads, queries, keys) in layers.items():
        columns = math.ceil(heads / lines)
        for head in range(heads):
            line, column = divmod(head, columns)
            corner = (x + column * (1 + _BETWEEN) * side, bottom + (tall - 1 - line * (1 + _ABOVE)) * side)
            found.append(_placed_sheet(Sheet(name, head), corner, side, (queries, keys)))
        x += side * (columns + (columns - 1) * _BETWEEN + _APART) + free / (groups + 1)
    if through:
        length = layers[through[0]][1]
        found.append(_placed_sheet(Sheet(None), (x + words * side, bottom), side * tall, (length, length)))
    return tuple(found)


def _placed_sheet(sheet: Sheet, corner: tuple[float, float], side: float, shape: tuple[int, int]) -> PlacedSheet:
    """Fit a sheet into a square, in its middle."""
    cell = side / max(shape)
    x, y = (at + (side - n * cell) / 2 for at, n in zip(corner, reversed(shape), strict=True))
    return PlacedSheet(sheet, (x, y, -cell / 2), cell, shape)


def _across(layers: dict[str, tuple[int, int, int]], through: bool, lines: int) -> float:
    """Return the width of all layers side by side, in sides of a sheet."""
    columns = [math.ceil(heads / lines) for heads, _, _ in layers.values()]
    last = lines + (lines - 1) * _ABOVE if through else 0.0
    return sum(c + (c - 1) * _BETWEEN for c in columns) + _APART * (len(columns) - 1 + through) + last


def _scale(layers: dict[str, tuple[int, int, int]], through: bool, lines: int, width: float, words: float) -> float:
    """Return the world length of a sheet's side if the heads of each layer are wrapped into a number of lines."""
    return min(width / (_across(layers, through, lines) + words), _HIGHEST * width / (lines + lines * _ABOVE))
