"""Controls of the page that no other browser test touches, each clicked once: what it changes is seen and can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.bundled import bundled
from nnviz3d.scene.spec import read_scene
from tests.apps.conftest import Served
from tests.apps.test_web_interventions import PAINTED
from tests.support.browser import back, changed, choose, looking, serving, still, text, wait_until
from tests.support.number_words import read_number

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.chromium, pytest.mark.tensorflow]
WRONG = "digits:62"
"""A sample of which the network predicts another class than its label."""


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    yield from serving(str(bundled("digits.keras")), "--input", "digits:0-11", "--input", WRONG)


@pytest.fixture(scope="module")
def opened(chromium: Browser, server: Served) -> Iterator[Page]:
    with looking(chromium, server) as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The page, whose changes, perspective and choice are taken back after the test."""
    yield opened
    opened.evaluate("window.trame.trigger('reset_interventions')")
    show(opened, "1")
    wait_until(lambda: state(opened, "whatif_listed") == [], "nothing is changed")


def show(page: Page, view: str) -> None:
    """Show the view of an address."""
    page.evaluate("(view) => window.trame.trigger('open_view', [view], { chosen: true })", view)


def state(page: Page, name: str) -> object:
    return page.evaluate("(name) => window.trame.state.get(name)", name)


def scores(page: Page) -> list[tuple[str, str]]:
    """Return each score before and after the changes."""
    cells = page.locator("#whatif-scores span").all_inner_texts()[4:]
    return list(zip(cells[1::4], cells[2::4], strict=True))


def place(page: Page, words: str) -> Locator:
    """Return the row of a place that can be changed."""
    return page.locator(".whatif-place", has_text=words)


class TestWhatIf:
    def test_slider_of_a_factor_changes_the_scores_and_factor_1_leaves_them(self, page: Page):
        show(page, "1~xconv2d_1,5,4,7")
        wait_until(lambda: place(page, "Channel 7").count() == 1, "the channel can be changed")
        place(page, "Channel 7").get_by_text("× 2", exact=True).click()
        slider = page.locator("#whatif input[type=range]")
        wait_until(
            lambda: slider.count() == 1 and len(scores(page)) > 0, "it is doubled, and a slider shows the factor"
        )
        assert slider.input_value() == "2"
        slider.fill("-2")
        wait_until(lambda: text(page, ".whatif-change span") == "scale conv2d_1[7] by −2", "the slider sets the factor")
        slider.fill("1")
        equal = lambda: [before == after for before, after in scores(page)]  # noqa: E731
        wait_until(lambda: equal() and all(equal()), "factor 1 changes nothing")
        page.locator("#whatif-undo").click()
        wait_until(lambda: text(page, ".whatif-change span") == "scale conv2d_1[7] by −2", "the last change is undone")

    def test_frozen_layer_keeps_its_numbers_whatever_changes_before_it_and_a_change_is_taken_back(self, page: Page):
        show(page, "1~xconv2d_1,5,4,7")
        wait_until(lambda: place(page, "Whole layer").count() == 1, "the layer can be changed")
        place(page, "Whole layer").get_by_text("Freeze").click()
        wait_until(lambda: page.locator(".whatif-change").count() == 1 and scores(page), "it is frozen")
        show(page, "1~xconv2d,5,4,7")
        wait_until(lambda: "conv2d [" in text(page, "#picked .section-title"), "a cell before it is picked")
        place(page, "Whole layer").get_by_text("Mute").click()
        wait_until(lambda: page.locator(".whatif-change").count() == 2 and scores(page), "both changes are listed")
        wait_until(lambda: page.locator("#busy").count() == 0, "the model has run")
        frozen = scores(page)
        assert frozen
        assert all(before == after for before, after in frozen)
        page.get_by_label("Undo this change").first.click()
        wait_until(lambda: any(before != after for before, after in scores(page)), "the mute reaches the scores")
        assert page.locator(".whatif-change").count() == 1

    def test_brush_eraser_size_and_clear(self, page: Page):
        still(page)
        page.locator("#paint-toggle").click()
        canvas = page.locator("#paint-canvas")
        wait_until(lambda: canvas.count() == 1 and page.evaluate(PAINTED) > 0, "the canvas shows the digit")
        first = page.evaluate(PAINTED)

        def stroke() -> int:
            before = page.evaluate(PAINTED)
            box = canvas.bounding_box()
            page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.08 * box["height"])
            page.mouse.down()
            page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.08 * box["height"], steps=6)
            page.mouse.up()
            wait_until(lambda: page.evaluate(PAINTED) != before, "the canvas changes")
            return int(page.evaluate(PAINTED))

        page.locator(".paint-swatch[title=White]").click()
        thin = stroke()
        assert thin > first
        page.get_by_label("Size of the brush").fill("3")
        assert stroke() > thin, "a larger brush paints more"
        page.locator("#paint-board").get_by_text("Eraser").click()
        page.get_by_label("Size of the brush").fill("4.5")
        stroke()
        wait_until(lambda: page.evaluate(PAINTED) == first, "the paint is taken away")
        page.locator("#paint-board").get_by_text("Brush").click()
        stroke()
        page.locator("#paint-clear").click()
        wait_until(lambda: page.evaluate(PAINTED) == first, "all paint is taken away")
        wait_until(lambda: page.locator("#whatif-scores").count() == 0, "nothing is changed")
        page.locator("#paint-toggle").click()


