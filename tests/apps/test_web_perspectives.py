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


def test_cameras_go_to_the_view_of_the_perspective_even_if_the_user_has_moved_them(page):
    first = still(page)
    page.locator("#view").hover()
    page.mouse.wheel(0, -400)
    near = changed(page, first)
    choose(page, "neurons")
    changed(page, near)
    choose(page, "activations")
    back(page, first)
