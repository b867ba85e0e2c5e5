"""Tests of films and pages with NaN, infinity, layers of zeros, very wide layers, and unreadable captures."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR
from tests.apps.conftest import Served
from tests.apps.test_desktop import odd_capture, x_server
from tests.support import command_line
from tests.support.browser import SHOWS_WHOLE_PICTURE, still, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

COMMANDS = {
    "serve": ["--no-open"],
    "show": [],
    "record": ["-o", "film.mp4"],
    "snapshot": ["-o", "picture.png"],
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_capture(tmp_path_factory.mktemp("odd") / "odd.zarr")


def of_color(pixels: NDArray[np.uint8], color: tuple[float, float, float]) -> int:
    """Return the number of pixels with a colour's hue, at any brightness."""
    strong = pixels[pixels.max(axis=2) > 90].astype(float)
    wanted = np.array(color) / np.linalg.norm(color)
    return int(((strong / np.linalg.norm(strong, axis=1, keepdims=True)) @ wanted > 0.995).sum())


def assert_truth(pixels: NDArray[np.uint8]) -> None:
    assert of_color(pixels, NAN_COLOR) > 20, "what is no number is told apart"
    assert of_color(pixels, INF_COLOR) > 5, "and so is infinity"
    assert ((pixels[..., 0] > 200) & (pixels[..., 1] > 150)).sum() > 50, "among numbers that are drawn as such"


def test_film_of_odd_numbers_is_recorded(odd: Path, tmp_path: Path):
    command = [
        "record",
        str(odd),
        "-o",
        "frames",
        "--size",
        "800x450",
        "--fps",
        "1",
        "--seconds",
        "3",
        "--tour",
        "orbit",
    ]
    done = command_line.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    frames = sorted((tmp_path / "frames").glob("*.png"))
    assert len(frames) == 3
    assert_truth(np.asarray(Image.open(frames[0])))


@pytest.mark.chromium
def test_page_of_odd_numbers_is_shown(odd: Path, chromium: Browser):
    server = Served(str(odd), "--port", "0")
    page = chromium.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.goto(server.url)
    wait_until(lambda: page.evaluate(SHOWS_WHOLE_PICTURE), "the picture is there")
    assert_truth(still(page))
    page.locator('[data-layer="broken"]').click()
    wait_until(lambda: "NaN" in page.locator("#details").inner_text(), "its numbers are told")
    page.context.close()
    code, _, errors = server.end()
    assert code == 0
    assert errors in server.notices


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("harm", ["newer", "cut"])
def test_unreadable_capture_is_one_sentence(small_capture, tmp_path: Path, command: str, harm: str):
    if harm == "newer":
        target = tmp_path / "newer.zarr"
        shutil.copytree(small_capture.path, target)
        description = json.loads((target / "zarr.json").read_text())
        description["attributes"]["version"] = 99
        (target / "zarr.json").write_text(json.dumps(description))
    else:
        target = tmp_path / "cut.zarr.zip"
        target.write_bytes(b"PK\x03\x04 and then nothing more")
    with x_server() if command == "show" else contextlib.nullcontext(":0") as display:
        environment = {**os.environ, "DISPLAY": display}
        done = command_line.run(command, target.name, *COMMANDS[command], cwd=tmp_path, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert ("Update nnviz3d" if harm == "newer" else "cut.zarr.zip is not a capture") in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
