"""Browser tests of a ready capture that is served with its model: what a click computes is kept in the capture."""

from __future__ import annotations

import hashlib
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from tests.apps.conftest import Served
from tests.support import command_line
from tests.support.browser import looking, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.chromium, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run.zarr``, which holds twelve digits and no embedding, and its model ``m.keras``."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copy(bundled("digits.keras"), folder / "m.keras")
    done = command_line.run("capture", "m.keras", "-i", "digits:0-11", "-o", "run.zarr", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def state_of(page: Page, name: str) -> str:
    found = page.evaluate("window.trame.state.get('perspectives')")
    return next(str(one["state"]) for one in found if one["name"] == name)


def contents(folder: Path) -> dict[str, str]:
    files = [one for one in folder.rglob("*") if one.is_file() and "more" not in one.relative_to(folder).parts]
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def test_embedding_that_a_click_computes_is_held_by_later_sessions_bit_for_bit(chromium: Browser, captured: Path):
    run, model = str(captured / "run.zarr"), str(captured / "m.keras")
    before = contents(captured / "run.zarr")
    with Served(run, "--model", model, "--no-live") as server:
        with looking(chromium, server) as page:
            assert state_of(page, "embedding") == "computable"
            page.locator("[data-perspective=embedding]").click()
            wait_until(lambda: "Kept in run.zarr." in text(page, "#message"), "the page says where it is kept")
            wait_until(lambda: page.evaluate("window.trame.state.get('perspective')") == "embedding", "it is shown")
        code, _, errors = server.end(signal.SIGINT)
        assert (code, "Traceback" in errors) == (0, False), errors
    assert contents(captured / "run.zarr") == before, "the capture itself is as it was"
    (file,) = (captured / "run.zarr" / "more").iterdir()
    with Served(run) as server:
        with looking(chromium, server) as page:
            assert state_of(page, "embedding") == "held"
            page.locator("[data-perspective=embedding]").click()
            wait_until(lambda: page.evaluate("window.trame.state.get('perspective')") == "embedding", "it is shown")
            assert state_of(page, "landscape") == "impossible"
            told = str(page.locator("[data-perspective=landscape]").get_attribute("title")).replace("\u2060", "")
            assert f"If you name its model, nnviz3d serve {run} --model m.keras, a click computes it." in told
        assert server.end()[0] == 0
    found = open_capture(run)
    (layer,) = found.embeddings
    done = command_line.run(
        "capture", "m.keras", "-i", "digits:0-11", "--embed", layer, "-o", "whole.zarr", cwd=captured
    )
    assert done.returncode == 0, done.stderr
    kept, whole = found.embedding(layer), open_capture(captured / "whole.zarr").embedding(layer)
    for name in ("points", "first", "snapshots", "vectors", "labels", "predictions", "probabilities", "thumbnails"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(whole, name))
    assert (kept.names, kept.key) == (whole.names, whole.key)
    picture = command_line.run("snapshot", "run.zarr", "--scene", "embedding", "-o", "e.png", cwd=captured)
    assert picture.returncode == 0, picture.stderr
    assert f"kept: embeddings/{layer}, in more/{file.name}" in command_line.run("inspect", run, cwd=captured).stdout
