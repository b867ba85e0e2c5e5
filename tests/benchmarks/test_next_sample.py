"""Seconds from a key to the whole picture of the next sample in Chromium, with browser, server and model on one machine."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.apps.conftest import Served
from tests.benchmarks.results import record_result
from tests.benchmarks.test_browser import DRAWN_HERE, SERVED, opened, without_webgl
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WATCH = """() => {
  const shown = () => window.nnviz3dPicture?.()?.number ?? window.nnviz3d.drawList();
  let told = null;
  window.trame.state.watch(["sample"], () => { told = { shown: shown() }; });
  window.addEventListener("keydown", () => {
    const acted = performance.now();
    let drawn = null;
    told = window.taken = null;
    const look = () => {
      if (told !== null && drawn === null && shown() !== told.shown) drawn = window.nnviz3d.pictures() ?? -1;
      // The server's picture is displayed as it is counted; the page draws some time after the numbers have arrived.
      if (drawn !== null && (window.nnviz3d.pictures() ?? 0) > drawn) window.taken = performance.now() - acted;
      else setTimeout(look, 5);
    };
    look();
  }, true);
}"""
"""Measures from each key to the first picture after the page has been told that it shows another sample."""


def pressed(page: Page, key: str) -> float:
    """Press a key, and return the seconds until the picture of another sample is displayed."""
    page.keyboard.press(key)
    page.wait_for_function("() => window.taken !== null", timeout=180_000)
    return float(page.evaluate("window.taken")) / 1000


def measured(browser: Browser, served: Served, ready: str, rounds: int, rest: float) -> tuple[float, float]:
    """Return median seconds of a sample that the model has to compute, and of one that is captured."""
    with opened(browser, served.url, ready) as page:
        time.sleep(5 * rest)
        page.evaluate(WATCH)
        taken: dict[str, list[float]] = {"ArrowRight": [], "ArrowLeft": []}
        for key, found in taken.items():
            for _ in range(rounds):
                found.append(pressed(page, key))
                time.sleep(rest)
        return statistics.median(taken["ArrowRight"][1:] or taken["ArrowRight"]), statistics.median(taken["ArrowLeft"])


def test_next_sample(webgl: Browser, tmp_path: Path, smallest: bool) -> None:  # noqa: F811
    pytest.importorskip("tensorflow", reason="The next sample is computed by TensorFlow.")
    rounds, rest = (1, 0.2) if smallest else (5, 3.0)
    random = np.random.default_rng(0)
    for k in range(2 * rounds + 2):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC).save(tmp_path / f"{k:02}.png")
    model = ["digits"] if smallest else ["keras:VGG16", "--weights", "none", "--input", str(tmp_path)]
    rows = []
    with ExitStack() as stack:
        plain = stack.enter_context(without_webgl(webgl))
        for way, browser, ready in (("server", plain, SERVED), ("client", webgl, DRAWN_HERE)):
            with Served("--draw", way, *model) as served:
                rows.append((way, *measured(browser, served, ready, rounds, rest)))
    table(
        "VGG16, from the key to the picture, in seconds",
        [["drawn by the", "computed by the model", "captured before"], *rows],
    )
    slowest = max(rows, key=lambda row: row[1])
    record_result(
        "vgg_sample",
        slowest[1],
        f"median of {rounds - 1} samples that the model computes, drawn by the {slowest[0]}, the slower of the two; "
        f"captured before: {', '.join(f'{way} {captured:.3g} s' for way, _, captured in rows)}; random weights, software "
        "rendering",
    )
