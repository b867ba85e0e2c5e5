"""Parts of an exported page: tables of frames with the records and arrays that earlier parts do not hold.

A page opens when it has read its first part, and reads the others while the first one is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.html.frames import FrameTable, TableKey, series_of
from nnviz3d.apps.export.html.packs import Pack, differences, pack_arrays, pack_text
from nnviz3d.client.encoding import Additions, Record
from nnviz3d.scene.views.points.trajectory import on_spline

_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class PagePart:
    """A packed part.

    Attributes
    ----------
    key
        What its table shows.
    first_record, first_array
        Indices of its first record and of its first array.
    arrays
        For each array its type, its shape, and the index of the array that it is the difference from, or -1. Moving
        points are in no pack: further on are the index of the array of their steps, and the moments between the steps.
    groups
        For each pack of arrays the indices of its arrays.
    packs
        The packs of arrays.
    text
        The pack with the records and the table.
    blocks
        The index of the cells by layer, for the layers whose blocks are in the part.
    """

    key: TableKey
    first_record: int
    first_array: int
    arrays: list[tuple[Any, ...]]
    groups: list[list[int]]
    packs: list[Pack]
    text: Pack
    blocks: dict[str, set[int]]

    @property
    def layers(self) -> dict[str, float]:
        """Bytes that the cells of each layer take in the file."""
        return {layer: sum(self.sizes.get(i, 0.0) for i in cells) for layer, cells in self.blocks.items()}

    @cached_property
    def sizes(self) -> dict[int, float]:
        """Bytes in the file by array, estimated from the share of its pack."""
        found: dict[int, float] = {}
        for group, pack in zip(self.groups, self.packs, strict=True):
            bytes_of = [_bytes(*self.arrays[i - self.first_array][:2]) for i in group]
            found |= {i: pack.size * n / max(sum(bytes_of), 1) for i, n in zip(group, bytes_of, strict=True)}
        return found


class Packer:
    """Packs the parts of a page in their order.

    Parameters
    ----------
    rounded
        Whether the cells of blocks are rounded to float16.
    """

    def __init__(self, *, rounded: bool = False) -> None:
        self._rounded = rounded
        self._arrays: dict[int, NDArray[Any]] = {}
        self._records: dict[int, Record] = {}

    def pack(
        self,
        table: FrameTable,
        added: Additions,
        step: Callable[[], None] = lambda: None,
    ) -> PagePart:
        """Pack a table and what an encoder added for it.

        Parameters
        ----------
        step
            Is called after each pack.
        """
        records = dict(enumerate(added.records, added.first_record))
        self._records |= records
        arrays = dict(enumerate(added.arrays, added.first_array))
        if self._rounded:
            cells = cells_of(records)
            arrays = {i: rounded(array) if i in cells else array for i, array in arrays.items()}
        self._arrays |= arrays
        moving = {i: motion for i, motion in table.motions.items() if i in arrays and self._moves(arrays[i], motion)}
        held = {i: array for i, array in arrays.items() if i not in moving}
        earlier = differences(self._arrays, [one for one in series_of(self._records) if one[-1] >= added.first_array])
        earlier = {i: before for i, before in earlier.items() if i in held and before not in moving}
        packed = []
        for found in pack_arrays(held, self._arrays, earlier):
            packed.append(found)
            step()
        key = table.key
        words = {
            "records": added.records,
            "table": {
                "layout": key.layout,
                "sample": key.sample,
                "quantity": key.quantity,
                "background": table.background,
                "frames": table.frames,
                "runs": table.runs,
                "picks": table.picks[0],
                "pick_of": table.picks[1],
                "sums": table.sums,
                **table.looks,
            },
        }
        return PagePart(
            key,
            added.first_record,
            added.first_array,
            [(one.dtype.name, list(one.shape), earlier.get(i, -1), *moving.get(i, ())) for i, one in arrays.items()],
            [group for group, _ in packed],
            [pack for _, pack in packed],
            pack_text(json.dumps(words, separators=(",", ":"), allow_nan=False)),
            table.blocks,
        )

    def _moves(self, array: NDArray[Any], motion: tuple[int, tuple[float, ...]]) -> bool:
        """Whether a motion reproduces an array bit for bit."""
        way, moments = motion
        found = np.stack([on_spline(self._arrays[way], moment) for moment in moments], axis=1)
        return found.dtype == array.dtype and found.size == array.size and found.tobytes() == array.tobytes()


def cells_of(records: Mapping[int, Record]) -> frozenset[int]:
    """Return the indices of arrays that are the cells of blocks."""
    values = (record["values"] for record in records.values() if isinstance(record.get("values"), dict))
    return frozenset(value["a"] for value in values if "a" in value)


def rounded(array: NDArray[Any]) -> NDArray[Any]:
    """Round float32 to float16; an array with numbers beyond float16 stays as it is."""
    if array.dtype != np.float32:
        return array
    finite = array[np.isfinite(array)]
    if finite.size and float(np.abs(finite).max()) > _HALF:
        return array
    return array.astype("<f2")


def _bytes(dtype: str, shape: Sequence[int]) -> int:
    return int(np.prod(shape)) * np.dtype(dtype).itemsize
