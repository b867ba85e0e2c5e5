"""Layout of several tensors in one row of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from nnviz3d.errors import CaptureError

Count = Annotated[int, Field(ge=0, lt=2**40)]
Entries = tuple[tuple[str, str, tuple[Count, ...]], ...]
_ENTRIES: TypeAdapter[Entries] = TypeAdapter(Entries)


@dataclass(frozen=True)
class Packing:
    """Layout of several tensors in one row of numbers; many small arrays would take more time.

    Parameters
    ----------
    entries
        Owner, part and shape of each tensor, in the order of the row.
    """

    entries: Entries = ()

    @cached_property
    def _spans(self) -> dict[tuple[str, str], tuple[int, tuple[int, ...]]]:
        spans, start = {}, 0
        for owner, part, shape in self.entries:
            spans[owner, part] = (start, shape)
            start += math.prod(shape)
        return spans

    @property
    def width(self) -> int:
        """Number of numbers in a row."""
        return sum(math.prod(shape) for _, _, shape in self.entries)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._spans

    def span(self, owner: str, part: str) -> tuple[slice, tuple[int, ...]]:
        """Return the slice of a row that holds a tensor, and the tensor's shape."""
        start, shape = self._spans[owner, part]
        return slice(start, start + math.prod(shape)), shape

    def parts(self, owner: str) -> tuple[str, ...]:
        """Return the names of one owner's parts."""
        return tuple(part for name, part, _ in self.entries if name == owner)

    def pack(self, tensors: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
        """Join tensors, in the order of the entries, to one row."""
        flat = [np.asarray(tensor, dtype=np.float32).reshape(-1) for tensor in tensors]
        row = np.concatenate(flat) if flat else np.empty(0, np.float32)
        if row.shape != (self.width,):
            raise CaptureError(f"A row has {self.width} numbers, got {row.size}.")
        return row

    def to_json(self) -> list[Any]:
        """Return plain lists."""
        return [[owner, part, list(shape)] for owner, part, shape in self.entries]

    @staticmethod
    def from_json(data: Any) -> Packing:
        """Read the result of `to_json`; any other value is a `ValueError`."""
        return Packing(_ENTRIES.validate_python(data))
