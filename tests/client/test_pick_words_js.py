"""Marks and descriptions of picks in an exported file are those of the scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from nnviz3d.client.encoding import Encoder
from nnviz3d.client.pick_parts import hits_on
from nnviz3d.client.pick_tables import MOST, pick_tables
from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.data.storage.gates import write_gates
from nnviz3d.data.targets import Target
from nnviz3d.render import picking
from nnviz3d.scene.facts import exact
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.primitives import Callout, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from tests.client.test_picking_js import SIZE, as_given, in_words, points_of, poses_of
from tests.support.captures import write
from tests.support.client import page_with, send
from tests.support.gallery import READY
from tests.support.graphs import chain
from tests.support.scenes import bundled_scene

pytestmark = pytest.mark.chromium

POINTS = 30
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


_OF_HITS = """({ frame, table, hits }) => {
  const drawList = store.frame(frame);
  const words = new client.PickWords(store.record(table));
  return hits.map(({ primitive, ...hit }) => {
    const marks = words.marks(words.pick({ ...hit, primitive: drawList.primitives[primitive] }), drawList);
    return marks.filter(({ kind }) => kind === "Callout").map(({ marks, rows }) => ({ marks, rows }));
  });
}"""


def parts_checked(page: Any, scene: Scene, selection: Selection, most: int = MOST) -> Counter:
    """Compare the callouts of some parts of each primitive; returns how often each kind of pick was described."""
    encoder, rng, counts = Encoder(), np.random.default_rng(0), Counter()
    t, what = scene.duration, scene.at(scene.duration, selection)
    frame = encoder.frame(what)
    found = pick_tables(scene, [(t, what)], selection, most=most)
    assert not found.left_out
    table = encoder.record(found.tables[0])
    send(page, encoder)
    hits = []
    for primitive in what.primitives:
        parts = None if getattr(primitive, "source", None) is None else hits_on(primitive)
        if parts is not None and parts.count:
            hits += [parts.make(int(k)) for k in rng.permutation(parts.count)[:25]]
    given = page.evaluate(_OF_HITS, {"frame": frame, "table": table, "hits": [in_words(hit, what) for hit in hits]})
    for hit, shown in zip(hits, given, strict=True):
        pick = scene.pick(hit, selection)
        marks = () if pick is None else scene.mark(pick, t, selection)
        callouts = [mark for mark in marks if isinstance(mark, Callout)]
        assert len(shown) == len(callouts), pick
        for one, callout in zip(shown, callouts, strict=True):
            assert same(one["rows"], callout.rows), (pick, one["rows"], callout.rows)
            assert same(one["marks"], callout.marks), (pick, one["marks"], callout.marks)
            counts[type(pick).__name__] += 1
    return counts


SHAPES: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = [
    ("vector", (52,), ()),
    ("signal", (30, 1), ()),
    ("sequence", (7, 5), ()),
    ("map", (6, 7, 4), ()),
    ("first", (4, 6, 7), ("channel", "row", "column")),
    ("volume", (3, 4, 5, 2), ()),
    ("first volume", (2, 3, 4, 5), ("channel", "plane", "row", "column")),
    ("film", (2, 3, 4, 5, 2), ()),
    ("number", (), ()),
]


def test_cells_of_tensors_of_any_rank_are_those_of_python(page: Any, tmp_path: Any) -> None:
    graph = chain([("start", "InputLayer", (8, 9, 3)), *((name, "Lambda", shape) for name, shape, _ in SHAPES)])
    axes = {name: named for name, _, named in SHAPES}
    graph = replace(graph, nodes=tuple(replace(node, named_axes=axes.get(node.id, ())) for node in graph))
    values = {n.id: np.random.default_rng(n.size).normal(size=(2, *n.shape)).astype(np.float32) for n in graph}
    values["vector"][0, :3] = np.nan, np.inf, -0.0
    capture = write(tmp_path / "run.zarr", graph, values)
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "activations"}]}), capture)
    counts = parts_checked(page, scene, Selection(sample=1))
    assert counts["CellPick"] > 150
    assert parts_checked(page, scene, Selection(sample=0, against=1))["CellPick"] > 150


def test_gates_and_tokens_are_those_of_python(page: Any, tmp_path: Any) -> None:
    names = ["update gate", "reset gate", "candidate", "hidden state"]
    graph = chain(
        [("ids", "InputLayer", (4,)), ("embedding", "Embedding", (4, 5)), ("gru", "GRU", (2,)), ("out", "Dense", (3,))]
    )
    details = {"gru": {"gates": names, "go_backwards": True}}
    graph = replace(graph, nodes=tuple(replace(n, details=details.get(n.id, {})) for n in graph))
    rng = np.random.default_rng(2)
    values = {n.id: rng.normal(size=(2, *n.shape)).astype(np.float32) for n in graph}
    gates = {name: rng.normal(size=(2, 4, 2)).astype(np.float32) for name in names}
    words = [["my", "first", "film", ""], ["a", "b", "c", "d"]]
    also = [lambda writer: write_tokens(writer, "ids", words), lambda writer: write_gates(writer, "gru", 0, gates)]
    capture = write(tmp_path / "run.zarr", graph, values, also=also, classes=("ant", "bee", "cat"))
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "activations"}]}), capture)
    for sample in (0, 1):
        counts = parts_checked(page, scene, Selection(sample=sample))
        assert counts["GatePick"] > 20
        assert counts["CellPick"] > 20


@pytest.mark.parametrize("most", [30, MOST])
def test_scores_of_attention_are_those_of_python(page: Any, most: int) -> None:
    # Above the limit the scores are described by the client.
    assert parts_checked(page, bundled_scene("attention"), Selection(), most)["ScorePick"] > 100


def test_parts_beyond_the_limit_are_left_out_in_one_sentence() -> None:
    scene = bundled_scene("embedding")
    found = pick_tables(scene, [(scene.duration, scene.at(scene.duration))], Selection(), most=50)
    assert len(found.left_out) == 1
    assert "the view embedding shows cannot be picked in the file: it describes at most 50" in found.left_out[0]
    assert len(found.tables[0].picks) <= 50


@pytest.mark.parametrize("target", [None, Target("scores", 1)])
@pytest.mark.parametrize("quantity", ["activation", "gradient"])
def test_explained_cells_are_those_of_python(page: Any, explained_capture: Any, target: Any, quantity: Any) -> None:
    views = [{"kind": "activations"}, {"kind": "connections"}, {"kind": "attributions"}, {"kind": "kernels"}]
    scene = Scene.build(parse_scene({"format": 1, "views": views}), explained_capture)
    counts = parts_checked(page, scene, Selection(sample=1, target=target, quantity=quantity))
    assert min(counts[name] for name in ("CellPick", "EdgePick", "KernelPick")) > 10


def test_numbers_of_a_rounded_file_have_the_digits_of_float16(page: Any, explained_capture: Any) -> None:
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "activations"}]}), explained_capture)
    encoder, selection = Encoder(), Selection(sample=1)
    what = scene.at(scene.duration, selection)
    frame = encoder.frame(what)
    table = encoder.record(pick_tables(scene, [(scene.duration, what)], selection).tables[0])
    send(page, encoder, rounded=True)
    (block,) = (p for p in what.primitives if isinstance(p, Voxels) and p.name == "conv")
    (rows,) = page.evaluate(
        _OF_HITS, {"frame": frame, "table": table, "hits": [in_words(CellHit(block, (3, 2, 1)), what)]}
    )
    pick = scene.pick(CellHit(block, (3, 2, 1)), selection)
    activation = np.float16(explained_capture.activation("conv", 1)[pick.index])
    gradient = np.float16(scene.context.gradient("conv", selection)[pick.index])
    told = {row["key"]: row["text"] for row in rows[0]["rows"] if "key" in row}
    assert told["activation"] == exact(activation)
    assert told["gradient"] == exact(gradient)
    assert told["gradient × activation"] == exact(np.float16(np.float32(activation) * np.float32(gradient)))
