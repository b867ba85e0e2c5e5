"""Browser tests of saves: the view in the address, scene files, and keyframes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.scene.spec import read_scene
from nnviz3d.scene.view_text import ViewState, decode_view
from tests.apps.conftest import Served
from tests.support.browser import SHOWS_WHOLE_PICTURE, back, changed, looking, same, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture
def server(digits_folder: Path) -> Iterator[Served]:
    yield from serving(str(digits_folder))


def address_of(page: Page) -> str:
    return str(page.evaluate("location.href"))


def view_in(page: Page) -> ViewState | None:
    found = parse_qs(urlsplit(address_of(page)).query).get("view")
    return None if found is None else decode_view(found[0])


def drag(page: Page) -> None:
    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 150, y + 40, steps=5)
    page.mouse.up()


def alike(page: Page, picture: NDArray[np.uint8]) -> None:
    """Wait for a picture from a camera whose numbers were rounded in the address."""
    difference = [255.0]

    def near() -> bool:
        difference.append(float(np.abs(still(page).astype(int) - picture).mean()))
        return difference[-1] < 0.1

    wait_until(near, "the picture is the one of the address", patience=20)


def said(page: Page) -> str:
    return str(page.evaluate("document.querySelector('#message')?.innerText ?? ''")).strip()


def silence(page: Page) -> None:
    """Close the message, which covers a part of the picture."""
    page.evaluate("window.trame.state.set('message', '')")
    wait_until(lambda: not said(page), "the message is gone")


def saved(page: Page, folder: Path) -> Path:
    with page.expect_download() as found:
        page.keyboard.press("w")
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def test_address_follows_the_view_and_opens_it_again(chromium: Browser, server: Served, tmp_path: Path) -> None:
    with looking(chromium, server) as page:
        first = still(page)
        drag(page)
        turned = changed(page, first)
        page.keyboard.press("ArrowRight")
        shown = changed(page, turned)
        wait_until(
            lambda: (view := view_in(page)) is not None and view.sample == 1 and view.pose, "the address follows"
        )
        address = address_of(page)
        assert "secret" not in address
        assert server.token not in address
        page.keyboard.press("r")
        page.keyboard.press("ArrowLeft")
        back(page, first)
        wait_until(
            lambda: view_in(page).pose is None and view_in(page).sample == 0, "the address has the scene's own view"
        )
        page.goto(address)
        wait_until(lambda: "digits:2" in text(page, "#sample"), "the sample of the address is shown")
        alike(page, shown)
        restored = still(page)
        path = saved(page, tmp_path)
        wait_until(lambda: "my.toml opens as it is shown" in said(page), "the page says what to do")
    spec = read_scene(path)
    assert path.name == "my.toml"
    assert spec.source is not None
    assert spec.source.sample == 1
    assert spec.camera.pose is not None
    again = Served(str(path))
    try:
        with looking(chromium, again) as page:
            assert same(still(page), restored), "the server that opens the file shows the same picture"
            page.keyboard.press("r")
            changed(page, restored)
    finally:
        assert again.end()[0] == 0


HOSTILE = [
    "1~s99",
    "1~lnothing",
    "1~xconv2d,99,0,0",
    "1~xconv2d,999999999999999",
    "1~unothing",
    "1~wnothing",
    "1~d5",
    "1~mgrad_cam",
    "1~qgradient",
    "1~gdense_1!5B3!5D",
    "1~l!3Cimg!20src=x!20onerror=alert(1)!3E",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "1~p0,0,0,0,0,0",
    "1" + "~s1" * 3000,
    "%00%ff",
]


def test_hostile_views_are_one_sentence_and_the_default_view(chromium: Browser, server: Served) -> None:
    with looking(chromium, server) as page:
        first = still(page)
        wait_until(lambda: view_in(page) is not None, "the address has the view")
        before = address_of(page)
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for view in HOSTILE:
            page.goto(f"{server.base}/?view={view}"[:7000])
            wait_until(lambda: said(page), f"a sentence about {view[:30]}")
            sentence = said(page)
            assert "\n" not in sentence
            assert sentence.startswith("The view in the address"), (view, sentence)
            wait_until(lambda: address_of(page) == before, f"the address has the view that is shown, not {view[:30]}")
            silence(page)
            # The browser logs the answers that a page still waits for when it is left.
            wait_until(lambda: page.evaluate(SHOWS_WHOLE_PICTURE), "the page shows the picture")
        back(page, first)
        assert not dialogs


def test_second_page_does_not_change_what_the_first_shows(chromium: Browser, server: Served) -> None:
    with looking(chromium, server) as page:
        first = still(page)
        other = chromium.new_context(viewport={"width": 1280, "height": 720}).new_page()
        other.goto(f"{server.url}&view=1~s2~t1~p1,2,30,0,0,0")
        wait_until(lambda: "Other pages" in said(other), "it says why")
        assert "digits:3" in text(page, "#sample")
        back(page, first)
        other.context.close()


def test_keyframes_are_listed_shown_removed_and_saved(chromium: Browser, server: Served, tmp_path: Path) -> None:
    with looking(chromium, server) as page:
        first = still(page)
        page.keyboard.press("k")
        wait_until(lambda: page.locator(".keyframe").count() == 1, "it is listed")
        silence(page)
        drag(page)
        turned = changed(page, first)
        page.locator("#keyframe").click()
        wait_until(lambda: page.locator(".keyframe").count() == 2, "both are listed")
        silence(page)
        page.locator(".keyframe button").first.click()
        back(page, first)
        page.locator(".keyframe button").nth(2).click()
        back(page, turned)
        page.keyboard.press("k")
        wait_until(lambda: page.locator(".keyframe").count() == 3, "a third one")
        page.keyboard.press("Shift+K")
        wait_until(lambda: page.locator(".keyframe").count() == 2, "the last one is removed")
        frames = read_scene(saved(page, tmp_path)).camera.keyframes
    assert len(frames) == 2
    assert all(frame.pose is not None for frame in frames)
    assert frames[0].pose != frames[1].pose
    assert frames[1].at == frames[0].at + 3