class TestPick:
    def test_score_is_explained_beside_that_of_its_rival(self, page: Page):
        show(page, "1~xdense_1,0")
        wait_until(lambda: page.locator("#pick-choice button").count() == 2, "the score has a rival")
        own = page.locator("#pick-terms").inner_text()
        page.locator("#pick-choice button").last.click()
        wait_until(lambda: page.locator("#pick-rival-terms").count() == 1, "the difference is explained")
        assert " rather than " in text(page, "#pick-choice .chosen")
        assert page.locator("#pick-rival-terms").inner_text() != own
        page.locator("#pick-choice button").first.click()
        wait_until(lambda: page.locator("#pick-terms").count() == 1, "the score itself is explained")

    def test_strongest_samples_are_found_for_a_cell_and_for_an_unfolded_layer(self, page: Page):
        show(page, "1~xconv2d_1,5,4,7")
        page.locator("#ask-examples").click()
        found = page.locator("#pick-examples button")
        wait_until(lambda: found.count() > 1, "the samples are listed")
        told = [str(one.get_attribute("aria-label")) for one in found.all()]
        means = [read_number(words.partition(": ")[2].partition(";")[0]) for words in told]
        assert means == sorted(means, reverse=True)
        show(page, "1~lconv2d_2")
        page.locator("#unfold-layer").click()
        before = still(page)
        assert text(page, ".field:has(#unfold) .field-name") == "Unfold", "the scene is about the whole network"
        spilling = "buttons => buttons.filter((one) => one.scrollHeight > one.clientHeight + 1).map((one) => one.id)"
        assert page.locator(".panels .cloud-button").evaluate_all(spilling) == []
        assert page.locator("#find-examples").bounding_box()["height"] > 40, "its words take two lines"
        page.locator("#find-examples").click()
        wait_until(lambda: state(page, "channel_pictures") == "examples", "the channels show examples")
        wait_until(lambda: page.locator("#find-examples").count() == 0, "they are found")
        changed(page, before)
        page.locator("#unfold-layer").click()


