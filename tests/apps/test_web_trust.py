"""Browser tests of hostile values: names that contain markup, and values that a page changes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from tests.apps.conftest import Served
from tests.support.browser import choose, looking, text, wait_until
from tests.support.graphs import chain

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium

MARKUP, TEMPLATE, METRIC = "<img src=x onerror='window.ran = 1'>", "{{ window.ran = 1 }}", "<b>worse<b> {{ 6 * 7 }}"


def odd_training(path: Path) -> None:
    """Write three steps of a training whose layers and metric have hostile names; all gradients explode."""
    network = chain([("start", "InputLayer", (4,)), (MARKUP, "Dense", (3,)), (TEMPLATE, "Dense", (2,))])
    tensors = Packing(tuple((node.id, "0", (1, *node.shape)) for node in network))
    provenance = Provenance(MARKUP, samples=(MARKUP,))
    with CaptureWriter(path, graph=network, provenance=provenance, samples=1, growing=True) as capture:
        capture.commit(1)
        announce_training(capture, network, metrics=(METRIC,), probes=1, activations=tensors)
    writer = TrainingWriter(path)
    writer.probe(1, np.ones(tensors.width, np.float32), np.empty(0, np.float32))
    for step in (1, 2, 3):
        layers = np.full((len(network), len(STATISTICS)), np.nan, np.float32)
        layers[1:, :2] = [1000.0 * step, 1.0]
        scalars = {"step": step, "epoch": 0, "loss": 1 / step, "learning_rate": 0.1}
        writer.step(scalars, {METRIC: step}, layers, np.empty(0, np.float32))
    writer.finish()


def test_names_are_never_markup_and_values_of_the_page_are_checked(chromium: Browser, tmp_path: Path):
    odd_training(tmp_path / "odd.zarr")
    with Served(str(tmp_path / "odd.zarr"), "--scene", "history") as server:
        with looking(chromium, server) as page:

            def charted() -> list[str | None]:
                return [line.get_attribute("data-curve") for line in page.locator("#chart .curve").all()]

            wait_until(lambda: charted() == [MARKUP, TEMPLATE], "the layers are charted by their names")
            assert MARKUP in text(page, "body")
            assert TEMPLATE in text(page, "body")
            choose(page, "charted", "loss and metrics")
            wait_until(lambda: charted() == ["loss", METRIC], "the metric too")
            page.locator(".curve-reach").nth(1).dispatch_event("mouseenter")
            wait_until(lambda: page.locator("#chart-hover").text_content() == METRIC, "its name is told as it is")
            assert page.evaluate("window.ran") is None

            page.evaluate("window.trame.state.set('recorded_steps', 1000)")
            page.evaluate("window.trame.state.set('recorded_index', 999)")
            asked = "The page asked for an unknown recorded step, 999; they are 0 to 2."
            wait_until(lambda: asked in text(page, "body"), "there is no such step")
            wait_until(
                lambda: page.evaluate("window.trame.state.get('recorded_steps')") == 3,
                "there are as many as there were",
            )
            assert "step 3 · " in text(page, "#step-words")
        code, _, errors = server.end()
        assert code == 0
        assert "Traceback" not in errors
