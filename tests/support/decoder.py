"""Reader of encoded draw lists that follows `static/store.js`, and compares them with the draw lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.client.encoding import Encoder, Frame
from nnviz3d.scene.primitives import DrawList, Voxels


class Decoder:
    """Reads records as `static/store.js` does."""

    def __init__(self) -> None:
        self.records: dict[int, dict[str, Any]] = {}
        self.arrays: dict[int, np.ndarray] = {}

    def add(self, encoder: Encoder) -> None:
        added = encoder.take()
        self.put(dict(enumerate(added.records, added.first_record)), dict(enumerate(added.arrays, added.first_array)))

    def put(self, records: Mapping[int, dict[str, Any]], arrays: Mapping[int, NDArray[Any]]) -> None:
        self.arrays.update(arrays)
        for i, record in records.items():
            own = {key: value for key, value in record.items() if key != "like"}
            self.records[i] = {**(self.records[record["like"]] if "like" in record else {}), **own}

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "r" in value:
            return self.records[value["r"]]
        return self.arrays[value["a"]] if "a" in value else float(value["x"].replace("Infinity", "inf"))

    def check(self, record: dict[str, Any], given: Any) -> None:
        assert record["kind"] == type(given).__name__
        assert record.keys() == {"kind", *(field.name for field in fields(given))}
        for field in fields(given):
            found, wanted = self.value(record[field.name]), getattr(given, field.name)
            if isinstance(given, Voxels) and field.name == "values":
                wanted = wanted.T
            self.compare(found, wanted)

    def compare(self, found: Any, wanted: Any) -> None:
        if isinstance(wanted, np.ndarray):
            assert found.shape == wanted.shape
            np.testing.assert_array_equal(found, wanted)
        elif is_dataclass(wanted):
            self.check(found, wanted)
        elif isinstance(wanted, tuple | list):
            assert len(found) == len(wanted)
            for a, b in zip(found, wanted, strict=True):
                self.compare(a, b)
        else:
            assert found == wanted or (found != found and wanted != wanted)

    def frame(self, frame: Frame, given: DrawList) -> None:
        assert [tuple(color) for color in frame["background"]] == list(given.background)
        for index, primitive in zip(frame["primitives"], given.primitives, strict=True):
            self.check(self.records[index], primitive)