class TestView:
    def test_scale_ranking_and_flight_change_the_picture(self, page: Page):
        first = still(page)
        for field, other, usual in (("normalize", "symmetric", "layer"), ("ranking", "contribution", "weight")):
            page.locator(f"#{field} button", has_text=other).click()
            changed(page, first)
            page.locator(f"#{field} button", has_text=usual).click()
            back(page, first)
        page.locator("[data-layer=conv2d_2]").click()
        far = changed(page, first)
        page.locator("#fly-to-layer").click()
        changed(page, far)
        page.locator("#home").click()
        back(page, far)

    def test_layer_of_the_list_of_gradients_is_highlighted(self, page: Page):
        page.locator("[data-perspective=gradients]").click()
        wait_until(lambda: page.locator("#sizes .diff-place").count() > 3, "the sizes are listed")
        assert text(page, "#sizes-words").startswith("Smallest: ")
        summary, first = (page.locator(one).first.bounding_box() for one in ("#sizes-words", "#sizes .diff-place"))
        assert summary["y"] + summary["height"] <= first["y"], "the summary stands above the list"
        before = still(page)
        name = page.locator("#sizes .diff-place .line").nth(2).inner_text()
        page.locator("#sizes .diff-place").nth(2).click()
        wait_until(lambda: state(page, "layer") == name, "the layer is highlighted")
        changed(page, before)

    def test_model_is_stopped_while_it_computes(self, page: Page):
        page.locator("[data-perspective=features]").click()
        page.locator("#stop-model").click(timeout=60_000)
        wait_until(lambda: page.locator("#busy").count() == 0, "the model has stopped")
        assert page.locator(".perspective.chosen").get_attribute("data-perspective") != "features"
        assert "failed" not in str(page.locator("[data-perspective=features]").get_attribute("class"))

    def test_tour_goes_back(self, page: Page):
        page.locator("#tour").click()
        wait_until(lambda: page.locator("#tour-bar").is_visible(), "the tour leads")
        page.locator("#tour-pause").click()
        wait_until(lambda: page.locator("#tour-pause .mdi-play").count() == 1, "it is paused")
        opening = text(page, "#tour-title")
        page.locator("#tour-next").click()
        wait_until(lambda: text(page, "#tour-title") not in ("", opening), "the next stop")
        page.locator("#tour-previous").click()
        wait_until(lambda: text(page, "#tour-title") == opening, "the stop before")
        page.locator("#tour-end").click()
        wait_until(lambda: page.locator("#tour-bar").count() == 0, "the tour has ended")


class TestSamples:
    def test_list_finds_predictions_and_wrong_ones(self, page: Page):
        page.locator("#sample").click()
        page.locator("#sample-filter").fill("nothing")
        wait_until(lambda: page.locator("#no-sample").count() == 1, "it says that none matches")
        page.locator("#sample-filter").fill("")
        page.locator("#find-predictions").click()
        wait_until(lambda: state(page, "perspective") == "embedding", "all samples are embedded")
        page.locator("#sample").click()
        wait_until(lambda: page.locator("#sample-wrong").count() == 1, "wrong predictions can be listed")
        page.locator("#sample-wrong").check()
        listed = page.locator(".sample-list button.sample")
        wait_until(lambda: listed.count() == 1, "one is wrong")
        listed.click()
        wait_until(lambda: WRONG in text(page, "#sample"), "it is shown")
        assert "wrong:" in text(page, "#sample")

    def test_points_are_found_by_name_and_class(self, page: Page):
        page.locator("[data-perspective=embedding]").click()
        wait_until(lambda: page.locator("#point-search").count() == 1, "samples can be searched")
        page.locator("#point-search").fill(WRONG)
        wait_until(lambda: "1 of 13" in text(page, "#points-found"), "one has this name")
        page.locator("#point-search").fill("")
        choose(page, "point-class", "9")
        counted = lambda: int(text(page, "#points-found").split()[0])  # noqa: E731
        wait_until(lambda: page.locator("#points-found").count() == 1 and 0 < counted() < 13, "those of a class")
        choose(page, "point-class", "any class")
        wait_until(lambda: page.locator("#points-found").count() == 0, "all are selected")

    def test_button_uploads_a_picture(self, page: Page, tmp_path: Path):
        ring = np.hypot(*np.mgrid[-14:14, -14:14])
        Image.fromarray((255 * (np.abs(ring - 8) < 2)).astype(np.uint8)).save(tmp_path / "ring.png")
        with page.expect_file_chooser() as chooser:
            page.locator("#upload").click()
        chooser.value.set_files(tmp_path / "ring.png")
        wait_until(lambda: text(page, "#sample").startswith("ring.png"), "the model runs on it")
        wait_until(lambda: "predicted" in text(page, "#sample"), "it is classified")

    def test_button_saves_a_scene_that_opens(self, page: Page, tmp_path: Path):
        show(page, "1~lconv2d_1")
        with page.expect_download() as download:
            page.locator("#write").click()
        download.value.save_as(tmp_path / "saved.toml")
        assert read_scene(tmp_path / "saved.toml").look.layer == "conv2d_1"
