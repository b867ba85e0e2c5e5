"""Tests of vector graphics and of tables of points."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from nnviz3d.apps.export import ExportJob, export
from nnviz3d.apps.export.structure_figure import structure_figure
from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.target import ModelOptions, resolve
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import read_embedding, write_embedding
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec, default_scene
from tests.support import captures
from tests.support.graphs import chain

SVG = "{http://www.w3.org/2000/svg}"


def write(capture: Capture, out: Path, spec: SceneSpec | None = None) -> Path:
    """Export a capture in this process."""
    export(ExportJob(Opened(spec or default_scene(), capture, 0), Selection(), out))
    return out


def write_scene(name: str, out: Path) -> Path:
    """Export a bundled scene in this process."""
    found = resolve(name, None, ModelOptions())
    return write(open_capture(found.capture), out, found.spec)


def texts_of(file: Path) -> list[str]:
    return [text.text for text in ElementTree.parse(file).iter(f"{SVG}text") if text.text]


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def test_structure_names_all_layers_as_text(digits, tmp_path):
    texts = texts_of(write(digits, tmp_path / "net.svg"))
    for node in digits.graph:
        assert node.id in texts
    assert "Conv2D · 26 × 26 × 32" in texts
    assert "9 nodes · 93,322 parameters" in texts


@pytest.mark.parametrize("fixture", ["digits", "long_capture"])
def test_texts_of_a_structure_do_not_overlap(fixture, request):
    capture = request.getfixturevalue(fixture)
    figure = structure_figure(Scene.build(default_scene(), capture), Selection())
    figure.canvas.draw()
    boxes = np.array([text.get_window_extent().extents for text in figure.axes[0].texts])
    low, high = boxes[:, :2] + 1, boxes[:, 2:] - 1
    both = (low[:, None] < high[None]).all(axis=2) & (low[None] < high[:, None]).all(axis=2)
    assert both.sum() == len(boxes)  # each overlaps with itself alone
    size = figure.get_size_inches() * figure.dpi
    assert (low >= 0).all()
    assert (high <= size).all()


def test_every_layer_of_a_large_network_has_its_name(long_capture, tmp_path):
    spec = default_scene().model_copy(update={"groups": "open"})
    texts = texts_of(write(long_capture, tmp_path / "net.svg", spec))
    assert {node.id for node in long_capture.graph} <= set(texts)


def test_file_tells_what_it_leaves_out_of_the_scene(tmp_path, capsys):
    for name, words in (
        ("structure", "the structure of the network\n"),
        (
            "landscape",
            "the structure of the network, without the scene's landscape, which .html, .glb and pictures show\n",
        ),
        ("history", "the curves of the training\n"),
    ):
        write_scene(name, tmp_path / "net.pdf")
        assert capsys.readouterr().err == f"net.pdf: {words}"


def test_odd_names_are_inert_and_unchanged(tmp_path):
    names = ["<script>alert(1)</script>", "$x^2$", "_hidden", "naïve & 'DejaVu Sans'"]
    layers = [("input", "InputLayer", (2,)), *((name, "Dense", (2,)) for name in names)]
    graph = chain(layers)
    values = {node.id: np.zeros((1, *node.shape), dtype=np.float32) for node in graph}
    out = write(captures.write(tmp_path / "run.zarr", graph, values), tmp_path / "net.svg")
    assert b"<script" not in out.read_bytes()
    assert set(names) - {names[0]} <= set(texts_of(out))


def test_pdf_embeds_its_text(digits, tmp_path):
    data = write(digits, tmp_path / "net.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert b"/TrueType" in data or b"/Type0" in data


def test_same_target_gives_the_same_file(digits, tmp_path):
    first, second = (write(digits, tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second


def test_training_gives_its_curves(tmp_path):
    texts = texts_of(write_scene("history", tmp_path / "net.svg"))
    assert {"loss", "accuracy", "learning rate", "training step", "conv2d_1"} <= set(texts)


def test_embedding_gives_a_scatter_chart_and_a_table(tmp_path):
    out = write_scene("embedding", tmp_path / "net.svg")
    texts = texts_of(out)
    assert any(text.startswith("1,000 samples") for text in texts)
    assert "from the front: the depth is not shown" in texts
    assert "7: 99" in texts  # a class and the number of its samples
    embedding = read_embedding(open_capture(bundled("embedding.zarr.zip")).stored, "dense")
    rows = rows_of(write_scene("embedding", tmp_path / "points.csv"))
    assert len(rows) == 1000
    found = np.array([[row[axis] for axis in "xyz"] for row in rows], dtype=np.float32)
    assert found.tobytes() == embedding.points.tobytes()
    assert [row["sample"] for row in rows] == list(embedding.names)
    assert [int(row["label"]) for row in rows] == embedding.labels.tolist()
    assert [int(row["prediction"]) for row in rows] == embedding.predictions.tolist()


def test_capture_with_an_embedding_gives_its_points_in_any_scene(tmp_path):
    rows = rows_of(write(open_capture(bundled("embedding.zarr.zip")), tmp_path / "points.csv"))
    assert len(rows) == 1000


def test_neurons_are_listed_by_layer_and_unit(tmp_path):
    rows = rows_of(write_scene("nodes", tmp_path / "points.csv"))
    assert [row["unit"] for row in rows if row["layer"] == "dense_1"] == [str(unit) for unit in range(10)]


def test_scene_without_points_is_refused(small_capture, tmp_path):
    with pytest.raises(UserError, match=r"there are no points in this scene; .*--scene nodes"):
        write(small_capture, tmp_path / "points.csv")
    assert list(tmp_path.iterdir()) == []


def test_names_are_no_formulas(tmp_path):
    known = captures.small_embedding()
    embedding = replace(known, names=("=HYPERLINK(0)", "-1.png", *known.names[2:]))
    also = [lambda writer: write_embedding(writer, embedding)]
    written = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values(), also=also)
    rows = rows_of(write(written, tmp_path / "points.csv"))
    assert [row["sample"] for row in rows[:3]] == ["'=HYPERLINK(0)", "'-1.png", known.names[2]]
    assert [row["x"] for row in rows] == [str(x) for x in known.points[:, 0]]
