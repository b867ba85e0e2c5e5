"""Labels of sheets of tokens: the words of the sample at the left of each row, and the names of numbered blocks above."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import MARGINS, fit, height_seen
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.token_names import shortened, tokens_of
from nnviz3d.scene.layout.plan import Placement, Plan
from nnviz3d.scene.layout.routes import ABOVE_SKIPS
from nnviz3d.scene.primitives import Label, Lines

_PRIORITY, _OF_BLOCK = 6.5, 2.5
_LINE, _CHARACTER = 14.0, 6.4
"""Height and average width of small text, in pixels of a picture that is 720 pixels high."""
_IN_BLOCK = re.compile(r"(.*?\d)([_./])(\D.*)")
"""The name of a layer in a numbered block: ``block1_dense``."""
_MOST_COLUMNS = 3
_AIR = 0.7
"""Room between two columns of words, in characters."""
_LEAST_EDGE = 0.4
"""World length of the part of an edge that stays free of words."""
_SAMPLES = 4
"""Number of samples whose longest word decides how much room the words get."""
_LEADER = (0.55, 0.6, 0.7, 0.3)


@dataclass(frozen=True)
class TokenColumns:
    """Positions of the words of tokens: in one column, or alternating between several if rows are lower than text.

    If rows are much lower than text, every second, fourth ... token has a word, with its position before it.

    Attributes
    ----------
    sheets
        The sheets with words at their left: of each row and lane of the layout the first one whose tokens are known.
    count
        Number of columns; word i is in column i % count, where the first column is next to the sheet.
    thinned
        Whether not every token has a word.
    width
        World width of a column.
    """

    sheets: tuple[Placement, ...]
    count: int
    width: float
    thinned: bool = False

    @staticmethod
    def of(context: SceneContext) -> TokenColumns:
        """Choose the columns by the height of a row and the longest word, as the overview shows them."""
        sheets = tuple(_first_sheets(context))
        if not sheets:
            return TokenColumns((), 1, 0.0)
        plan, capture = context.plan, context.capture
        # Without the removed samples of a series, whose words cannot be read.
        samples = [*range(min(capture.stored.committed, _SAMPLES)), *capture.added_samples][:_SAMPLES]
        words = [word for sheet in sheets for i in samples for word in tokens_of(context, sheet.node, i) or ()]
        longest = max((len(shortened(word)) for word in words), default=1)
        found = TokenColumns(sheets, 1, 0.0)
        # More and wider columns move the camera away, so each number of columns is tried at its own distance.
        for count in (count for count in range(1, _MOST_COLUMNS + 1) for _ in range(2)):
            points = np.concatenate([plan.filled, found.extent])
            pose = fit(points, *plan.angles, aspect=context.aspect, margins=MARGINS)
            pixels = [height_seen(pose, sheet.center) / 720 for sheet in sheets]
            room = all(count * s.cell[1] >= _LINE * pixel for s, pixel in zip(sheets, pixels, strict=True))
            if room and found.count == count and found.width:
                break
            found = TokenColumns(sheets, count, (longest + _AIR) * _CHARACTER * max(pixels))
        else:
            digits = len(str(max(sheet.grid.size[1] for sheet in sheets) - 1)) + 1
            width = (longest + digits + _AIR) * _CHARACTER * max(pixels)
            return TokenColumns(sheets, 1, width, thinned=True)
        return found

    @property
    def extent(self) -> NDArray[np.float64]:
        """The points that a picture has to contain for the words, ``(n, 3)`` world coordinates; may be empty."""
        points = []
        for sheet in self.sheets:
            x, y, z = sheet.origin
            left = x - sheet.lead - self.count * self.width - _LEAST_EDGE
            points += [(left, y, z), (left, y + sheet.size[1], z)]
        return np.array(points).reshape(-1, 3)

    def with_words(self, plan: Plan) -> Plan:
        """Return the plan with the words as a part of their sheets, so that edges end before the words if there is room."""
        placements = dict(plan.placements)
        for sheet in self.sheets:
            ends = [
                p.origin[0] + p.size[0]
                for p in plan.placements.values()
                if (p.row, p.lane) == (sheet.row, sheet.lane) and p.rank < sheet.rank
            ]
            width = self.count * self.width
            free = sheet.origin[0] - sheet.lead - max(ends, default=-np.inf) - _LEAST_EDGE
            placements[sheet.node] = replace(sheet, lead=sheet.lead + max(0.0, min(width, free)))
        return replace(plan, placements=placements)

    def labels(self, context: SceneContext, sample: int) -> tuple[Label, ...]:
        """Return a label for each token; those that are kept if there is no room for all have the highest priority."""
        labels = []
        for sheet in self.sheets:
            words = tokens_of(context, sheet.node, sample) or ()
            for i, word in enumerate(words):
                x, y, z = _corner(sheet, i)
                labels.append(
                    Label(
                        (x - (i % self.count) * self.width, y, z),
                        (f"{i} {shortened(word)}" if self.thinned else shortened(word),),
                        "left",
                        _PRIORITY + 0.1 * _twos(i // self.count),
                        0.85 if word else 0.4,
                        small=True,
                        fixed=True,
                        span=(0.0, sheet.cell[1], sheet.size[2]),
                    )
                )
        return tuple(labels)

    def leaders(self) -> Lines | None:
        """Return a line from each word that is not next to its row; `None` if all are."""
        ends = []
        for sheet in self.sheets:
            for i in range(sheet.grid.size[1]):
                x, y, z = _corner(sheet, i)
                y, z = y + sheet.cell[1] / 2, z + sheet.size[2] / 2
                if i % self.count:
                    ends.append([(x - (i % self.count) * self.width, y, z), (x, y, z)])
        if not ends:
            return None
        colors = np.tile(np.array(_LEADER, dtype=np.float32), (len(ends), 1))
        return Lines("tokens", np.array(ends, dtype=np.float32), colors)


def numbered_blocks(context: SceneContext) -> dict[str, tuple[str, str]]:
    """Split the names of sheets in numbered blocks: ``block1_dense`` into ``block1`` and ``dense``, by node."""
    found = {}
    for node in context.graph:
        parts = _IN_BLOCK.fullmatch(node.name) if context.placement(node.id).grid.tokens else None
        if parts is not None:
            # A closed group is named by its first and its last layer, which may be of the same block.
            found[node.id] = (parts[1], parts[3].replace(f" {parts[1]}{parts[2]}", " "))
    return found


def block_labels(context: SceneContext, blocks: Mapping[str, tuple[str, str]]) -> list[Label]:
    """Return a label above the sheets of each numbered block, in every row and lane of the layout that has some."""
    members: dict[tuple[str, int, int], list[Placement]] = {}
    for name, (block, _) in blocks.items():
        placement = context.placement(name)
        members.setdefault((block, placement.row, placement.lane), []).append(placement)
    labels = []
    for (block, _, _), sheets in members.items():
        left, right = min(p.origin[0] for p in sheets), max(p.origin[0] + p.size[0] for p in sheets)
        top = max(p.origin[1] + p.size[1] for p in sheets) + ABOVE_SKIPS
        labels.append(Label(((left + right) / 2, top, 0.0), (block,), "above", _OF_BLOCK, small=True))
    return labels


def _first_sheets(context: SceneContext) -> Iterable[Placement]:
    found: dict[tuple[int, int], Placement] = {}
    for placement in sorted(context.plan.placements.values(), key=lambda p: p.rank):
        if context.sequences.vectors.get(placement.node):
            found.setdefault((placement.row, placement.lane), placement)
    return found.values()


def _corner(sheet: Placement, token: int) -> tuple[float, float, float]:
    """Return the lower left rear corner of a token's row."""
    x, y, z = sheet.origin
    return x - sheet.lead, y + float(sheet.grid.token_rows[token]) * sheet.cell[1], z


def _twos(number: int) -> int:
    """Return how often a position can be halved, at most 6 times; 6 for the first one."""
    return 6 if number == 0 else min(6, (number & -number).bit_length() - 1)
