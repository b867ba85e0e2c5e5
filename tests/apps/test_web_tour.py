"""Browser tests of the tour: its bar, its buttons and its keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.story.stop import StoryStop
from tests.apps.conftest import Served
from tests.support.browser import back, changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@cache
def stops(sample: int = 0) -> tuple[StoryStop, ...]:
    capture = open_capture(bundled("digits.zarr.zip"))
    return story_of(Scene.build(default_scene(), capture), Selection(sample))


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    with looking(chromium, served) as page:
        yield page


def tells(page: Page, stop: StoryStop) -> None:
    shown = lambda: (text(page, "#tour-title"), text(page, "#tour-text")) == (stop.title, stop.caption)  # noqa: E731
    wait_until(lambda: page.locator("#tour-bar").is_visible() and shown(), f"the page tells of {stop.title}")


def test_tour_is_led_by_buttons_dots_and_keys_and_leaves_the_page_as_it_was(page):
    first = still(page)
    page.keyboard.press("t")
    tells(page, stops()[0])
    page.locator("#tour-pause").click()
    overview = still(page)
    assert overview.shape != first.shape, "the caption is below the picture, never in front of it"
    page.locator("#tour-next").click()
    tells(page, stops()[1])
    changed(page, overview)
    page.locator(".tour-stop").nth(4).click()
    tells(page, stops()[4])
    wait_until(lambda: page.locator(".layer.chosen[data-layer=conv2d_2]").count() == 1, "its layer is highlighted")
    near = still(page)
    page.locator("#view").hover()
    page.mouse.wheel(0, -400)
    changed(page, near)
    page.keyboard.press("ArrowLeft")
    tells(page, stops()[3])
    page.keyboard.press("ArrowRight")
    tells(page, stops()[4])
    back(page, near)
    page.keyboard.press("Escape")
    wait_until(lambda: page.locator("#tour-bar").count() == 0, "the tour has ended")
    back(page, first)


def test_tour_goes_on_by_itself_pauses_and_tells_of_another_sample(page):
    page.locator("#tour").click()
    tells(page, stops()[0])
    tells(page, stops()[1])
    page.keyboard.press(" ")
    wait_until(lambda: page.locator("#tour-pause .mdi-play").count() == 1, "it is paused")
    page.get_by_title("Next sample").click()
    tells(page, stops(1)[1])
    page.get_by_title("Previous sample").click()
    tells(page, stops(0)[1])
    page.locator("#tour-end").click()
    wait_until(lambda: page.locator("#tour-bar").count() == 0, "the tour has ended")


def test_page_of_serve_with_tour_begins_with_it(chromium, digits_folder):
    with contextmanager(serving)(str(digits_folder), "--tour") as server, looking(chromium, server) as page:
        tells(page, stops()[0])
