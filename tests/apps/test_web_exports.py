"""Browser tests of the page's own export: it is made, downloaded, opened without a network, and cancelled."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from tests.apps.conftest import Served
from tests.apps.test_web_client import drag, open_page, pose_of
from tests.support.browser import looking, text, wait_until
from tests.support.exported import ExportedPage
from tests.support.player import shown
from tests.support.processes import descendants

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of a server."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def ends_clean(temporary: Path) -> Iterator[list[Served]]:
    """Servers that must end without a word, a process or a file left over."""
    servers: list[Served] = []
    yield servers
    for server in servers:
        code, _, errors = server.end()
        assert code == 0
        assert errors in server.notices
    assert not list(temporary.iterdir())


def made(page: Page, every: bool) -> str:
    """Let the page make the file; returns what it says of it."""
    page.locator("#export").click()
    wait_until(lambda: "exact size" in text(page, "#export-estimate"), "the menu is open")
    if every:
        page.locator("#export-all").check()
    page.locator("#export-make").click()
    wait_until(lambda: page.locator("#export-save").count() > 0, "the file is ready")
    return text(page, "#export-words")


def downloaded(page: Page, folder: Path) -> Path:
    with page.expect_download() as found:
        page.locator("#export-save").click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_page_that_draws_saves_itself_with_its_camera_and_all_samples(
    webgl: Browser, small_capture: Capture, ends_clean: list[Served], temporary: Path, tmp_path: Path
) -> None:
    server = Served("--draw", "client", str(small_capture.path), "--sample", "1", "--layer", "conv")
    ends_clean.append(server)
    with open_page(webgl, server) as page:
        drag(page, 120, 30)
        said = made(page, every=True)
        address = page.evaluate("document.getElementById('export-save').href")
        key = address.partition("?")[0]
        assert status(f"{server.base}/exports/{Path(key).name}") == 403, "without the token"
        assert status(f"{server.base}/exports/{Path(key).name}?secret=x") == 403
        assert status(f"{server.base}/exports/0?secret={server.token}") == 404
        file = downloaded(page, tmp_path)
        assert status(address) == 200
        pose = pose_of(page)
        page.locator("#export-done").click()
        wait_until(lambda: not any(temporary.glob(".nnviz3d*")), "the file is removed")
        assert status(address) == 404
    assert file.suffix == ".html"
    assert said == f"{-(-file.stat().st_size // 1000)} kB, 3 samples"
    held = ExportedPage(file)
    assert [sample["index"] for sample in held.words["samples"]] == [1, 0, 2], "the shown one first"
    assert held.words["layer"] == "conv"
    for sample in range(3):
        for layer in ("conv", "dense"):
            stored = np.sort(small_capture.activation(layer, sample), axis=None)
            found = held.values(("wide", sample, "activation"), layer)
            np.testing.assert_array_equal(np.sort(found, axis=None), stored)
    # At least as wide for its height as the live page, whose picture has a second bar above: the eye stays where it was.
    with shown(webgl, file, (1320, 700)) as page:
        found = page.evaluate("nnviz3d.viewer.pose")
        for name in ("position", "target", "up"):
            np.testing.assert_allclose(found[name], getattr(pose, name), atol=1e-4)


def test_export_beside_a_server_that_draws_is_cancelled_and_leaves_nothing_at_the_end(
    webgl: Browser, digits_folder: Path, ends_clean: list[Served], temporary: Path, tmp_path: Path
) -> None:
    server = Served(str(digits_folder))
    ends_clean.append(server)
    with looking(webgl, server) as page:
        page.locator("#export").click()
        page.locator("#export-all").check()
        wait_until(lambda: "About 2." in text(page, "#export-estimate"), "the size of ten samples is estimated")
        page.locator("#export-rounded").check()
        wait_until(lambda: "About 1." in text(page, "#export-estimate"), "half of the cells' bytes")
        page.locator("#export-make").click()
        wait_until(lambda: page.locator("#export-cancel").count() > 0, "the page tells that it is made")
        (packing,) = wait_until(lambda: descendants(server.process.pid), "its process has started")
        os.kill(packing, signal.SIGSTOP)  # it is not ready before it is cancelled
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        wait_until(lambda: "digits:2" in text(page, "#sample"), "the page is used meanwhile")
        page.locator("#export").click()
        page.locator("#export-cancel").click()
        wait_until(lambda: page.locator("#export-make").count() > 0, "it is cancelled")
        wait_until(lambda: not any(temporary.glob(".nnviz3d*")), "its folder is removed")
        page.keyboard.press("Escape")
        page.locator("#export-one").wait_for(state="hidden")
        page.locator("#export").click()
        page.locator("#export-one").check()
        page.locator("#export-make").click()
        wait_until(lambda: page.locator("#export-save").count() > 0, "another one is made")
        assert [sample["index"] for sample in ExportedPage(downloaded(page, tmp_path)).words["samples"]] == [1]
        (digits_folder / "zarr.json").rename(tmp_path / "zarr.json")
        page.locator("#export-done").click()
        page.locator("#export").click()
        page.locator("#export-make").click()
        wait_until(lambda: "zarr" in page.evaluate("window.trame.state.get('message') || ''"), "one sentence")
        (tmp_path / "zarr.json").rename(digits_folder / "zarr.json")
        page.locator("#export-make").click()
        wait_until(lambda: page.locator("#export-cancel").count() > 0, "the server ends while it works")
    wait_until(lambda: any(temporary.glob(".nnviz3d*")), "there is a folder that the end must remove")
