"""The panel of the samples of an embedding: its neighbours are those of a search through all outputs of the layer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.analysis.embedding import reduce_new
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.apps.web.panels.points import PointsPanel, point_item
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.points.neighbours import PointSpace
from nnviz3d.scene.views.points.samples import PointPick
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support.browser import looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCENE = {"format": 1, "views": [{"kind": "embedding"}]}


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture(bundled("embedding.zarr.zip"))


@pytest.fixture(scope="module")
def scene(capture) -> Scene:
    return Scene.build(parse_scene(SCENE), capture)


def panel_of(scene: Scene, samples: tuple[Sample, ...] = ()) -> PointsPanel:
    page = Page(Session(scene, SimpleNamespace(), samples=samples))
    page.select = lambda **changes: (page.session.select(**changes), page.synchronize())
    panel = PointsPanel(page)
    page.panels = [panel]
    panel.synchronize()
    return panel


@pytest.fixture
def panel(scene) -> PointsPanel:
    return panel_of(scene)


def search(panel: PointsPanel, **values: object) -> None:
    for key, value in values.items():
        panel.page.changed[key](value)


def sorted_by_distance(vectors: np.ndarray, own: int) -> list[int]:
    away = ((vectors.astype(np.float64) - vectors[own].astype(np.float64)) ** 2).sum(axis=1)
    away[own] = np.inf
    return np.argsort(away, kind="stable").tolist()


@pytest.mark.parametrize("index", [0, 18, 445, 999])
def test_neighbours_of_a_picked_point_are_the_nearest_by_the_layers_numbers(panel, capture, index):
    found = capture.embedding("dense")
    panel.page.select(pick=PointPick("dense", index))
    state = panel.state
    assert state.point_name == f"digits:{index}"
    assert [one["index"] for one in state.neighbours] == sorted_by_distance(found.vectors, index)[:12]
    assert [one["name"] for one in state.neighbours] == [found.names[one["index"]] for one in state.neighbours]
    first = state.neighbours[0]["index"]
    assert float(state.neighbours[0]["distance"]) == pytest.approx(
        float(np.linalg.norm(found.vectors[first] - found.vectors[index])), rel=5e-3
    )
    others = [one["other"] for one in state.neighbours]
    assert others == [found.labels[one["index"]] != found.labels[index] for one in state.neighbours]
    # In the picture other samples are nearest.
    assert [one["index"] for one in state.neighbours] != sorted_by_distance(found.points, index)[:12]
    assert "50 principal components of the 64 outputs of dense" in state.neighbours_words


def test_without_a_pick_the_neighbours_are_those_of_the_shown_sample(panel, capture):
    # It was captured on its own, and is recognized by its outputs.
    found = capture.embedding("dense")
    own = reduce_new(found, capture.activation("dense", 0)[np.newaxis])[0]
    away = np.linalg.norm(found.vectors - own, axis=1)
    assert panel.state.point_name == "digits:0"
    assert [one["index"] for one in panel.state.neighbours] == np.argsort(away)[1:13].tolist()


def test_search_finds_names_classes_and_wrong_predictions(panel, capture):
    found = capture.embedding("dense")
    assert not panel.state.points_found_words
    search(panel, point_wrong=True)
    wrong = np.flatnonzero(found.labels != found.predictions)
    assert [one["index"] for one in panel.state.points_found] == wrong[:24].tolist()
    assert panel.state.points_found_words == f"{len(wrong)} of 1,000 samples"
    assert {one["index"] for one in panel.state.neighbours} <= set(wrong.tolist())
    search(panel, point_wrong=False, point_class="4", point_search="TS:1")
    fours = [k for k in range(1000) if found.labels[k] == 4 and str(k).startswith("1")]
    assert [one["index"] for one in panel.state.points_found] == fours[:24]
    panel.page.select(colored_by="prediction")
    fours = [k for k in range(1000) if found.predictions[k] == 4 and str(k).startswith("1")]
    assert panel.state.points_found_words.startswith(f"{len(fours)} of 1,000 samples")
    search(panel, point_search="nothing like it")
    assert panel.state.points_found_words == "0 of 1,000 samples"
    assert panel.state.neighbours_words == "No other sample is searched for."
    search(panel, point_search=None, point_class="")
    assert not panel.state.points_found_words


def test_click_on_a_sample_picks_its_point_and_chooses_the_sample_of_the_list(scene):
    listed = (Sample("digits:0", 0), Sample("digits:7", None, "digits:7"), Sample("digits:9"), Sample("digits:9"))
    panel = panel_of(scene, listed)
    session = panel.page.session
    chosen: list[int] = []
    session.choose = chosen.append
    panel.choose(7)
    assert session.selection.pick == PointPick("dense", 7)
    assert chosen == [1]
    assert panel.state.point_in_network
    # A name of two samples and one that is not listed are no sample of the list.
    for index in (9, 8):
        panel.choose(index)
        assert session.selection.pick == PointPick("dense", index)
        assert chosen == [1]
        assert not panel.state.point_in_network


def test_captured_sample_with_the_name_but_not_the_numbers_of_a_point_is_not_taken_for_it(scene):
    panel = panel_of(scene, (Sample("digits:5", 0),))
    panel.choose(5)
    assert not panel.state.point_in_network
    with pytest.raises(UserError, match="not in the list of samples"):
        panel.show_in_network()


@pytest.mark.parametrize("value", [1000, -1, "3", True, None, [], 10**400])
def test_impossible_values_of_a_page_are_refused_and_change_nothing(panel, value):
    before = panel.page.session.selection
    with pytest.raises(UserError, match="The page asked for an unknown point"):
        panel.choose(value)
    for key, odd in (("point_search", [value]), ("point_class", [value]), ("point_wrong", [value])):
        with pytest.raises(UserError, match="The page asked for"):
            search(panel, **{key: odd})
    assert panel.page.session.selection == before


def test_training_has_the_neighbours_of_each_recorded_step():
    recorded = open_capture(bundled("classes_part.zarr.zip"))
    embedded = recorded.training.embedded
    panel = panel_of(Scene.build(parse_scene(SCENE), recorded, trajectory=trajectory_of(recorded)))
    name = embedded.samples.layer
    listed = []
    for k, step in enumerate(embedded.steps):
        panel.page.select(pick=PointPick(name, 3), step=int(step))
        assert [one["index"] for one in panel.state.neighbours] == sorted_by_distance(embedded.vectors(k), 3)[:12]
        assert f"at step {step:,}" in panel.state.neighbours_words
        listed.append(panel.state.neighbours)
    assert listed[0] != listed[-1]
    panel.page.select(pick=None)
    assert not panel.state.point_name


def test_class_without_a_name_is_called_by_its_number_below_a_picture(capture):
    found = capture.embedding("dense")
    space = PointSpace(found, np.zeros((len(found.names), 1), np.float32), "", {})
    unnamed = SimpleNamespace(capture=SimpleNamespace(classes=None))
    item = point_item(unnamed, space, 0, None)
    assert item["class"] == str(found.labels[0])
    assert f"class {item['class']}" in item["words"]


def test_scene_without_points_has_nothing_to_search(recorded_capture):
    panel = panel_of(Scene.build(default_scene(), recorded_capture))
    assert not panel.state.has_points
    search(panel, point_search="a", point_class="1", point_wrong=True)
    assert panel.page.session.selection == Selection()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serving("embedding")


@pytest.mark.chromium
def test_captions_of_mistakes_are_read_whole_below_a_checkbox_that_stays_in_its_place(
    chromium: Browser, served: Served, capture: Capture
):
    found = capture.embedding("dense")
    wrong = np.flatnonzero(found.labels != found.predictions)
    with looking(chromium, served) as page:
        still(page)
        box = page.locator("#point-wrong").bounding_box()
        page.locator("#point-wrong").check()
        items = page.locator("#points-found .point-item")
        wait_until(lambda: items.count() == len(wrong), "the wrong predictions are listed")
        assert page.locator("#point-wrong").bounding_box() == box
        first = items.first.bounding_box()
        assert 0 < first["y"] - (box["y"] + box["height"]) < 60, "they begin directly below it"
        assert page.locator("#selected-samples").bounding_box()["y"] > first["y"] + first["height"]
        words = [" ".join(one.split()) for one in page.locator("#points-found .point-class").all_inner_texts()]
        assert words == [f"{found.labels[k]} → {found.predictions[k]}" for k in wrong]
        lines = page.locator("#points-found .point-class > .line")
        assert lines.evaluate_all("lines => lines.every((one) => one.scrollWidth <= one.clientWidth)")
        tops = lines.evaluate_all("lines => lines.map((one) => Math.round(one.getBoundingClientRect().top))")
        assert tops[::2] == tops[1::2], "label and prediction are in one line"
        assert "predicted" in (items.first.get_attribute("title") or "")


@pytest.mark.chromium
def test_mistakes_are_found_and_a_click_leads_to_neighbours_and_to_the_network(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        still(page)
        assert text(page, "#point .line") == "digits:0"
        page.locator("#point-wrong").check()
        wait_until(lambda: "12 of 1,000" in text(page, "#points-found"), "the wrong predictions are counted")
        name = page.locator("#points-found .point-item").nth(3).get_attribute("title").splitlines()[0]
        page.locator("#points-found .point-item").nth(3).click()
        wait_until(lambda: text(page, "#point .line") == name, "it is the compared sample")
        wait_until(lambda: name in text(page, "#sample"), "it is the chosen sample")
        page.locator("#point-wrong").uncheck()
        wait_until(lambda: page.locator("#neighbours img").count() == 12, "its neighbours have pictures")
        whole = "lines => lines.every((one) => (one.textContent = '0.00157', one.scrollWidth <= one.clientWidth))"
        assert page.locator("#neighbours .line.faint").evaluate_all(whole), "distances are read whole"
        page.locator("#point-in-network").click()
        wait_until(lambda: page.locator("[data-perspective=activations].chosen").count() == 1, "the network is shown")
        wait_until(lambda: name in text(page, "#sample"), "for the same sample")
        assert page.locator("#points").count() == 0
