"""Choice of the faces that a file of limited size holds: first those that are seen from outside a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.faces import Faces, drawn_cells, first_faces, open_faces
from nnviz3d.scene.primitives import Voxels

_TIERS = 3
"""Faces that are the first ones from one of the six sides; other faces of the same cells; all others."""


@dataclass(frozen=True, eq=False)
class ShownBlock:
    """A block and those of its faces that are shown.

    Attributes
    ----------
    cells
        Number of its drawn cells.
    faces
        The shown faces.
    visible
        Number of faces that no other drawn cell covers; without a limit all of them are shown.
    """

    block: Voxels
    cells: int
    faces: Faces
    visible: int

    @property
    def note(self) -> str | None:
        """Words on the faces that are left out; `None` if there are none."""
        if len(self.faces) == self.visible:
            return None
        return f"{self.block.name} {len(self.faces):,} of {self.visible:,}"


def within(blocks: Sequence[Voxels], most: int) -> tuple[ShownBlock, ...]:
    """Choose faces of blocks, together at most a number.

    Faces that are seen first from one of the six sides come before all others, so that a block looks whole from outside;
    then come the other faces of the same cells. Where not all faces of a rank fit, small layers keep theirs, and large
    layers share the rest equally and keep the faces of their largest |numbers|.
    """
    found = [_ranked(block) for block in blocks]
    taken = [np.zeros(len(faces), dtype=bool) for _, faces, _ in found]
    rest = most
    for tier in range(_TIERS):
        members = [np.flatnonzero(tiers == tier) for _, _, tiers in found]
        share = equal_share([len(one) for one in members], rest)
        for block, (_, faces, _), chosen, one in zip(blocks, found, taken, members, strict=True):
            kept = one
            if len(one) > share:
                magnitudes = np.abs(block.values[tuple(faces.cells[one].T)])
                magnitudes[np.isnan(magnitudes)] = np.inf
                kept = one[np.argsort(-magnitudes, kind="stable")[:share]]
            chosen[kept] = True
            rest -= len(kept)
        if any(len(one) > share for one in members):
            break
    return tuple(
        ShownBlock(block, cells, Faces(faces.cells[chosen], faces.side[chosen]), len(faces))
        for block, (cells, faces, _), chosen in zip(blocks, found, taken, strict=True)
    )


def equal_share(counts: Sequence[int], most: int) -> int:
    """Return the largest limit for each of some counts, so that the limited counts sum up to at most `most`."""
    rest, left = most, len(counts)
    for count in sorted(counts):
        if count * left > rest:
            return rest // left
        rest -= count
        left -= 1
    return most


def _ranked(block: Voxels) -> tuple[int, Faces, NDArray[np.uint8]]:
    """Return the number of drawn cells, their visible faces, and the tier of each face, ``(n,)``."""
    drawn = drawn_cells(block)
    first = first_faces(drawn)
    outside = np.logical_or.reduce(first)
    cells, sides, tiers = [], [], []
    for number, open_ in enumerate(open_faces(drawn)):
        found = np.argwhere(open_).astype(np.int32)
        at = tuple(found.T)
        cells.append(found)
        sides.append(np.full(len(found), number, dtype=np.uint8))
        tiers.append(np.where(first[number][at], 0, np.where(outside[at], 1, 2)).astype(np.uint8))
    return int(np.count_nonzero(drawn)), Faces(np.concatenate(cells), np.concatenate(sides)), np.concatenate(tiers)
