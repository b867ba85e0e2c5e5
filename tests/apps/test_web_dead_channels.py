"""Dead channels in a browser: one click finds them, another one flies to a channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.apps.conftest import Served
from tests.scene.test_channel_search import dead_values, rectified
from tests.support import captures
from tests.support.browser import changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    capture = captures.write(tmp_path / "dead.zarr", rectified("conv", "dense"), dead_values())
    yield from serving(str(capture.path))


def test_one_click_finds_the_dead_channels_and_another_one_flies_to_a_channel(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        before = still(page)
        assert "Find in all layers" in text(page, "#dead")
        page.locator("#find-dead").click()
        wait_until(lambda: page.locator(".dead-layer").count() == 2, "both layers are listed")
        assert text(page, "#dead-extent") == "Channels that are 0 for all 3 samples"
        assert page.locator(".dead-layer .dead-chip").first.inner_text() == "2"
        assert page.locator("[data-layer=conv] .dead-channels").inner_text().strip(" ·") == "1 dead"
        page.locator(".dead-chip").first.click()
        wait_until(lambda: page.evaluate("window.trame.state.get('layer')") == "conv", "the layer is selected")
        changed(page, before)
        assert "channel 2" in " ".join(page.evaluate("window.trame.state.get('crumbs').map((one) => one.words)"))
        more = page.locator(".dead-chip.more")
        if more.count():
            more.click()
            wait_until(lambda: more.inner_text() == "fewer", "all channels are listed")
        page.locator("#fold-dead").click()
        wait_until(lambda: page.locator(".dead-layer").count() == 0, "the list is hidden")
