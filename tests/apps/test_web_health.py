"""Tests of the alarm dots in the page's list of layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from nnviz3d.apps.web.layer_rows import alarm_items, css
from nnviz3d.scene.views.health import GRAVE, SERIOUS
from tests.apps.conftest import Served
from tests.support import waiting
from tests.support.trainings import faulty_training

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

wait_until = partial(waiting.wait_until, patience=120.0, pause=0.1)
NAN = "NaN or infinite: 7 of its weights (after the step; alarm above 0)"
DOTS = """() => Object.fromEntries([...document.querySelectorAll('.layer .alarm')].map((dot) =>
  [dot.closest('.layer').dataset.layer, [getComputedStyle(dot).backgroundColor, dot.title]]))"""


def test_each_layer_has_the_colour_of_its_most_serious_alarm(tmp_path: Path):
    capture = faulty_training(tmp_path / "run.zarr")
    assert capture.training is not None
    assert alarm_items(capture.training, 1, capture.graph) == {}
    found = alarm_items(capture.training, 20, capture.graph)
    assert found["scores"] == {"color": css(GRAVE), "text": NAN}
    assert {name: mark["color"] for name, mark in found.items()} == {"scores": css(GRAVE), "conv": css(SERIOUS)}


@pytest.mark.chromium
def test_alarm_dots_follow_the_shown_step(chromium: Browser, tmp_path: Path):
    faulty_training(tmp_path / "run.zarr")
    server = Served(str(tmp_path / "run.zarr"), "--scene", "training")
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    said: list[str] = []
    page.on("pageerror", lambda e: said.append(str(e)))
    page.goto(server.url)
    wait_until(lambda: len(page.evaluate(DOTS)) == 2, "dots of the last step")
    found = page.evaluate(DOTS)
    assert found["scores"] == [css(GRAVE), NAN]
    assert found["conv"][0] == css(SERIOUS)
    page.locator('[data-layer="scores"]').click()
    assert page.locator("#details .alarm-text").inner_text() == NAN
    page.locator('[data-layer="scores"]').click()
    page.locator("#restart").click()
    wait_until(lambda: page.evaluate(DOTS) == {}, "no dots at the first step")
    page.close()
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
    assert not said
