"""Marks and descriptions of picks in an exported file are those of the scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from nnviz3d.client.encoding import Encoder
from nnviz3d.client.pick_tables import pick_tables
from nnviz3d.render import picking
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from tests.client.test_picking_js import SIZE, as_given, points_of, poses_of
from tests.support.client import page_with, send
from tests.support.gallery import READY
from tests.support.scenes import bundled_scene

pytestmark = pytest.mark.chromium

POINTS = 40
"""Points of each picture."""
_MARKS = """({ frame, table, pose, size, points }) => {
  const plain = (value) => {
    if (value && value.data && value.shape) return { data: [...value.data].map(String), shape: value.shape };
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
  };
  const drawList = store.frame(frame);
  const words = new client.PickWords(store.record(table));
  return points.map((at) => plain(words.marks(words.pick(client.pick(drawList, pose, size, at)), drawList)));
}"""


@pytest.fixture(scope="module")
def page(chromium: Any) -> Any:
    return page_with(chromium, "picking.js", "pick_words.js")


def same(found: Any, wanted: Any) -> bool:
    """Whether a value of the browser is a value of Python; coordinates may differ in their last digits."""
    if isinstance(wanted, np.ndarray):
        numbers = np.array([float(text) for text in found["data"]]).reshape(found["shape"])
        return numbers.shape == wanted.shape and np.allclose(numbers, wanted, rtol=1e-5, atol=1e-5)
    if is_dataclass(wanted):
        named = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
        right = found.keys() == {"kind", *named} and found["kind"] == type(wanted).__name__
        return right and all(same(found[name], value) for name, value in named.items())
    if isinstance(wanted, tuple | list):
        return len(found) == len(wanted) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    if isinstance(wanted, float):
        return bool(np.isclose(found, wanted, rtol=1e-5, atol=1e-5))
    return bool(found == wanted)


def checked(page: Any, scene: Scene, selection: Selection, times: tuple[float, ...]) -> Counter:
    """Pick at points of some pictures; returns how often each kind of pick was described alike."""
    encoder, rng, counts = Encoder(), np.random.default_rng(4), Counter()
    drawn = [(t, scene.at(t, selection)) for t in times]
    encoded = [encoder.frame(what) for _, what in drawn]
    found = pick_tables(scene, drawn, selection)
    records = [encoder.record(table) for table in found.tables]
    send(page, encoder)
    assert not found.left_out
    for (t, what), frame, table in zip(drawn, encoded, found.of_frame, strict=True):
        moment = scene.as_of(t, selection)
        for pose in poses_of(scene.overview(aspect=16 / 9), rng)[:2]:
            points = rng.permutation(points_of(what, pose, rng))[:POINTS]
            given = {"frame": frame, "table": records[table], "pose": as_given(pose), "size": SIZE}
            marks = page.evaluate(_MARKS, given | {"points": points.tolist()})
            for at, shown in zip(points, marks, strict=True):
                hit = picking.pick(what, pose, SIZE, tuple(at))
                pick = None if hit is None else moment.pick(hit, selection)
                wanted = () if pick is None else moment.mark(pick, t, selection)
                counts[type(pick).__name__] += 1
                assert same(shown, wanted), (pick, shown, wanted)
    return counts


@pytest.mark.parametrize("name", READY)
def test_marks_in_a_bundled_scene_are_those_of_python(page: Any, name: str) -> None:
    scene = bundled_scene(name)
    counts = checked(page, scene, Selection(), (0.6 * scene.duration, scene.duration))
    assert len(counts) > 1
    assert counts["NoneType"] < 0.8 * counts.total()
