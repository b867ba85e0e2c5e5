"""Points of which some have no label: colours, legend, filters, counts, words and the table of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.export.points_table import point_columns
from nnviz3d.apps.sample_notes import notes_of
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.embeddings import write_embedding
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.scene.panel_rows import SwatchRow, TextRow
from nnviz3d.scene.primitives import Panel, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import PointFilter, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.neighbours import class_of
from nnviz3d.scene.views.points.samples import PointPick
from nnviz3d.scene.views.points.search import SelectedCounts, classes_of, matching
from tests.support.captures import CLASSES, small_embedding, small_graph, small_values, write

FOUND = replace(
    small_embedding(), labels=np.array([1, NO_LABEL, 2, 3, NO_LABEL, 0, 1, 2]), predictions=np.array([1] * 8)
)


@pytest.fixture
def scene(tmp_path):
    also = [lambda writer: write_embedding(writer, FOUND)]
    capture = write(tmp_path / "run.zarr", small_graph(), small_values(), also=also, classes=CLASSES)
    return Scene.build(parse_scene({"format": 1, "views": [{"kind": "embedding"}]}), capture)


def test_points_without_a_label_have_a_colour_and_a_line_of_their_own_and_no_ring(scene):
    drawn = scene.at(scene.duration)
    balls = next(one for one in drawn.primitives if isinstance(one, Points))
    unknown = balls.colors[1, :3]
    assert np.array_equal(balls.colors[4, :3], unknown)
    others = np.delete(balls.colors, [1, 4], axis=0)[:, :3]
    assert (np.abs(others - unknown).max(axis=1) > 0.05).all()
    assert balls.rings[[1, 4]].tolist() == [[0.0] * 4] * 2
    rows = [row for one in drawn.primitives if isinstance(one, Panel) for row in one.rows]
    swatches = [words for row in rows if isinstance(row, SwatchRow) for _, words in row.swatches]
    assert "no label  2" in swatches
    assert not any(words.startswith("others") for words in swatches)
    assert any(row.text.startswith("4 wrong:") for row in rows if isinstance(row, TextRow))


def test_filters_and_counts_take_no_label_for_a_value_and_not_for_a_mistake(scene):
    columns = scene.get(EmbeddingView).columns(Selection())
    assert columns["label"].text(1) == ""
    wrong = matching(FOUND, PointFilter(wrong=True), "label", columns)
    assert np.flatnonzero(wrong).tolist() == [2, 3, 5, 7]
    assert [number for number, _ in classes_of(FOUND, CLASSES, "label")] == [0, 1, 2, 3]
    counts = SelectedCounts.of(FOUND, PointFilter(chosen=(0, 1, 4)), "label", columns)
    assert counts.categories == (("no label", 2), (CLASSES[1], 1))


def test_words_and_neighbours_of_a_point_without_a_label_tell_its_prediction(scene):
    assert scene.describe(PointPick("dense", 1), Selection()).more[0].startswith(f"predicted {CLASSES[1]}")
    assert scene.describe(PointPick("dense", 2), Selection()).more[0] == f"labelled {CLASSES[2]}"
    assert [class_of(FOUND, index) for index in (1, 2)] == [1, 2]


def test_list_of_samples_tells_no_label_where_none_is_known(scene):
    samples = [Sample(name, None, name) for name in FOUND.names]
    notes = notes_of(Session(scene, SimpleNamespace(size=(160, 90)), samples=samples))
    assert notes[1] == (f"predicted {CLASSES[1]}", None)
    assert notes[2] == (f"predicted {CLASSES[1]} · label {CLASSES[2]}", True)


def test_table_of_points_leaves_the_name_of_an_unknown_label_empty(scene):
    balls = next(one for one in scene.at(scene.duration).primitives if isinstance(one, Points))
    columns = point_columns(balls, scene.context)
    assert columns["label"][:3].tolist() == [1, -1, 2]
    assert columns["label_name"][:3] == [CLASSES[1], "", CLASSES[2]]
