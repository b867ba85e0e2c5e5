"""The layout of a network: where each block is, and the rows of blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import default_view
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.primitives import Vector

_ABOVE_SCALES = 0.09
"""Room between the names below the last row and the scales, as a share of the network's height."""
_WORDS_SHARE = 0.07
"""Width of the words beside the rows, tokens at the left and classes at the right, as a share of the network's width."""


@dataclass(frozen=True)
class Placement:
    """The placement of one node's block.

    Attributes
    ----------
    origin
        World coordinates of the smallest corner.
    cell
        World size of one cell along x, y and z.
    row, rank, lane
        Its row of the layout, its position along the flow, and its lane: 0 on the main path, positive above it.
    lead
        Free world width before the block.
    """

    node: str
    grid: CellGrid
    origin: Vector
    cell: Vector
    row: int
    rank: int
    lane: int
    lead: float = 0.0

    @property
    def size(self) -> Vector:
        """World extent."""
        x, y, z = (n * s for n, s in zip(self.grid.size, self.cell, strict=True))
        return x, y, z

    @property
    def center(self) -> Vector:
        """World coordinates of the middle."""
        x, y, z = (o + s / 2 for o, s in zip(self.origin, self.size, strict=True))
        return x, y, z


@dataclass(frozen=True)
class Row:
    """A row of the layout: the range of its blocks along y and along x."""

    bottom: float
    top: float
    left: float
    right: float


@dataclass(frozen=True)
class Plan:
    """The layout of a network, centred on the origin."""

    placements: Mapping[str, Placement]
    rows: tuple[Row, ...]
    headroom: float = 0.0
    """Free world height above each block."""
    leveled: bool = False
    """Whether each row is a resolution of a U-Net; else the rows follow one another like lines of text."""

    @property
    def angles(self) -> tuple[float, float]:
        """The default azimuth and elevation of the camera, in degrees."""
        return default_view(len(self.rows), tokens=any(p.grid.tokens for p in self.placements.values()))

    @property
    def filled(self) -> NDArray[np.float64]:
        """The points that the layout fills a picture with, ``(n, 3)``: all blocks, and room for words beside sheets."""
        blocks = self.corners()
        if not any(p.grid.tokens for p in self.placements.values()):
            return blocks
        left, right = self.bounds_x
        aside = np.array([_WORDS_SHARE * (right - left), 0.0, 0.0])
        return np.concatenate([blocks - aside, blocks + aside, self.names_below])

    @property
    def names_below(self) -> NDArray[np.float64]:
        """Points below the names of the last row's sheets of tokens, ``(n, 3)``, above the scales; none without sheets."""
        last = [p for p in self.placements.values() if p.grid.tokens and p.row == len(self.rows) - 1]
        bottom = self.rows[-1].bottom - _ABOVE_SCALES * (self.rows[0].top - self.rows[-1].bottom)
        return np.array([(x, bottom, 0.0) for p in last for x in (p.origin[0], p.origin[0] + p.size[0])]).reshape(-1, 3)

    @property
    def bounds_x(self) -> tuple[float, float]:
        """The leftmost and the rightmost x of all rows."""
        return min(row.left for row in self.rows), max(row.right for row in self.rows)

    def corners(self, nodes: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return the corners of all or some blocks with the room above and before, ``(8n, 3)`` world coordinates."""
        chosen = self.placements.values() if nodes is None else [self.placements[n] for n in nodes]
        before = np.array([(p.lead, 0.0, 0.0) for p in chosen])
        low = np.array([p.origin for p in chosen]) - before
        size = np.array([p.size for p in chosen]) + before + np.array([0.0, self.headroom, 0.0])
        unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        return np.asarray((low[:, np.newaxis] + unit * size[:, np.newaxis]).reshape(-1, 3))
