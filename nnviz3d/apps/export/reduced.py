"""Choice of the cells that a file of limited size holds: in large layers only those with the largest |numbers|."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.faces import Faces, count_faces, drawn_cells, visible_faces
from nnviz3d.scene.primitives import Voxels

_TRIES = 14
"""Number of thresholds that are tried for a layer: a share of the numbers is halved each time."""


@dataclass(frozen=True, eq=False)
class ShownBlock:
    """A block and those of its cells that are shown.

    Attributes
    ----------
    drawn
        ``(X, Y, Z)``: the shown cells.
    wanted
        Number of cells that would be shown without a limit.
    threshold
        Least |number| that is shown.
    """

    block: Voxels
    drawn: NDArray[np.bool_]
    wanted: int
    threshold: float

    @property
    def cells(self) -> int:
        """Number of shown cells."""
        return int(np.count_nonzero(self.drawn))

    @property
    def faces(self) -> Faces:
        """The visible faces of the shown cells."""
        return visible_faces(self.drawn)

    @property
    def note(self) -> str | None:
        """One sentence about what is left out; `None` if all cells are shown."""
        if self.cells == self.wanted:
            return None
        return (
            f"{self.block.name}: {self.cells:,} of {self.wanted:,} cells, those of at least {self.threshold:.4g} in "
            "magnitude"
        )


def within(blocks: Sequence[Voxels], most: int) -> tuple[ShownBlock, ...]:
    """Choose the cells of blocks so that all their visible faces together are not more than a number.

    Small layers are kept whole. Large layers share the remaining faces equally, and keep their largest |numbers|. NaN and
    infinite numbers are always kept.
    """
    drawn = [drawn_cells(block) for block in blocks]
    counts = [count_faces(one) for one in drawn]
    share = _equal_share(counts, most)
    found = []
    for block, whole, count in zip(blocks, drawn, counts, strict=True):
        wanted = int(np.count_nonzero(whole))
        cells, threshold = (whole, block.threshold) if count <= share else _largest(block, whole, share)
        found.append(ShownBlock(block, cells, wanted, threshold))
    return tuple(found)


def _equal_share(counts: Sequence[int], most: int) -> int:
    """Return the largest limit for each of some counts, so that the limited counts sum up to at most `most`."""
    rest, left = most, len(counts)
    for count in sorted(counts):
        if count * left > rest:
            return rest // left
        rest -= count
        left -= 1
    return most


def _largest(block: Voxels, whole: NDArray[np.bool_], most: int) -> tuple[NDArray[np.bool_], float]:
    """Return the drawn cells with the largest |numbers|, with at most `most` visible faces, and their least |number|."""
    magnitudes = np.abs(block.values[whole])
    magnitudes = np.sort(magnitudes[np.isfinite(magnitudes)])
    low, high = 0, len(magnitudes)  # positions of the least shown number: too many faces, and few enough
    for _ in range(_TRIES):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        if count_faces(whole & ~(np.abs(block.values) < magnitudes[middle])) > most:
            low = middle
        else:
            high = middle
    threshold = float(magnitudes[high]) if high < len(magnitudes) else float("inf")
    return whole & ~(np.abs(block.values) < np.float32(threshold)), threshold
