"""Reader of an exported page: what the file holds, without a browser."""

from __future__ import annotations

import base64
import json
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = tuple[str, int, str | None]
"""Layout, sample and quantity."""


class Elements(HTMLParser):
    """The texts of all scripts and styles, by id or kind, and the policy."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.policy = ""
        self.tags: list[str] = []
        self._now: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        if tag in ("script", "style", "title"):
            self._now = given.get("id") or given.get("type") or tag
            self.texts.setdefault(self._now, "")

    def handle_endtag(self, tag: str) -> None:
        self._now = None

    def handle_data(self, data: str) -> None:
        if self._now is not None:
            self.texts[self._now] += data


def spline(way: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """Return the point of a Catmull-Rom spline by its blending functions; see Catmull and Rom 1974."""
    k = int(t)
    if t == k:
        return way[k]
    last, u = len(way) - 1, t - k
    a, b, c, d = (way[min(max(i, 0), last)].astype(np.float64) for i in range(k - 1, k + 3))
    found = b + u / 2 * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return np.asarray(found, dtype=np.float32)


class ExportedPage:
    """The content of an exported page.

    Attributes
    ----------
    words
        What the page says.
    records, arrays
        The records in full, and the arrays with their bits restored.
    tables
        For each table the record indices of every moment.
    """

    def __init__(self, path: Path) -> None:
        self.html = Elements()
        self.html.feed(path.read_text(encoding="utf-8"))
        self.words: dict[str, Any] = json.loads(self.pack(0))
        self.records: list[dict[str, Any]] = []
        self.arrays: list[NDArray[Any]] = []
        self.tables: dict[Table, list[list[int]]] = {}
        self.looks: dict[Table, dict[str, Any]] = {}
        for part in self.words["parts"]:
            self._read(part)

    def pack(self, number: int) -> bytes:
        return zlib.decompress(base64.b64decode(self.html.texts[f"pack-{number}"], validate=True))

    def _read(self, part: dict[str, Any]) -> None:
        words = json.loads(self.pack(part["text"]))
        assert part["first_record"] == len(self.records)
        for record in words["records"]:
            own = {key: value for key, value in record.items() if key != "like"}
            self.records.append({**(self.records[record["like"]] if "like" in record else {}), **own})
        assert part["first_array"] == len(self.arrays)
        bits: dict[int, bytes] = {}
        for group, pack in zip(part["groups"], part["packs"], strict=True):
            dtype = np.dtype(part["arrays"][group[0] - part["first_array"]][0])
            data = np.frombuffer(self.pack(pack), np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
            at = 0
            for index in group:
                name, shape = part["arrays"][index - part["first_array"]][:2]
                length = int(np.prod(shape)) * np.dtype(name).itemsize
                bits[index], at = data[at : at + length], at + length
            assert at == len(data)
        for index, (name, shape, before, *motion) in enumerate(part["arrays"], part["first_array"]):
            if motion:
                self.arrays.append(("moving", shape, *motion))  # type: ignore[arg-type]
                continue
            found = np.frombuffer(bits[index], name)
            if before >= 0:
                folded = np.frombuffer(bits[index], np.uint32).astype(np.int64)
                change = np.where(folded & 1, -((folded + 1) >> 1), folded >> 1)
                earlier = self.arrays[before].reshape(-1).view(np.uint32).astype(np.int64)
                found = ((earlier + change) % 2**32).astype(np.uint32).view(name)
            self.arrays.append(found.reshape(shape))
        for index, array in enumerate(self.arrays):
            if isinstance(array, tuple):
                _, shape, way, times = array
                self.arrays[index] = np.stack([spline(self.arrays[way], t) for t in times], axis=1).reshape(shape)
        table = words["table"]
        key = (table["layout"], table["sample"], table["quantity"])
        self.looks[key] = table
        frames: list[list[int]] = []
        for changes in table["frames"]:
            if not frames or changes[0] == -1:
                frames.append(changes[1:] if frames else changes)
                continue
            frames.append(list(frames[-1]))
            for place, record in zip(changes[::2], changes[1::2], strict=True):
                frames[-1][place] = record
        self.tables[key] = [frame for frame, count in zip(frames, table["runs"], strict=True) for _ in range(count)]

    def block(self, table: Table, name: str, moment: int = -1) -> dict[str, Any]:
        """Return the record of a block of voxels."""
        records = (self.records[i] for i in self.tables[table][moment])
        return next(one for one in records if one["kind"] == "Voxels" and one["name"] == name)

    def values(self, table: Table, name: str) -> NDArray[Any]:
        """Return the cells of a block, ``(X, Y, Z)``."""
        return self.arrays[self.block(table, name)["values"]["a"]].T
