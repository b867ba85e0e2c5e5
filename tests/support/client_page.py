"""A page of a real Chromium with one viewer of the client, which shows draw lists and returns its pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.client.encoding import Encoder
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import Callout, DrawList, Labels, Panel
from tests.support.browser_log import logged_by
from tests.support.client import page_with, send

_START = """() => {
  document.body.style.margin = 0;
  const element = document.createElement("div");
  Object.assign(element.style, { position: "absolute", inset: 0 });
  document.body.append(element);
  Object.assign(window, { drawn: [], problems: [] });
  window.viewer = new client.Viewer(element, {
    drawn: (how) => drawn.push(how),
    problems: (sentences) => (window.problems = sentences),
    hit: (hit) => (window.hit = hit),
  });
}"""


def without_text(what: DrawList) -> DrawList:
    """Return the part of a picture that is drawn in the world."""
    return replace(what, primitives=tuple(p for p in what.primitives if not isinstance(p, Labels | Panel | Callout)))


class ClientPage:
    """A page with a viewer, `window.viewer`, and the client's exports, `window.client`.

    Attributes
    ----------
    page
        Playwright's page.
    logged
        Warnings and errors of the browser.
    """

    def __init__(self, browser: Any, size: tuple[int, int] = (1280, 720)) -> None:
        self.page = page_with(browser, "cells.js", "points.js", "viewer.js", size=size)
        self.logged = logged_by(self.page)
        self._encoder = Encoder()
        self.page.evaluate(_START)

    def send(self, *pictures: DrawList) -> None:
        """Send pictures to the page, which has them as draw lists in `window.shown`."""
        frames = [self._encoder.frame(what) for what in pictures]
        send(self.page, self._encoder)
        self.page.evaluate("(frames) => { window.shown = frames.map((frame) => store.frame(frame)); }", frames)

    def show(self, what: DrawList, pose: CameraPose) -> None:
        """Show a picture, and wait until it has smooth edges."""
        self.send(what)
        self.page.evaluate("(pose) => { drawn.length = 0; viewer.home(pose); viewer.show(shown[0]); }", asdict(pose))
        self.rest()

    def rest(self) -> None:
        """Wait until the picture has smooth edges."""
        self.page.wait_for_function("() => drawn.some((how) => how.smooth)", timeout=60_000)

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot of the page, ``(H, W, 3)``."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))


@contextmanager
def client_page(browser: Any, size: tuple[int, int] = (1280, 720)) -> Iterator[ClientPage]:
    """Open a page with a viewer; in the end the browser must have logged no warning and no error."""
    opened = ClientPage(browser, size)
    yield opened
    opened.page.close()
    assert not opened.logged, opened.logged
