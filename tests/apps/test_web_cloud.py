"""The panel of the points: colours and filters by the columns of a table, and samples enclosed on the picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.cloud import CloudPanel
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import categorical
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import EVERY_POINT, PointFilter, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support import pinhole
from tests.support.browser import changed, choose, looking, serving, still, text, wait_until
from tests.support.command_line import run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COUNT = 1000
INK = np.round(np.sin(np.arange(COUNT)) * 50, 3)
WRITERS = np.array(["Ada", "Bea", "Cem", "Dot"])[np.arange(COUNT) % 4]


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture(bundled("embedding.zarr.zip"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "points.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ink", "writer"])
        writer.writerows(zip(INK.tolist(), WRITERS.tolist(), strict=True))
    return path


@pytest.fixture(scope="module")
def scene(capture, table) -> Scene:
    return Scene.build(parse_scene({"format": 1, "metadata": str(table), "views": [{"kind": "embedding"}]}), capture)


def panel_of(scene: Scene, samples: tuple[Sample, ...] = ()) -> CloudPanel:
    renderer = SimpleNamespace(pose=lambda: scene.overview(aspect=1.6))
    page = Page(Session(scene, renderer, samples=samples))
    page.select = lambda **changes: (page.session.select(**changes), page.synchronize())
    panel = CloudPanel(page)
    page.panels = [panel]
    panel.synchronize()
    return panel


@pytest.fixture
def panel(scene) -> CloudPanel:
    return panel_of(scene)


def change(panel: CloudPanel, **values: object) -> None:
    for key, value in values.items():
        panel.page.changed[key](value)


def test_colours_and_filters_are_the_columns(panel):
    state = panel.state
    assert state.point_colors == ["label", "prediction", "score", "ink", "writer"]
    assert not state.few_colors
    assert [one["value"] for one in state.filter_columns] == ["", "score", "ink", "writer"]
    assert not state.selected_words
    change(panel, colored_by="writer", filter_column="ink")
    assert panel.state.filter_kind == "numbers"
    assert panel.state.filter_range == ["−50", "50"]
    assert not panel.state.selected_words, "a column without limits leaves nothing out"
    change(panel, filter_low="10", filter_high="20.5")
    assert panel.page.session.selection.points == PointFilter(column="ink", low=10.0, high=20.5)
    within = (INK >= 10) & (INK <= 20.5)
    assert panel.state.selected_words == f"{within.sum()} of 1,000 samples, by writer"
    counts = {one["title"]: int(one["count"]) for one in panel.state.selected_counts}
    assert counts == {name: int((within & (name == WRITERS)).sum()) for name in ("Ada", "Bea", "Cem", "Dot")}
    colors = [one["color"] for one in sorted(panel.state.selected_counts, key=lambda one: one["title"])]
    assert colors == ["rgb({},{},{})".format(*(round(255 * one) for one in color)) for color in categorical(4)]
    change(panel, filter_high="")
    assert panel.page.session.selection.points == PointFilter(column="ink", low=10.0)
    change(panel, filter_column="writer")
    assert panel.state.filter_kind == "words"
    assert [one["title"] for one in panel.state.filter_words] == ["any word", "Ada", "Bea", "Cem", "Dot"]
    change(panel, filter_value="Bea")
    assert panel.state.selected_words.startswith("250 of 1,000")
    change(panel, points_isolated=True)
    assert panel.page.session.selection.points.isolated
    panel.clear()
    assert panel.page.session.selection.points == EVERY_POINT


def test_outlines_enclose_add_and_take_away(panel, scene):
    pose = scene.overview(aspect=1.6)
    sent = asdict(pose)
    points = next(p.points for p in scene.at(scene.duration).primitives if getattr(p, "name", "") == "dense")
    places = pinhole.to_frame(points.astype(float), pose, 1.6) * [0.8, 0.5]
    halves = {"left": places[:, 0] < 0, "lower": places[:, 1] < 0}
    left, lower = [[-9, -9], [0, -9], [0, 9], [-9, 9]], [[-9, -9], [9, -9], [9, 0], [-9, 0]]

    def chosen() -> list[int] | None:
        found = panel.page.session.selection.points.chosen
        return None if found is None else list(found)

    panel.enclose(sent, left, "remove")
    assert chosen() == np.flatnonzero(~halves["left"]).tolist()
    panel.enclose(sent, left, "new")
    assert chosen() == np.flatnonzero(halves["left"]).tolist()
    assert panel.state.enclosed_points == halves["left"].sum()
    panel.enclose(sent, lower, "add")
    assert chosen() == np.flatnonzero(halves["left"] | halves["lower"]).tolist()
    panel.enclose(sent, left, "remove")
    assert chosen() == np.flatnonzero(halves["lower"] & ~halves["left"]).tolist()
    # What another filter makes faint is not enclosed.
    change(panel, filter_column="writer", filter_value="Ada")
    panel.enclose(sent, lower, "new")
    assert chosen() == np.flatnonzero(halves["lower"] & (WRITERS == "Ada")).tolist()


def test_points_drawn_by_the_server_are_enclosed_by_its_camera(panel):
    panel.enclose(None, [[-9, -9], [9, -9], [9, 9], [-9, 9]], "new")
    assert len(panel.page.session.selection.points.chosen) == COUNT


@pytest.mark.parametrize("odd", [1000, "x\n", True, [], {"a": 1}, 10**400, float("nan")])
def test_impossible_values_of_a_page_are_refused_and_change_nothing(panel, odd):
    change(panel, filter_column="ink")
    before = panel.page.session.selection
    for key in ("filter_column", "colored_by", "filter_low", "filter_high"):
        with pytest.raises(UserError) as error:
            change(panel, **{key: f"{odd}?" if key != "filter_low" and isinstance(odd, int) else [odd]})
        assert str(error.value).isprintable()
    sent = asdict(panel.page.session.scene.overview(aspect=1.6))
    square = [[0, 0], [1, 0], [1, 1]]
    for pose, outline, way in (
        (odd, square, "new"),
        (sent, odd, "new"),
        (sent, [*square, [odd, 0]] if not isinstance(odd, int) or odd is True else [[0, 0]] * 2000, "new"),
        (sent, square, odd),
    ):
        with pytest.raises(UserError):
            panel.enclose(pose, outline, way)
    assert panel.page.session.selection == before


def test_scene_without_points_or_a_model_has_nothing_to_choose(recorded_capture):
    panel = panel_of(Scene.build(default_scene(), recorded_capture))
    assert not panel.state.has_cloud
    assert not panel.state.layer_to_embed
    change(panel, embedding="dense", colored_by="ink", filter_column="ink", filter_value="a", filter_low="1")
    assert panel.page.session.selection == Selection()
    with pytest.raises(UserError, match="shows no points"):
        panel.enclose(None, [[0, 0], [1, 0], [1, 1]], "new")


def test_layer_of_a_capture_without_a_model_cannot_be_embedded(panel):
    with pytest.raises(UserError, match="unknown layer"):
        change(panel, embedding="conv2d")


@pytest.mark.slow
def test_commands_take_the_table_and_refuse_one_of_another_length(table, tmp_path):
    out = tmp_path / "points.csv"
    done = run("export", "embedding", "--metadata", table, "-o", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    short = tmp_path / "short.csv"
    short.write_text("age\n3\n4\n")
    for target, given, said in (
        ("embedding", short, "short.csv has 2 lines"),
        ("embedding", tmp_path / "none.csv", "There is no table"),
        ("digits", table, "--metadata has no effect on this scene"),
    ):
        done = run("snapshot", target, "--metadata", given, "-o", "x.png", cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "x.png").exists()


@pytest.fixture(scope="module")
def served(table) -> Iterator[Served]:
    yield from serving("embedding", "--metadata", str(table))


@pytest.mark.chromium
def test_box_and_lasso_choose_points_and_the_others_are_hidden(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        by_label = still(page)
        choose(page, "colored_by", "writer")
        before = changed(page, by_label)
        box = page.locator("#view").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.locator("#enclose-box").click()
        wait_until(lambda: page.locator("#enclose-hint").count() == 1, "the page says what to do")
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(*middle, steps=4)
        wait_until(lambda: page.locator(".enclosure polygon").count() == 1, "the box is drawn")
        page.mouse.move(middle[0], box["y"] + box["height"] - 2, steps=4)
        page.mouse.up()
        wait_until(lambda: text(page, "#selected-samples").startswith("By writer"), "the samples are counted")
        left = int(text(page, "#points-found").split()[0].replace(",", ""))
        assert 100 < left < 900
        wait_until(lambda: page.locator("#enclose-hint").count() == 0, "a drag turns the scene again")
        counted = page.locator(".selected-count").all_inner_texts()
        assert sum(map(int, counted)) == left
        enclosed = changed(page, before)
        page.locator("#isolate").click()
        isolated = changed(page, enclosed)
        hidden = (before.max(axis=2) > 120) & (isolated.max(axis=2) < 60)
        rows = isolated.shape[0]
        columns = np.flatnonzero(hidden[rows // 5 : 4 * rows // 5].sum(axis=0) > 3)  # without title and legend
        assert len(columns) > 30
        assert columns.min() > isolated.shape[1] * 0.45, "those at the right are hidden"
        # The camera has not moved meanwhile, and moves again.
        page.locator("#enclose-lasso").click()
        corners = [(0.2, 0.1), (0.8, 0.1), (0.8, 0.9), (0.2, 0.9)]
        spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=5)
        page.mouse.up()
        wait_until(
            lambda: int(text(page, "#points-found").split()[0].replace(",", "")) != left,
            "the lasso replaces the box",
        )
        page.locator("#clear-points").click()
        wait_until(lambda: page.locator("#selected-samples").count() == 0, "all are shown alike")
        choose(page, "filter-column", "ink")
        for which, number in (("low", "10"), ("high", "20.5")):
            page.locator(f"#filter-{which}").fill(number)
            page.locator(f"#filter-{which}").press("Enter")
        within = int(((INK >= 10) & (INK <= 20.5)).sum())
        wait_until(
            lambda: text(page, "#points-found").startswith(f"{within} of 1,000"), "those in the range are counted"
        )
        choose(page, "filter-column", "writer")
        choose(page, "filter-value", "Ada")
        adas = int((WRITERS == "Ada").sum())
        wait_until(lambda: text(page, "#points-found").startswith(f"{adas} of 1,000"), "those of a writer are counted")


@pytest.fixture(scope="module")
def model() -> Iterator[Served]:
    yield from serving(str(bundled("digits.keras")), "--input", "digits:0-11")


@pytest.mark.chromium
@pytest.mark.tensorflow
def test_click_embeds_a_layer_for_all_samples(chromium: Browser, model: Served):
    with looking(chromium, model) as page:
        still(page)
        page.locator("[data-layer=dense]").first.click()
        wait_until(lambda: "by dense" in text(page, "#embed-layer"), "the highlighted layer can be embedded")
        page.locator("#embed-layer").click()
        wait_until(lambda: page.locator("[data-perspective=embedding].chosen").count() == 1, "its points are shown")
        wait_until(lambda: "dense" in text(page, ".v-select:has(#embedding)"), "for this layer")
        wait_until(
            lambda: page.locator("#neighbours img").count() == 11, "the shown sample is near to the eleven others"
        )
        assert text(page, "#point .line") == "digits:0"
