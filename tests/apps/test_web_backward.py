"""Browser tests of a scene with both passes and a training: play, pause, speed, layer by layer, and seek."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.apps.conftest import Served
from tests.support.browser import changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def flow() -> Iterator[Served]:
    yield from serving("gradient_flow")


def blue(picture: np.ndarray) -> float:
    """Return the share of the picture that shows negative numbers; activations after ReLU have none."""
    red, green, below = (picture[..., k].astype(int) for k in range(3))
    return float(((below > 140) & (below - red > 60) & (below - green > 10)).mean())


def clock(page: Page) -> float:
    return float(text(page, ".clock-now"))


def seek(page: Page, t: float) -> None:
    """Click on the time slider at a time in seconds."""
    duration = float(text(page, ".clock").split("/")[1].removesuffix("s"))
    box = page.locator("#transport .v-slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] * t / duration, box["y"] + box["height"] / 2)
    wait_until(lambda: abs(clock(page) - t) < 0.3, "the clock follows the slider")


def test_both_passes_play_pause_slow_down_and_seek(chromium: Browser, flow: Served):
    with looking(chromium, flow) as page:
        end = still(page)
        assert text(page, "#phase") == "training: 100%"

        seek(page, 15.0)
        back = changed(page, end)
        assert text(page, "#phase") == "backward: 9 of 9 stages"
        assert blue(back) > 0.01
        seek(page, 5.5)
        forward = changed(page, back)
        assert text(page, "#phase").startswith("forward: 9")
        page.locator("#layer-right").click()
        wait_until(lambda: text(page, "#phase") == "backward: 0 of 9 stages", "the backward pass is about to start")
        dark = changed(page, forward)
        for k in (1, 2, 3):
            page.locator("#layer-right").click()
            wait_until(lambda k=k: text(page, "#phase") == f"backward: {k} of 9 stages", "the next layer is reached")
        some = changed(page, dark)
        assert blue(dark) < blue(some) < blue(back)
        page.locator("#layer-left").click()
        wait_until(lambda: text(page, "#phase") == "backward: 2 of 9 stages", "the previous layer is reached")

        page.locator("#speed").click()
        page.locator("#speeds .v-list-item", has_text="0.25×").click()
        page.locator("#speeds").wait_for(state="hidden")
        before = clock(page)
        page.keyboard.press(" ")
        wait_until(lambda: clock(page) > before + 0.2, "it plays")
        page.keyboard.press(" ")
        wait_until(lambda: page.locator("#play .mdi-play").count(), "it is paused")
        moment = clock(page)
        assert moment < before + 4, "a quarter as fast"
        page.locator("#transport [role=slider]").press("End")
        wait_until(lambda: text(page, "#phase") == "training: 100%", "it is at its end")
