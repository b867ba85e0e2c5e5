"""Browser tests of the panel for quantity, class, compared sample and method."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.scene.colors import score
from tests.apps.conftest import Served
from tests.support.browser import back, changed, choose, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def gradients() -> Iterator[Served]:
    yield from serving("gradients")


@pytest.fixture(scope="module")
def decisions() -> Iterator[Served]:
    yield from serving("decisions")


def test_choosing_a_quantity_changes_the_cells(chromium: Browser, gradients: Served):
    with looking(chromium, gradients) as page:
        before = still(page)
        assert "Gradient of the score" in text(page, "#insights")
        choose(page, "quantity", "Activation")
        after = changed(page, before)
        # Gradients are blue and orange; activations after ReLU are never blue.
        blue = [(p[..., 2] > 150) & (p[..., 0] < 90) for p in (before, after)]
        assert blue[0].mean() > 10 * blue[1].mean()


def test_choosing_a_class_or_a_method_changes_the_map(chromium: Browser, decisions: Served):
    with looking(chromium, decisions) as page:
        first = still(page)
        assert "3 · 0.891" in text(page, "#insights")
        choose(page, "explained", "5 · ")
        second = changed(page, first)
        assert "5 · 0.0" in text(page, "#insights")
        choose(page, "method", "Occlusion")
        changed(page, second)
        assert "Occlusion" in text(page, "#insights")
        third = still(page)
        page.locator("#map-opacity input, #map-opacity").first.focus()
        page.locator("#appearance .v-slider-thumb").first.press("Home")
        clear = changed(page, third)
        assert "0 %" in text(page, "#appearance")
        colorful = [np.ptp(p.astype(int), axis=2).mean() for p in (third, clear)]
        assert colorful[1] < colorful[0], "the picture is seen without the map's colours"
        page.locator("#reset-look").click()
        back(page, third)


def last_run(server: Served) -> Capture:
    """Return the capture of the last run of the model for a running server, which holds the file open."""
    held = {link.resolve() for link in Path(f"/proc/{server.process.pid}/fd").iterdir()}
    return open_capture(max(path for path in held if path.name.startswith("live-")))


@pytest.mark.tensorflow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what the server holds open is read from /proc")
def test_choosing_a_class_that_was_not_captured_runs_the_model(chromium: Browser, gradients: Served, tmp_path):
    with looking(chromium, gradients) as page:
        choose(page, "quantity", "Gradient of the score")
        before = still(page)
        page.locator(".field:has(#explained) .v-field").click()
        page.keyboard.type("6")
        page.keyboard.press("Enter")
        wait_until(lambda: page.locator("#busy").count() == 1, "it says what is waited for")
        wait_until(lambda: "6 · " in text(page, "#insights"), "the class is shown")
        assert page.locator("#busy").count() == 0
        changed(page, before)
        shown, fresh = last_run(gradients), tmp_path / "fresh.zarr"
        words = ["--input", shown.sample_name(0), "--class", "6", "--gradients", "-o", str(fresh)]
        subprocess.run([sys.executable, "-m", "nnviz3d", "capture", str(bundled("digits.keras")), *words], check=True)
        (alone,) = open_capture(fresh).explanations().targets
        assert f"6 · {score(alone.probability)}" in text(page, "#insights")
        for node in shown.graph:
            expected = open_capture(fresh).explanations().gradient(node.id, alone.target)
            assert expected is not None
            assert expected.any(), "a layer of gradients that are all zero would prove little"
            assert np.array_equal(shown.explanations().gradient(node.id, alone.target), expected), node.id


def test_difference_subtracts_the_previous_sample(chromium: Browser, gradients: Served):
    with looking(chromium, gradients) as page:
        assert page.locator("#against").count() == 0
        first = still(page)
        choose(page, "quantity", "Difference")
        second = changed(page, first)
        assert "digits:18" in page.locator(".field:has(#against)").inner_text()
        page.locator("#view").click(position={"x": 20, "y": 560})
        page.keyboard.press("ArrowRight")
        changed(page, second)
        wait_until(lambda: text(page, "#sample").startswith("digits:18"), "the other one is shown")
        assert "digits:7" in page.locator(".field:has(#against)").inner_text()
