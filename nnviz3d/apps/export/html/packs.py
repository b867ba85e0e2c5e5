"""Packs: arrays and text as compressed bytes, in the form that `client/static/unpack.js` reads.

A pack of arrays holds the bytes of arrays whose numbers have one size, one array after the other. The bytes are shuffled:
first the lowest byte of all numbers, then the next one, because the bytes of one place are alike. Of an array that changes
little from one frame to the next, the pack holds the difference from the earlier array: the bits of both as integers,
subtracted, and folded so that small differences of either sign become small integers. Both are exact.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROOM = 1 << 20
"""Bytes from which a pack takes no further array. Arrays of this size have a pack of their own."""
_LEVEL = 6
_PROBED = 1 << 16
"""Bytes of an array on which it is tried whether its difference from an earlier array is smaller."""


@dataclass(frozen=True)
class Pack:
    """Compressed bytes.

    Attributes
    ----------
    raw
        Number of bytes before compression.
    packed
        The compressed bytes, as a zlib stream.
    """

    raw: int
    packed: bytes

    @property
    def text(self) -> str:
        """The compressed bytes in base64."""
        return base64.b64encode(self.packed).decode()

    @property
    def size(self) -> int:
        """Number of characters of `text`."""
        return -(-len(self.packed) // 3) * 4


def pack_text(text: str) -> Pack:
    """Pack a text."""
    data = text.encode()
    return Pack(len(data), zlib.compress(data, 9))


def pack_arrays(
    arrays: Mapping[int, NDArray[Any]], known: Mapping[int, NDArray[Any]], earlier: Mapping[int, int]
) -> Iterator[tuple[list[int], Pack]]:
    """Pack arrays; yields the indices of the arrays in each pack, and the pack.

    Parameters
    ----------
    arrays
        C-contiguous, little-endian arrays by index.
    known
        The same arrays and those of earlier parts.
    earlier
        Indices of the known arrays that arrays are stored as differences from; `differences` chooses them.
    """
    waiting: dict[int, list[int]] = {}
    for index, array in arrays.items():
        size = array.itemsize
        group = waiting.setdefault(size, [])
        if group and sum(arrays[i].nbytes for i in group) + array.nbytes > _ROOM:
            yield group, _pack([_bits(i, known, earlier) for i in group], size)
            group = waiting[size] = []
        group.append(index)
    for size, group in waiting.items():
        yield group, _pack([_bits(i, known, earlier) for i in group], size)


def differences(arrays: Mapping[int, NDArray[Any]], series: Sequence[Sequence[int]]) -> dict[int, int]:
    """Choose the arrays that are smaller as the difference from an earlier one.

    Parameters
    ----------
    series
        Indices of arrays that follow each other in time, of one field of one primitive.

    Returns
    -------
    The index of the earlier array by the index of the array. The earlier array is always the smaller index.
    """
    found: dict[int, int] = {}
    for indices in series:
        for before, index in pairwise(indices):
            one, other = arrays[index], arrays[before]
            if index in found or before >= index or one.itemsize != 4 or one.shape != other.shape:
                continue
            if one.dtype == other.dtype and _smaller(one, other):
                found[index] = before
    return found


def _bits(index: int, arrays: Mapping[int, NDArray[Any]], earlier: Mapping[int, int]) -> NDArray[np.uint8]:
    """Return the bytes to be stored of an array, ``(numbers, bytes of a number)``."""
    array = arrays[index].reshape(-1)
    if index in earlier:
        array = _folded(array, arrays[earlier[index]].reshape(-1))
    return array.view(np.uint8).reshape(array.size, array.itemsize)


def _folded(one: NDArray[Any], before: NDArray[Any]) -> NDArray[np.uint32]:
    change = (one.view(np.uint32) - before.view(np.uint32)).view(np.int32)
    return ((change << 1) ^ (change >> 31)).view(np.uint32)


def _smaller(one: NDArray[Any], before: NDArray[Any]) -> bool:
    """Whether the difference from an earlier array compresses better than the array, measured on the first part of both."""
    part, earlier = (array.reshape(-1)[: _PROBED // 4] for array in (one, before))
    plain = part.view(np.uint8).reshape(-1, 4)
    change = _folded(part, earlier).view(np.uint8).reshape(-1, 4)
    return len(zlib.compress(change.T.tobytes(), 1)) < 0.9 * len(zlib.compress(plain.T.tobytes(), 1))


def _pack(parts: Sequence[NDArray[np.uint8]], size: int) -> Pack:
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    data = np.ascontiguousarray(whole.T).data if size > 1 else whole.data
    return Pack(whole.size, zlib.compress(data, _LEVEL))
