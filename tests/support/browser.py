"""A browser that shows the page of a served scene."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.apps.conftest import Served
from tests.support import waiting
from tests.support.browser_log import logged_by

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

wait_until = partial(waiting.wait_until, patience=120.0, pause=0.1)
SHOWS_WHOLE_PICTURE = """() => {
  const picture = window.nnviz3dPicture?.();
  if (!picture) return false;
  const box = document.querySelector('#view').getBoundingClientRect();
  return picture.width === Math.round(box.width * devicePixelRatio)
    && picture.height === Math.round(box.height * devicePixelRatio);
}"""
SHOWS_SMOOTH_PICTURE = "() => window.nnviz3dPicture?.()?.media === 'image/png'"
"""The server sends only the last picture of a change as PNG: the one with smooth edges."""


def pixels(page: Page) -> NDArray[np.uint8]:
    """Return a screenshot of the picture, ``(H, W, 3)``."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#view").screenshot())).convert("RGB"))


def same(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether two screenshots show the same picture; Chromium's compositor rounds some pixels up or down."""
    return a.shape == b.shape and int(np.abs(a.astype(np.int16) - b).max()) <= 1


def still(page: Page) -> NDArray[np.uint8]:
    """Wait for a whole and still picture, and return it: the same for half a second if it is smooth, else for 1.5 s."""
    last: list[NDArray[np.uint8]] = []

    def is_still() -> bool:
        smooth = bool(page.evaluate(SHOWS_SMOOTH_PICTURE))
        last.append(pixels(page))
        count = 3 if smooth else 4
        stays = len(last) >= count and all(same(last[-1], other) for other in last[-count:-1])
        time.sleep(0.25 if smooth else 0.4)
        return (
            stays and bool(page.evaluate(SHOWS_WHOLE_PICTURE)) and smooth == bool(page.evaluate(SHOWS_SMOOTH_PICTURE))
        )

    wait_until(is_still, "the picture is still")
    return last[-1]


def changed(page: Page, before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Wait for a still picture that differs from an earlier one, and return it."""
    wait_until(lambda: np.mean(np.abs(pixels(page).astype(int) - before)) > 0.05, "the picture changes")
    return still(page)


def back(page: Page, first: NDArray[np.uint8]) -> None:
    """Wait until the picture is the same as an earlier one."""
    wait_until(lambda: same(still(page), first), "the picture is the first one again")


def text(page: Page, selector: str) -> str:
    """Return the visible text of an element."""
    return str(page.locator(selector).first.inner_text())


def choose(page: Page, field: str, title: str) -> None:
    """Choose an item of a list by the id of its field and a part of its title."""
    page.locator(f".field:has(#{field}) .v-field").click()
    page.locator(".v-overlay--active .v-list-item", has_text=title).first.click()


@contextmanager
def looking(chromium: Browser, server: Served) -> Iterator[Page]:
    """Open a page that shows the picture; in the end the browser must have logged no warning or error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    logged = logged_by(page)
    page.goto(server.url)
    wait_until(lambda: page.evaluate(SHOWS_WHOLE_PICTURE), "the page shows the picture")
    yield page
    context.close()
    assert not logged, logged


def serving(*arguments: str) -> Iterator[Served]:
    """Serve a scene for a fixture; in the end the server must stop cleanly and have printed no traceback.

    The model is loaded only when it is needed, which most tests never do.
    """
    server = Served("--no-live", *arguments)
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
