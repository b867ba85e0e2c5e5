"""Browser tests of the panel of a training: the slider over the recorded steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.views.training import figures, step_text
from tests.apps.conftest import Served
from tests.support.browser import back, changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def learning() -> Iterator[Served]:
    yield from serving("training")


def amber(picture: NDArray[np.uint8]) -> int:
    """Return the number of pixels of the finished part of the curve in the upper right corner."""
    height, width, _ = picture.shape
    corner = picture[: height // 5, width * 3 // 4 :].astype(int)
    return int(((corner[..., 0] > 180) & (corner[..., 1] > 110) & (corner[..., 2] < 120)).sum())


def test_step_slider_goes_through_the_recorded_steps(chromium: Browser, learning: Served):
    training = open_capture(bundled("training.zarr.zip")).training
    assert training is not None
    with looking(chromium, learning) as page:
        last = still(page)
        assert text(page, "#step-words") == step_text(training, len(training) - 1)
        thumb = page.locator(".v-slider:has(#step) [role=slider]")
        thumb.press("Home")
        first = changed(page, last)
        wait_until(lambda: text(page, "#step-words") == step_text(training, 0), "the first step is named")
        assert text(page, "#step-figures") == " · ".join(figures(training, 0))
        assert "predicted 9" in text(page, "#sample"), "it has not learned yet"
        assert amber(first) < amber(last) / 4, "the curve is gone through from its beginning"
        thumb.press("ArrowRight")
        wait_until(lambda: text(page, "#step-words") == step_text(training, 1), "the next one")
        # The step follows the clock again.
        page.locator("#step-release").click()
        wait_until(lambda: text(page, "#step-words") == step_text(training, len(training) - 1), "the clock's step")
        back(page, last)
        assert "predicted 7" in text(page, "#sample")
        page.locator("#restart").click()
        wait_until(lambda: text(page, "#step-words") == step_text(training, 0), "it goes by with the clock")


def test_gradients_of_a_training_are_of_the_loss(chromium: Browser, learning: Served):
    with looking(chromium, learning) as page:
        page.locator(".field:has(#quantity) .v-field").click()
        page.locator(".v-overlay--active .v-list-item", has_text="Gradient of the loss").click()
        wait_until(lambda: "Gradient of the loss" in text(page, "#insights"), "it is chosen")
        assert page.locator("#explained").count() == 0, "the loss is no class"
