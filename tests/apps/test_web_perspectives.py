"""Browser tests of the bar of perspectives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.apps.conftest import Served
from tests.support.browser import back, changed, looking, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    with looking(chromium, served) as page:
        yield page


def choose(page: Page, name: str) -> None:
    page.locator(f"[data-perspective={name}]").click()


def chosen(page: Page) -> str:
    return str(page.locator(".perspective[aria-selected=true]").get_attribute("data-perspective"))


def test_bar_switches_the_picture_and_the_controls_and_keeps_sample_and_layer(page):
    assert chosen(page) == "activations"
    page.locator(".layer[data-layer=conv2d_1]").click()
    first = still(page)
    choose(page, "neurons")
    neurons = changed(page, first)
    assert chosen(page) == "neurons"
    assert not page.locator("#colormap").is_visible()
    assert page.locator("#ranking").is_visible()
    assert page.locator("#details").is_visible(), "the layer stays highlighted"
    sample = text(page, "#sample")
    choose(page, "network")
    wait_until(lambda: still(page).shape != neurons.shape, "a scene without an animation has no bar below")
    assert not page.locator("#appearance").is_visible()
    assert text(page, "#sample") == sample
    choose(page, "activations")
    back(page, first)
    page.locator(".layer[data-layer=conv2d_1]").click()


def test_perspective_that_is_impossible_says_why_and_changes_nothing(page):
    first = still(page)
    tab = page.locator("[data-perspective=attention]")
    assert "has no attention layer" in str(tab.get_attribute("title"))
    tab.click()
    wait_until(lambda: "has no attention layer" in text(page, "#message"), "the page says why")
    assert chosen(page) == "activations"
    back(page, first)


LINES = """() => {
  // The numbers of lines that "--landscape" takes in the message.
  const walker = document.createTreeWalker(document.getElementById("message"), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  const range = document.createRange();
  for (const node of texts) {
    const at = node.data.indexOf("--landscape");
    if (at < 0) continue;
    range.setStart(node, at);
    range.setEnd(node, at + "--landscape".length);
    return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
  }
  return 0;
}"""


def test_names_of_options_do_not_break_and_are_copied_as_they_are(page):
    size = page.viewport_size
    sentence = "The data set brings no true classes; capture the model with --landscape --dataset DATA --labels FILE."
    page.evaluate("words => window.trame.state.set('message', words)", sentence)
    wait_until(lambda: "--landscape" in text(page, "#message"), "the sentence is shown")
    assert sentence in str(page.locator("#message").text_content())
    try:
        for width in range(260, 640, 20):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate(LINES) == 1, f"at {width} pixels"
    finally:
        page.set_viewport_size(size)
        page.evaluate("window.trame.state.set('message', '')")
    title = str(page.locator("[data-perspective=landscape]").get_attribute("title"))
    assert "-\u2060-\u2060l\u2060a" in title
    assert "--landscape" in title.replace("\u2060", "")


def test_cameras_go_to_the_view_of_the_perspective_even_if_the_user_has_moved_them(page):
    first = still(page)
    page.locator("#view").hover()
    page.mouse.wheel(0, -400)
    near = changed(page, first)
    choose(page, "neurons")
    changed(page, near)
    choose(page, "activations")
    back(page, first)
