"""The tour of an exported page: the captions of the story, told by the file alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnviz3d.scene.selection import Selection
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.tours.story import Walk
from tests.support.exported import ExportedPage
from tests.support.player import pixels, settled, shown, until
from tests.support.scenes import bundled_scene


def test_file_holds_captions_times_and_cameras_of_each_sample(bundled_page):
    scene, page = bundled_scene("digits"), ExportedPage(bundled_page("digits"))
    assert [sample["index"] for sample in page.words["samples"]] == [0, 1, 2]
    for sample in page.words["samples"]:
        selection = Selection(sample["index"], quantity="activation")
        stops = story_of(scene, selection)
        walk = Walk.of(scene, 16 / 9, selection, stops, captioned=False)
        assert [(stop["title"], stop["text"]) for stop in sample["story"]] == [(s.title, s.caption) for s in stops]
        assert [stop["time"] for stop in sample["story"]] == list(walk.times)
        assert [stop["layer"] for stop in sample["story"]] == [chosen.layer for chosen in walk.selections]
        for stop, pose in zip(sample["story"], walk.poses, strict=True):
            [[_, told]] = [one for one in stop["poses"]["wide"] if one[0] == 16 / 9]
            np.testing.assert_allclose(told["position"], pose.position, atol=1e-4)
            np.testing.assert_allclose(told["target"], pose.target, atol=1e-4)
    assert page.words["samples"][0]["story"] != page.words["samples"][1]["story"]


@pytest.mark.parametrize("name", ["embedding", "landscape", "gradients"])
def test_scene_without_layers_or_with_other_numbers_has_no_tour(bundled_page, name):
    page = ExportedPage(bundled_page(name))
    told = {quantity["name"] for quantity in page.words["quantities"]}
    has_layers = bool(bundled_scene(name).blocks) and (not told or "activation" in told)
    assert all(bool(sample["story"]) == has_layers for sample in page.words["samples"])


def test_tour_leads_by_keys_and_buttons_and_ends_as_it_began(webgl, bundled_page):
    told = ExportedPage(bundled_page("digits")).words["samples"][0]["story"]
    other = ExportedPage(bundled_page("digits")).words["samples"][1]["story"]
    with shown(webgl, bundled_page("digits")) as page:
        still = settled(page)
        before = page.evaluate("[nnviz3d.time.t, nnviz3d.state.layer]")
        page.keyboard.press("t")
        assert page.locator("#tour-title").text_content() == told[0]["title"]
        assert page.locator("#tour").get_attribute("aria-pressed") == "true"
        assert page.locator("#transport").is_hidden()
        page.keyboard.press(" ")
        assert page.evaluate("nnviz3d.tour.playing") is False
        page.keyboard.press("ArrowRight")
        page.locator("#tour-next").click()
        assert page.locator("#tour-text").text_content() == told[2]["text"]
        assert page.locator("#tour-count").text_content() == f"3 of {len(told)}"
        until(page, f"nnviz3d.time.gliding === null && Math.abs(nnviz3d.time.t - {told[2]['time']}) < 1e-6")
        assert page.evaluate("nnviz3d.state.layer") == told[2]["layer"]
        row = page.locator(f"[data-layer='{told[2]['layer']}']")
        assert row.get_attribute("aria-pressed") == "true"
        pick = json.loads(page.evaluate("JSON.stringify(nnviz3d.pick)"))
        assert (pick["layer"], pick["index"]) == (told[2]["pick"]["layer"], told[2]["pick"]["index"])
        until(page, "nnviz3d.viewer.flight === null")
        assert np.abs(settled(page)[:400] - still[:400]).mean() > 1
        page.evaluate("nnviz3d.step(1)")
        assert page.locator("#tour-text").text_content() == other[2]["text"]
        page.evaluate("nnviz3d.step(-1)")
        page.locator("#tour-previous").click()
        assert page.locator("#tour-title").text_content() == told[1]["title"]
        page.keyboard.press("Escape")
        assert page.locator("#tour-bar").is_hidden()
        assert page.evaluate("[nnviz3d.time.t, nnviz3d.state.layer]") == before
        until(page, "nnviz3d.viewer.flight === null")
        settled(page)
        assert np.abs(pixels(page) - still).mean() < 0.4


def test_tour_plays_by_itself_to_the_next_stop_and_captions_fit_a_telephone(webgl, bundled_page):
    with shown(webgl, bundled_page("digits"), (390, 844)) as page:
        page.evaluate("for (const stop of nnviz3d.tour.stops) stop.seconds = 0")
        page.locator("#tour").click()
        until(page, "nnviz3d.tour.index > 1")
        page.locator("#tour-pause").click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator("#tour-bar").bounding_box()
        assert box["y"] + box["height"] <= 844
        assert page.locator("#view").bounding_box()["height"] > 400
