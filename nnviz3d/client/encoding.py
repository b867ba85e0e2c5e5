"""Encoding of draw lists as records and arrays, which `static/store.js` turns back into draw lists.

A record is the JSON form of a dataclass: a primitive, a label, a row, a colour map. Its values are JSON scalars, lists,
``{"r": i}`` for the record `i`, ``{"a": i}`` for the array `i`, and ``{"x": "NaN"}``, ``{"x": "Infinity"}`` and
``{"x": "-Infinity"}`` for numbers that JSON lacks. ``kind`` is the name of the class, the other keys are its fields.
A primitive that differs from an earlier one of its kind and name is ``{"like": i, FIELD: value, ...}``: the record `i`
with other values of some fields. A frame is its background and the records of its primitives.

Equal records and equal arrays are encoded once, so many frames of a scene take little more room than one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import DrawList, Voxels

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = dict[str, Any]
"""JSON form of a dataclass; see the module."""

_DTYPES = {
    "bool": "uint8",
    "uint8": "uint8",
    "int32": "int32",
    "int64": "int32",
    "float16": "float16",
    "float32": "float32",
    "float64": "float64",
}
"""Type of an array as the client gets it, by its type in Python."""
_HASHED = 8192
"""About how many numbers of an array, evenly spread, are hashed to find an equal one; those with one hash are compared."""
_SPECIAL = {math.inf: "Infinity", -math.inf: "-Infinity"}


class Frame(TypedDict):
    """A picture.

    Attributes
    ----------
    background
        Colours at the bottom and at the top.
    primitives
        Indices of the records of its primitives, in their order.
    """

    background: list[list[float]]
    primitives: list[int]


@dataclass(frozen=True, eq=False)
class Additions:
    """Records and arrays that an encoder has made since they were last taken.

    Attributes
    ----------
    first_record, first_array
        Index of the first record and of the first array; the others follow without a gap.
    records, arrays
        The records, and the arrays: C-contiguous, little-endian, of a type that JavaScript has a typed array for, or
        float16. Cells of a block are ``(Z, Y, X)``.
    """

    first_record: int
    records: tuple[Record, ...]
    first_array: int
    arrays: tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Forgotten:
    """Indices of records and arrays that no frame needs any more."""

    records: tuple[int, ...]
    arrays: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lacking:
    """Records and arrays that a frame needs and one client lacks, by index, in rising order.

    The arrays have the types of those in `Additions`, but may lie in the memory in any order.
    """

    records: dict[int, Record]
    arrays: dict[int, NDArray[Any]]


class Encoder:
    """Encodes draw lists. Each index means the same record or array as long as the encoder lives.

    Attributes
    ----------
    nbytes
        Size of all arrays that it holds.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self._records: dict[int, Record] = {}
        self._arrays: dict[int, NDArray[Any]] = {}
        self._next_record = self._next_array = 0
        self._taken_records = self._taken_arrays = 0
        # The objects are kept with their indices, because another object may get the identity of a deleted one.
        self._objects: dict[int, tuple[object, int]] = {}
        self._made_from: dict[int, object] = {}
        self._given: dict[tuple[int, bool], tuple[NDArray[Any], int]] = {}
        self._by_text: dict[str, int] = {}
        self._alike: dict[bytes, list[int]] = {}
        self._latest: dict[tuple[str, str], int] = {}
        self._full: dict[int, Record] = {}

    def frame(self, what: DrawList) -> Frame:
        """Encode a draw list; `take` returns the records and arrays that are new."""
        return {
            "background": [list(color) for color in what.background],
            "primitives": [self._record(primitive, latest=True) for primitive in what.primitives],
        }

    def record(self, value: DataclassInstance) -> int:
        """Encode a value that is no primitive, such as a colour map; returns the index of its record."""
        return self._record(value)

    def array(self, values: NDArray[Any]) -> int:
        """Encode an array; returns its index.

        Raises
        ------
        ValueError
            If it holds integers that do not fit into 32 bits.
        """
        return self._array(values, cells=False)

    def cells(self, block: Voxels) -> int:
        """Return the index of the cells of a block, in the order in which the client gets them."""
        return self._array(block.values, cells=True)

    def primitive_of(self, index: int) -> object | None:
        """Return the primitive that a record was made from last, or another value; `None` if there is no such record."""
        return self._made_from.get(index)

    def arrays_in(self, frames: Iterable[Frame]) -> frozenset[int]:
        """Return the indices of all arrays that some frames need."""
        return self._reached(frames)[1]

    def lacking(self, frame: Frame, records: AbstractSet[int], arrays: AbstractSet[int]) -> Lacking:
        """Return what a frame needs beyond the records and arrays that a client has.

        Unlike `take`, this serves clients that came late, and those that show other frames than the rest.
        """
        new_records, needed = self._reached([frame], records)
        return Lacking(
            {index: self._record_for(index, records | new_records) for index in sorted(new_records)},
            {index: self._arrays[index] for index in sorted(needed - arrays)},
        )

    def _record_for(self, index: int, known: AbstractSet[int]) -> Record:
        """Return a record in its short form, if a client knows the record that it is like."""
        record = self._records[index]
        return record if record.get("like", index) in known else self._full[index]

    @property
    def count(self) -> int:
        """Number of records that it holds."""
        return len(self._records)

    def array_size(self, index: int) -> int:
        """Return the number of bytes of an array."""
        return self._arrays[index].nbytes

    def take(self) -> Additions:
        """Return what is new since the last call."""
        first, self._taken_records = self._taken_records, self._next_record
        first_array, self._taken_arrays = self._taken_arrays, self._next_array
        return self.since(first, first_array)

    def since(self, first_record: int, first_array: int) -> Additions:
        """Return the records and arrays from these indices on; nothing of them may be forgotten yet."""
        return Additions(
            first_record,
            tuple(self._records[i] for i in range(first_record, self._next_record)),
            first_array,
            tuple(np.ascontiguousarray(self._arrays[i]) for i in range(first_array, self._next_array)),
        )

    def forget(self, kept: Sequence[Frame]) -> Forgotten:
        """Forget all records and arrays that these frames do not need; call it after `take`."""
        records, arrays = self._reached(kept)
        gone = Forgotten(
            tuple(i for i in self._records if i not in records), tuple(i for i in self._arrays if i not in arrays)
        )
        self._records = {i: v for i, v in self._records.items() if i in records}
        self._full = {i: v for i, v in self._full.items() if i in records}
        self._arrays = {i: v for i, v in self._arrays.items() if i in arrays}
        self.nbytes = sum(array.nbytes for array in self._arrays.values())
        self._objects = {k: v for k, v in self._objects.items() if v[1] in records}
        self._made_from = {i: v for i, v in self._made_from.items() if i in records}
        self._given = {k: v for k, v in self._given.items() if v[1] in arrays}
        self._by_text = {k: i for k, i in self._by_text.items() if i in records}
        alike = {key: [i for i in found if i in arrays] for key, found in self._alike.items()}
        self._alike = {key: found for key, found in alike.items() if found}
        self._latest = {k: i for k, i in self._latest.items() if i in records}
        return gone

    def _reached(
        self, frames: Iterable[Frame], known: AbstractSet[int] = frozenset()
    ) -> tuple[frozenset[int], frozenset[int]]:
        """Return the indices of the records and arrays that frames need, without known records and what only these need."""
        records: set[int] = set()
        arrays: set[int] = set()
        waiting = [i for frame in frames for i in frame["primitives"]]
        while waiting:
            index = waiting.pop()
            if index in records or index in known:
                continue
            records.add(index)
            for key, number in _references(self._full[index]):
                if key == "a":
                    arrays.add(number)
                else:
                    waiting.append(number)
        return frozenset(records), frozenset(arrays)

    def _record(self, value: Any, *, latest: bool = False) -> int:
        known = self._objects.get(id(value))
        if known is not None:
            return known[1]
        full: Record = {"kind": type(value).__name__}
        for field in fields(value):
            cells = isinstance(value, Voxels) and field.name == "values"
            full[field.name] = self._value(getattr(value, field.name), cells=cells)
        text = json.dumps(full, allow_nan=False)
        index = self._by_text.get(text)
        if index is None:
            index, self._next_record = self._next_record, self._next_record + 1
            key = (full["kind"], full.get("name", ""))
            self._records[index] = self._shortened(full, self._latest.get(key)) if latest else full
            self._full[index] = full
            self._by_text[text] = index
            if latest:
                self._latest[key] = index
        self._objects[id(value)] = value, index
        self._made_from[index] = value
        return index

    def _shortened(self, full: Record, like: int | None) -> Record:
        """Return the differences of a record from an earlier one, if they are few."""
        if like is None:
            return full
        before = self._full[like]
        changes = {key: value for key, value in full.items() if before[key] != value}
        return {"like": like, **changes} if len(changes) < len(full) - 1 else full

    def _value(self, value: Any, *, cells: bool = False) -> Any:
        if isinstance(value, np.ndarray):
            return {"a": self._array(value, cells=cells)}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"x": _SPECIAL.get(value, "NaN")}
        if isinstance(value, str | int | float | None):
            return value
        if isinstance(value, tuple | list):
            return [self._value(one) for one in value]
        if is_dataclass(value):
            return {"r": self._record(value)}
        raise TypeError(f"A {type(value).__name__} cannot be encoded.")

    def _array(self, values: NDArray[Any], *, cells: bool) -> int:
        known = self._given.get((id(values), cells))
        if known is not None:
            return known[1]
        encoded = _encoded(values.T if cells else values)
        alike = self._alike.setdefault(_fingerprint(encoded), [])
        index = next((i for i in alike if np.array_equal(_bits_of(self._arrays[i]), _bits_of(encoded))), None)
        if index is None:
            index, self._next_array = self._next_array, self._next_array + 1
            self._arrays[index] = encoded
            self.nbytes += encoded.nbytes
            alike.append(index)
        self._given[id(values), cells] = values, index
        return index


