"""The example notebooks run, and a browser shows their scenes inline."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.examples.programs import EXAMPLES
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
NOTEBOOKS = {"see_a_model": 2, "captured_numbers": 1}
"""Names of the notebooks, and how many scenes each shows inline."""


@pytest.fixture(scope="module", params=NOTEBOOKS)
def executed(request, tmp_path_factory):
    """An executed notebook, and how many scenes it has to show."""
    folder = tmp_path_factory.mktemp(request.param)
    notebook = nbformat.read(EXAMPLES / "notebooks" / f"{request.param}.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    with ThreadPoolExecutor(1) as thread:  # this one has Playwright's event loop
        thread.submit(client.execute).result()
    return notebook, NOTEBOOKS[request.param]


def frames(notebook) -> list[str]:
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    texts = (output.get("data", {}).get("text/html", "") for output in outputs)
    return [text for text in texts if text.startswith("<iframe")]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_notebook_shows_its_scenes_inline_in_a_browser(executed, webgl: Browser, tmp_path: Path) -> None:
    notebook, count = executed
    shown = frames(notebook)
    assert len(shown) == count
    page_file = tmp_path / "notebook.html"
    page_file.write_text("<!DOCTYPE html><meta charset='utf-8'>" + "".join(shown), encoding="utf-8")
    page = webgl.new_context(viewport={"width": 1000, "height": 600 * count}, offline=True).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_file.as_uri())
    for k in range(count):
        frame = page.locator("iframe").nth(k)

        def is_drawn(frame=frame) -> bool:
            pixels = np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("RGB")).astype(int)
            bright = pixels.max(axis=2) > 120
            colorful = pixels.max(axis=2) - pixels.min(axis=2) > 60
            return bool(bright.mean() > 0.02 and colorful.mean() > 0.01)

        wait_until(is_drawn, f"scene {k} of the notebook is drawn", patience=60, pause=0.5)
    assert not errors
    page.context.close()
