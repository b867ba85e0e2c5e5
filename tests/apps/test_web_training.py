"""Browser tests of the panel of a training: the slider over the recorded steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.training_control import ControlFile, ControlRequest
from nnviz3d.scene.views.training import figures, step_text
from tests.apps.conftest import Served
from tests.support.browser import back, changed, looking, serving, still, text, wait_until
from tests.support.recorder import Recorder

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


def test_page_lets_a_training_wait_step_and_go_on(chromium: Browser, tmp_path: Path):
    recorder = Recorder(tmp_path / "run.zarr", control=True)
    recorder.go_on(2)
    asked = ControlFile(tmp_path / "run.zarr")
    with Served(str(tmp_path / "run.zarr")) as server, looking(chromium, server) as page:
        buttons = {name: page.locator(f"#training-{name}") for name in ("pause", "step", "continue")}

        def says(words: str, *shown: str) -> None:
            wait_until(lambda: words in text(page, "#training-state"), f"it says: {words}")
            assert [name for name, button in buttons.items() if button.count()] == list(shown)

        says("It is running.", "pause")
        buttons["pause"].click()
        says("Pausing after the next step", "continue")
        assert asked.read() == ControlRequest(pause=True)
        before = (tmp_path / "run.zarr" / "training" / "control.json").stat().st_mtime
        recorder.pause(waits=True)
        says("Paused; it goes on when the page closes.", "step", "continue")
        buttons["step"].click()
        wait_until(lambda: asked.read() == ControlRequest(pause=True, steps=1), "a step is asked for")
        recorder.go_on(1)
        wait_until(lambda: "step 200 · " in text(page, "#step-words"), "the step is shown")
        wait_until(
            lambda: (tmp_path / "run.zarr" / "training" / "control.json").stat().st_mtime > before + 2,
            "the request is renewed",
        )
        buttons["continue"].click()
        wait_until(lambda: asked.read() == ControlRequest(pause=False), "it may go on")
        recorder.pause(waits=False)
        says("It is running.", "pause")
        recorder.finish()
        wait_until(lambda: page.locator("#training-control").count() == 0, "a finished training cannot be asked")


def test_training_of_a_recorder_without_control_cannot_be_asked(chromium: Browser, tmp_path: Path):
    Recorder(tmp_path / "run.zarr").go_on(2)
    with Served(str(tmp_path / "run.zarr")) as server, looking(chromium, server) as page:
        wait_until(lambda: "step 100 · " in text(page, "#step-words"), "the training is shown")
        assert page.locator("#training-control").count() == 0
        page.evaluate("window.trame.trigger('training_pause')")
        wait_until(lambda: "record one with TrainingRecorder(..., control=True)" in text(page, "body"), "it says why")
        assert ControlFile(tmp_path / "run.zarr").read() is None