def _encoded(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array as little-endian numbers of a type that the client knows; the same memory if it holds them."""
    name = _DTYPES.get(values.dtype.name)
    if name is None:
        raise TypeError(f"An array of {values.dtype} cannot be encoded.")
    if values.dtype == np.int64 and values.size and (values.min() < -(2**31) or values.max() >= 2**31):
        raise ValueError("An array of integers that do not fit into 32 bits cannot be encoded.")
    return np.asarray(values, dtype=np.dtype(name).newbyteorder("<"))


def _fingerprint(array: NDArray[Any]) -> bytes:
    """Return a hash of an array's type, shape and some of its numbers: a hash of all takes longer than to send them."""
    digest = hashlib.blake2b(f"{array.dtype} {array.shape} ".encode(), digest_size=16)
    step = math.ceil((array.size / _HASHED) ** (1 / max(array.ndim, 1))) or 1
    digest.update(array[(slice(None, None, step),) * array.ndim].tobytes())
    return digest.digest()


def _bits_of(array: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers as integers with the same bits, so that equal NaN are equal."""
    return array.view(f"u{array.itemsize}")


def _references(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the references to records and arrays in a value."""
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in ("a", "r") and isinstance(one, int) and len(value) == 1:
                yield key, one
            else:
                yield from _references(one)
