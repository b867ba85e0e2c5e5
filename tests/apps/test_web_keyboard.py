"""Browser tests of fields, keys and room: when a field is left, how long a sentence is shown, and what is read whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.apps.conftest import Served
from tests.apps.test_web_client import open_page
from tests.apps.test_web_navigation import path_of, server, show  # noqa: F401 - fixture
from tests.support import waiting
from tests.support.browser import text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
wait_until = partial(waiting.wait_until, patience=60.0, pause=0.1)

FOCUSED = "document.activeElement.id"
NUMBER = "window.trame.state.get('said')"
SENTENCE = "#message .v-snackbar__content"


@pytest.fixture
def page(webgl: Browser, server: Served) -> Iterator[Page]:  # noqa: F811
    with open_page(webgl, server, viewport={"width": 1440, "height": 900}) as page:
        yield page
        show(page, "1")


def focused(page: Page) -> str:
    """Return the id of the focused field; empty if none is."""
    return str(page.evaluate(FOCUSED))


def search(page: Page, words: str) -> None:
    page.keyboard.press("/")
    wait_until(lambda: focused(page) == "filter", "the search has the focus")
    page.keyboard.type(words)


class TestSentences:
    @pytest.mark.parametrize("second", ["Choose a layer", "of another version"])
    def test_new_sentence_is_shown_for_its_full_time(self, page: Page, second: str):
        page.clock.install()
        page.clock.pause_at(page.evaluate("Date.now()") + 1000)
        show(page, "9")
        wait_until(lambda: "of another version" in text(page, SENTENCE), "the first sentence")
        number = page.evaluate(NUMBER)
        page.clock.fast_forward(6000)
        if second == "Choose a layer":
            page.keyboard.press("f")
        else:
            show(page, "9")
        wait_until(lambda: page.evaluate(NUMBER) != number and second in text(page, SENTENCE), "the second sentence")
        page.clock.fast_forward(8000)
        server_answers(page)
        assert second in text(page, SENTENCE)
        page.clock.fast_forward(3000)
        page.clock.resume()
        page.locator(SENTENCE).wait_for(state="hidden")
        wait_until(lambda: page.evaluate("window.trame.state.get('message')") == "", "no later page shows it again")

    def test_end_of_a_sentence_on_one_page_keeps_the_next_one(self, page: Page):
        number = page.evaluate(NUMBER)
        show(page, "9")
        wait_until(lambda: page.evaluate(NUMBER) == number + 1, "the sentence has a number")
        page.evaluate("(number) => window.trame.trigger('heard', [number])", number)
        server_answers(page)
        assert "of another version" in text(page, SENTENCE)


def server_answers(page: Page) -> None:
    """Wait until the server has handled all earlier events of the page, and the page shows its answers."""
    page.evaluate("() => window.trame.trigger('open_view', ['1'], { chosen: true })")


def test_new_pick_scrolls_the_drawer_to_what_can_be_done_with_it(page: Page):
    show(page, "1~xconv2d,11,16,3")
    page.locator("#picked").wait_for()
    drawer = "document.querySelector('#picked').closest('.v-navigation-drawer__content').getBoundingClientRect()"
    head = "document.querySelector('#picked').getBoundingClientRect()"
    page.evaluate("document.querySelector('#picked').closest('.v-navigation-drawer__content').scrollTop = 1e6")
    assert page.evaluate(f"{head}.bottom < {drawer}.top"), "the head is out of sight"
    page.evaluate("window.trame.trigger('show_channel', ['conv2d_1 3'])")
    wait_until(
        lambda: page.evaluate(f"{head}.top >= {drawer}.top - 1 && {head}.bottom <= {drawer}.bottom"), "it is in sight"
    )


class TestFields:
    def test_search_that_flew_gives_the_keys_back_to_the_picture(self, page: Page):
        search(page, "conv2d_1 3")
        page.keyboard.press("Enter")
        wait_until(lambda: path_of(page)[:3] == ["digits", "conv2d_1", "channel 3"], "the channel is picked")
        wait_until(lambda: focused(page) != "filter", "the search is left")
        page.keyboard.press("Escape")
        page.locator("#pick").wait_for(state="hidden")
        page.keyboard.press("?")
        page.locator("#help").wait_for()
        page.keyboard.press("Escape")
        search(page, "conv2d_2")
        page.keyboard.press("Enter")
        wait_until(lambda: path_of(page) == ["digits", "conv2d_2"], "the layer is shown")
        wait_until(lambda: focused(page) != "filter", "the search is left again")
        page.locator("#filter").fill("")

    def test_escape_empties_the_search_then_leaves_it_then_clears_the_pick(self, page: Page):
        show(page, "1~xconv2d,11,16,3")
        wait_until(lambda: len(path_of(page)) == 4, "a cell is picked")
        search(page, "zzz")
        page.keyboard.press("Escape")
        wait_until(lambda: page.locator("#filter").input_value() == "", "the search is empty")
        assert page.evaluate("window.trame.state.get('layer_filter')") == ""
        assert focused(page) == "filter"
        page.keyboard.press("Escape")
        assert focused(page) != "filter"
        assert len(path_of(page)) == 4, "the pick stays"
        page.keyboard.press("Escape")
        page.locator("#pick").wait_for(state="hidden")

    def test_chosen_item_of_a_list_gives_the_keys_back_to_the_picture(self, page: Page):
        page.locator("#colormap").locator("xpath=ancestor::div[contains(@class, 'v-field ')]").click()
        page.locator(".v-select__content .v-list-item").nth(1).click()
        page.locator(".v-select__content").wait_for(state="hidden")
        left = "document.activeElement.closest('.v-input') === null"
        wait_until(lambda: page.evaluate(left), "no field has the focus")

    def test_search_shows_its_result_below_a_long_pick(self, page: Page):
        show(page, "1~xconv2d,11,16,3")
        page.locator("#pick").wait_for()
        search(page, "zzz")
        page.locator("#layers .empty").wait_for()
        box = page.locator("#layers .empty").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
        page.locator("#filter").fill("")
        rows = page.locator(".layer-list [data-layer]")
        wait_until(lambda: rows.count() == 9, "all layers are listed")
        boxes = [row.bounding_box() for row in rows.all()]
        assert sum(box is not None and box["y"] + box["height"] <= 900 for box in boxes) >= 3


class TestRoom:
    @pytest.mark.parametrize("width", [1100, 1300, 1340, 1380, 1440, 1600])
    def test_legend_of_the_perspectives_is_whole_or_hidden_and_cuts_no_tab(self, page: Page, width: int):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("""() => {
          const tabs = window.trame.state.get("perspectives").map((one) => ({ ...one, state: "computable" }));
          const more = { ...tabs[0], name: "side_by_side", title: "Side by side" };
          window.trame.state.set("perspectives", [...tabs, more]);
        }""")
        page.locator("#perspectives-legend").wait_for(state="attached")
        page.locator("[data-perspective=side_by_side]").wait_for()
        cut, shown, whole = page.evaluate("""() => {
          const tabs = document.getElementById("perspectives");
          const legend = document.getElementById("perspectives-legend");
          const [box, words] = [legend, legend.firstElementChild].map((one) => one.getBoundingClientRect());
          return [tabs.scrollWidth > tabs.clientWidth, words.top < box.bottom, words.right <= box.right + 0.5];
        }""")
        assert not (cut and shown)
        assert whole or not shown
        assert shown or width < 1600

    def test_numbers_of_terms_end_inside_the_panel(self, page: Page):
        show(page, "1~xconv2d_1,5,5,3")
        page.locator(".pick-number").first.wait_for()
        fits = """(numbers) => numbers.every((one) => {
          one.textContent = "−0.00792";
          return one.scrollWidth <= one.clientWidth;
        })"""
        assert page.locator(".pick-number").evaluate_all(fits)
