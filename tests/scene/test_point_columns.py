"""Columns of a table about samples: colours, legends, filters, and points inside an outline."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import SampleError, SceneError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import categorical
from nnviz3d.scene.enclosure import enclosed
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.look_check import check_shown, selection_of
from nnviz3d.scene.panel_rows import ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Labels, Panel, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import EVERY_POINT, PointFilter, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.samples import PointPick
from nnviz3d.scene.views.points.search import counts_of, matching
from tests.support import pinhole
from tests.support.number_words import read_number

COUNT = 1000
INK = np.sin(np.arange(COUNT)) * 50
GAPS = np.arange(COUNT) % 100 == 7
WRITERS = np.array(["Ada", "Bea", "Cem", ""])[np.arange(COUNT) % 4]


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture(bundled("embedding.zarr.zip"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "points.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ink", "writer", "place", "label"])
        for k in range(COUNT):
            writer.writerow(["" if GAPS[k] else INK[k], WRITERS[k], f"town {k % 13}", "odd" if k % 2 else "even"])
    return path


def build(capture: Capture, table: Path | None, **view: object) -> Scene:
    given = {} if table is None else {"metadata": str(table)}
    return Scene.build(parse_scene({"format": 1, **given, "views": [{"kind": "embedding", **view}]}), capture)


@pytest.fixture(scope="module")
def scene(capture, table) -> Scene:
    return build(capture, table)


def shown(scene: Scene, **chosen: object) -> tuple[Points, Panel, Labels]:
    primitives = scene.at(scene.duration, Selection(**chosen)).primitives  # type: ignore[arg-type]
    cloud = next(p for p in primitives if isinstance(p, Points))
    legend = next(p for p in primitives if isinstance(p, Panel) and p.name == "embedding")
    return cloud, legend, next(p for p in primitives if isinstance(p, Labels))


def words(legend: Panel) -> list[str]:
    swatches = [text for row in legend.rows if isinstance(row, SwatchRow) for _, text in row.swatches]
    return swatches + [row.text for row in legend.rows if isinstance(row, TextRow)]


def test_numbers_have_the_colours_of_the_scale_in_the_legend(scene):
    cloud, legend, names = shown(scene, colored_by="ink")
    (scale,) = (row for row in legend.rows if isinstance(row, ScaleRow))
    known = INK[~GAPS]
    low, high = known.min(), known.max()
    share = (INK - low) / (high - low)
    expected = scale.colormap.table[np.round(share * 255).astype(int)] / 255
    np.testing.assert_allclose(cloud.colors[~GAPS, :3], expected[~GAPS], atol=1e-6)
    ticks = {at: read_number(text) for at, text in scale.ticks}
    assert ticks[0.0] == pytest.approx(low, rel=5e-3)
    assert ticks[1.0] == pytest.approx(high, rel=5e-3)
    assert ticks[0.5] == pytest.approx((low + high) / 2, abs=0.5)
    # Samples without a number have a colour that the scale does not have, and are counted.
    assert "no finite number  10" in words(legend)
    assert len(np.unique(cloud.colors[GAPS, :3], axis=0)) == 1
    assert np.abs(scale.colormap.table / 255 - cloud.colors[GAPS][0, :3]).max(axis=1).min() > 0.1
    assert "coloured by ink" in words(legend)
    assert not names.labels
    assert cloud.rings is None
    assert np.ptp(cloud.sizes) == 0


def test_words_have_a_colour_each_with_their_counts(scene):
    cloud, legend, names = shown(scene, colored_by="writer")
    for color, name in zip(categorical(3), ("Ada", "Bea", "Cem"), strict=True):
        np.testing.assert_allclose(cloud.colors[name == WRITERS, :3], np.tile(color, (250, 1)), atol=1e-6)
        assert f"{name}  250" in words(legend)
    assert "empty  250" in words(legend)
    assert not names.labels, "writers are all over the cloud"
    # Of thirteen towns the ten most frequent have colours; the others are counted together.
    _, legend, _ = shown(scene, colored_by="place")
    told = [text for text in words(legend) if text.startswith(("town", "others"))]
    assert len(told) == 11
    assert sum(int(text.rsplit(maxsplit=1)[1]) for text in told) == COUNT


def test_long_words_are_cut_in_the_middle_and_keep_their_counts(capture, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "place\n" + "".join(f"a long way from home in the street with number {k % 12}\n" for k in range(COUNT))
    )
    _, legend, _ = shown(build(capture, path, color="place"))
    rows = [row for row in legend.rows if isinstance(row, SwatchRow)]
    assert max(len(row.swatches) for row in rows) == 2
    told = [text for row in rows for _, text in row.swatches]
    assert len(set(told)) == len(told) == 11
    assert all(text.endswith(("  84", "  83", "  166", "  167", "  168")) for text in told)


def test_columns_of_the_model_keep_their_names_and_meaning(scene, capture):
    found = capture.embedding("dense")
    assert scene.get(EmbeddingView).colors(Selection()) == (
        "label", "prediction", "score", "ink", "writer", "place", "label (table)",
    )  # fmt: skip
    cloud, _, _ = shown(scene, colored_by="label")
    plain, _, _ = shown(build(capture, None), colored_by="label")
    np.testing.assert_array_equal(cloud.colors, plain.colors)
    _, legend, _ = shown(scene, colored_by="label (table)")
    assert {"even  500", "odd  500"} <= set(words(legend))
    _, legend, _ = shown(scene, colored_by="score")
    (scale,) = (row for row in legend.rows if isinstance(row, ScaleRow))
    assert float(scale.ticks[0][1]) == pytest.approx(float(found.probabilities.min()), rel=5e-3)
    said = scene.describe(PointPick("dense", 1), Selection())
    assert said.more[-1] == f"ink: {INK[1]:.6g} · writer: Bea · place: town 1 · label (table): odd"


FILTERS = {
    "word": (PointFilter(column="writer", value="Bea"), WRITERS == "Bea"),
    "range": (PointFilter(column="ink", low=-3.25, high=40), ~GAPS & (INK >= -3.25) & (INK <= 40)),
    "half open": (PointFilter(column="ink", high=0.0), ~GAPS & (INK <= 0)),
    "no word": (PointFilter(column="writer", value="Eva"), np.zeros(COUNT, dtype=bool)),
    "no column": (PointFilter(column="age", low=3), np.zeros(COUNT, dtype=bool)),
    "search in words": (PointFilter(name="CEM"), WRITERS == "Cem"),
    "enclosed": (PointFilter(chosen=(3, 999)), np.isin(np.arange(COUNT), [3, 999])),
    "enclosed and word": (PointFilter(chosen=(0, 1, 2), column="writer", value="Ada"), np.arange(COUNT) == 0),
    "isolated only": (PointFilter(isolated=True, column="ink"), np.ones(COUNT, dtype=bool)),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_means_the_samples_that_numpy_finds(scene, capture, name):
    wanted, expected = FILTERS[name]
    found = capture.embedding("dense")
    columns = scene.get(EmbeddingView).columns(Selection())
    np.testing.assert_array_equal(matching(found, wanted, "label", columns), expected)
    assert wanted.everything == (name == "isolated only")
    cloud, _, _ = shown(scene, points=wanted)
    everything, _, _ = shown(scene)
    np.testing.assert_array_equal(cloud.sizes < everything.sizes.min() / 2, ~expected)


def test_class_is_that_of_the_label_unless_predictions_are_coloured(scene, capture):
    found = capture.embedding("dense")
    columns = scene.get(EmbeddingView).columns(Selection())
    for by, classes in (("ink", found.labels), ("label", found.labels), ("prediction", found.predictions)):
        np.testing.assert_array_equal(matching(found, PointFilter(of_class=4), by, columns), classes == 4)
    counts = dict(counts_of(columns["prediction"], found.labels == 4))
    assert sum(counts.values()) == (found.labels == 4).sum()
    assert counts["4"] == ((found.labels == 4) & (found.predictions == 4)).sum()


def test_isolated_samples_hide_the_others_and_stay_as_they_are(scene):
    wanted = PointFilter(column="writer", value="Bea")
    searched, _, _ = shown(scene, points=wanted)
    isolated, legend, _ = shown(scene, points=PointFilter(column="writer", value="Bea", isolated=True))
    others = WRITERS != "Bea"
    assert isolated.points is searched.points
    np.testing.assert_array_equal(isolated.colors[~others], searched.colors[~others])
    assert not isolated.colors[others].any()
    assert any(text.startswith("250 of 1,000 samples") and text.endswith("are hidden") for text in words(legend))


def test_table_of_another_length_and_unknown_columns_are_refused(capture, tmp_path, table):
    short = tmp_path / "short.csv"
    short.write_text("age\n3\n4\n")
    with pytest.raises(SampleError, match=r"short\.csv has 2 lines below .* dense has 1,000 samples"):
        build(capture, short)
    with pytest.raises(SceneError, match=r"color: there is no column 'age'; the samples have label, prediction, score"):
        build(capture, table, color="age")
    scene = build(capture, table, color="ink")
    assert scene.get(EmbeddingView).colored_by(Selection()) == "ink"
    for look in (
        LookSpec(colored_by="age"),
        LookSpec(points={"column": "age", "low": 1}),
        LookSpec(points={"chosen": "3.1000"}),
    ):
        with pytest.raises(SceneError, match=r"look\.(colored_by|points)"):
            check_shown(scene, selection_of(look, 0, capture))


def test_look_keeps_the_search(capture):
    wanted = PointFilter("a~b", 3, True, "ink", "", -0.5, 40.25, (1, 2, 3, 9), True)
    look = LookSpec.of(Selection(points=wanted))
    assert look.points.chosen == "1-3.9"
    assert look.plain(Selection()).points == wanted
    assert LookSpec.of(Selection(points=EVERY_POINT)).points is None
    assert LookSpec(colored_by="ink", points=look.points).elsewhere() == LookSpec()


def test_points_inside_an_outline_are_those_that_matplotlib_finds(scene):
    pose = scene.overview(aspect=16 / 9)
    cloud, _, _ = shown(scene)
    frame = pinhole.to_frame(cloud.points.astype(float), pose, 16 / 9)
    places = frame * [16 / 9 / 2, 0.5]  # shares of the picture's height from its middle
    star = np.array([[np.sin(4 * np.pi * k / 5), np.cos(4 * np.pi * k / 5)] for k in range(5)]) * 0.4
    lasso = np.array([[0.4, 0.1], [-0.1, 0.45], [-0.5, -0.2], [0.05, 0.02], [0.1, -0.4]])
    for outline in (lasso, lasso[::-1], star[:3] + 0.1):
        inside = enclosed(cloud.points, pose, outline)
        assert 20 < inside.sum() < COUNT - 20
        np.testing.assert_array_equal(inside, Outline(outline).contains_points(places))
    behind = CameraPose(pose.position, tuple(2 * a - b for a, b in zip(pose.position, pose.target, strict=True)))
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 5.0
    assert not enclosed(cloud.points, behind, square).any()
    assert enclosed(cloud.points, pose, square).all()


def test_two_columns_of_one_name_are_refused(capture, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("label,label (table)\n" + "a,b\n" * COUNT)
    with pytest.raises(SampleError, match=r"two columns called label \(table\); rename one"):
        build(capture, path)
