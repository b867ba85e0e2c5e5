"""Browser tests of the chart of a training: lines, names and clicks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.apps.web.chart import WIDTH
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from tests.apps.conftest import Served
from tests.support.browser import changed, choose, looking, serving, still, text, wait_until
from tests.support.recorder import Recorder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def history() -> Iterator[Served]:
    yield from serving("history")


def points(page: Page, name: str) -> np.ndarray:
    """Return the points of a line, ``(n, 2)``, from the chart's upper left corner."""
    path = page.locator(f"[data-curve='{name}'] .curve-line").get_attribute("d")
    return np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), dtype=float)


def point(page: Page, name: str, place: int) -> tuple[float, float]:
    """Return the position of a point of a line on the page."""
    box = page.locator("#chart").bounding_box()
    x, y = points(page, name)[place] * box["width"] / WIDTH
    return box["x"] + x, box["y"] + y


def test_chart_lines_follow_the_statistic_and_a_click_on_one_chooses_its_layer(chromium: Browser, history: Served):
    training = open_capture(bundled("training.zarr.zip")).training
    with looking(chromium, history) as page:
        names = [line.get_attribute("data-curve") for line in page.locator("#chart .curve").all()]
        assert names == ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]
        assert page.locator("#chart-hover").text_content() == ""
        norms = training.statistic("gradient_norm")
        for name in names:
            recorded = np.log(norms[:, training.layers.index(name)])
            slope, error = np.polyfit(recorded, points(page, name)[:, 1], 1, full=True)[:2]
            assert slope[0] < 0
            assert error[0] < 0.01 * len(recorded), "all points lie on one logarithmic scale"
        assert f"{len(training)} recorded steps" in text(page, "#history")

        x, y = point(page, "conv2d", 40)
        page.mouse.move(x, y)
        wait_until(
            lambda: page.locator("#chart-hover").text_content() == "conv2d",
            "the name of the line under the pointer is told",
        )
        page.mouse.click(x, y)
        page.mouse.move(700, 20)
        wait_until(lambda: page.locator("[data-layer=conv2d].chosen").count() == 1, "the layer is chosen")
        wait_until(lambda: page.locator(".curve.dimmed").count() == len(names) - 1, "all others are dimmed")
        page.mouse.click(x, y)
        page.mouse.move(700, 20)
        wait_until(lambda: page.locator(".curve.dimmed").count() == 0, "no layer is chosen")

        before = still(page)
        choose(page, "charted", "update ratio")
        changed(page, before)

        choose(page, "charted", "loss and metrics")
        wait_until(lambda: page.locator("[data-curve='loss']").count() == 1, "the loss is charted")
        slope, error = np.polyfit(training.loss, points(page, "loss")[:, 1], 1, full=True)[:2]
        assert slope[0] < 0
        assert error[0] < 0.01 * len(training)


def test_chart_marks_the_shown_step_and_a_click_shows_another(chromium: Browser, history: Served):
    with looking(chromium, history) as page:
        page.locator("#restart").click()
        now = page.locator(".chart-now")
        wait_until(lambda: now.get_attribute("d").startswith("M42 0"), "the first step is at the left")
        page.locator("#layer-right").click()
        wait_until(lambda: now.get_attribute("d").startswith("M282 0"), "the last one is at the right")
        page.locator(".chart-ground").click(position={"x": 120, "y": 145})
        wait_until(lambda: "step 215 · " in text(page, "#step-words"), "the nearest recorded step is shown")
        wait_until(lambda: now.get_attribute("d").startswith("M161.7 0"), "the mark is at that step")
        page.locator("#step-release").click()
        wait_until(lambda: now.get_attribute("d").startswith("M282 0"), "the step follows the clock again")


def test_training_without_gradients_charts_the_loss(chromium: Browser, tmp_path: Path):
    Recorder(tmp_path / "run.zarr").go_on(3)
    with Served(str(tmp_path / "run.zarr")) as server, looking(chromium, server) as page:
        wait_until(lambda: page.locator("[data-curve='loss']").count() == 1, "the loss is charted")
        assert "loss and metrics" in text(page, "#history")


def test_validation_is_charted_with_the_training_its_parting_is_told_and_histograms_are_chosen(chromium: Browser):
    training = open_capture(bundled("histograms.zarr.zip")).training
    with Served("histograms") as server, looking(chromium, server) as page:
        names = [line.get_attribute("data-curve") for line in page.locator("#chart .curve").all()]
        assert names == ["loss", "accuracy", "mean loss of the epoch", "val_accuracy", "val_loss"]
        assert page.locator("#chart-names .chart-name").all_inner_texts() == names
        dashed = [line.get_attribute("data-curve") for line in page.locator("#chart .curve:has(.dashed)").all()]
        assert dashed == ["val_accuracy", "val_loss"]
        dots = page.locator("[data-curve='val_loss'] .curve-dots").get_attribute("d")
        heights = np.array(re.findall(r"M[\d.]+ ([\d.]+)a", dots), dtype=float)
        slope, error = np.polyfit(training.epoch_ends.metrics["val_loss"], heights, 1, full=True)[:2]
        assert slope[0] < 0
        assert error[0] < 0.2, "all dots lie on the scale of the loss"
        assert text(page, "#chart-overfitting").startswith("The model overfits after epoch 13")

        before = still(page)
        page.locator("#histogram_of button", has_text="updates").click()
        changed(page, before)
