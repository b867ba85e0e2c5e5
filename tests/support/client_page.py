"""The client in a real Chromium: a page with one viewer, which shows draw lists and returns its pixels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.client.bundle import bundle
from nnviz3d.client.encoding import Encoder
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import Callout, DrawList, Labels, Panel

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

_ADDRESS = "http://client.test/"
_PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html, body {{ margin: 0; height: 100%; background: #000 }} #view {{ position: absolute; inset: 0 }}</style>
<div id="view"></div><script type="module">
import * as client from "./client.js";
window.client = client;
const store = new client.Store();
window.arrive = async (name) => {{
  const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const {{ frames, ...additions }} = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  for (const array of additions.arrays) {{
    array.bytes = bytes.slice(at, at + array.length);
    at += array.length;
  }}
  store.add(additions);
  window.frames_ = frames.map((frame) => store.frame(frame));
}};
window.drawn = [];
window.problems = [];
const on = {{
  drawn: (how) => drawn.push(how),
  problems: (sentences) => (window.problems = sentences),
  hit: (hit) => (window.hit = hit),
}};
window.viewer = new client.Viewer(document.querySelector("#view"), on);
window.ready = true;
</script>"""


def without_text(what: DrawList) -> DrawList:
    """Return the part of a picture that is drawn in the world."""
    return replace(what, primitives=tuple(p for p in what.primitives if not isinstance(p, Labels | Panel | Callout)))


class ClientPage:
    """A page with a viewer, `window.viewer`, and the client's exports, `window.client`.

    Attributes
    ----------
    logged
        Warnings and errors of the browser.
    """

    def __init__(self, page: Page, entries: Sequence[str] = ("store.js", "viewer.js")) -> None:
        self.page = page
        self.logged: list[str] = []
        self._encoder = Encoder()
        self._sent: dict[str, bytes] = {}
        self._script = bundle(*entries)
        page.on("console", lambda m: self.logged.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.logged.append(str(e)))
        page.route(f"{_ADDRESS}**", self._serve)
        page.goto(_ADDRESS)
        page.wait_for_function("() => window.ready || (window.failed = true)")
        assert not self.logged, self.logged

    def _serve(self, route: Route) -> None:
        name = route.request.url.removeprefix(_ADDRESS)
        if name == "":
            route.fulfill(body=_PAGE.format(), content_type="text/html")
        elif name == "client.js":
            route.fulfill(body=self._script, content_type="text/javascript")
        else:
            route.fulfill(body=self._sent.pop(name), content_type="application/octet-stream")

    def send(self, *pictures: DrawList) -> None:
        """Send pictures to the page, which has them as draw lists in `window.frames_`."""
        frames = [self._encoder.frame(what) for what in pictures]
        added = self._encoder.take()
        head = {
            "frames": frames,
            "first_record": added.first_record,
            "records": added.records,
            "first_array": added.first_array,
            "arrays": [{"dtype": a.dtype.name, "shape": a.shape, "length": a.nbytes} for a in added.arrays],
        }
        text = json.dumps(head).encode()
        name = f"frames{len(self._sent)}"
        self._sent[name] = b"".join([len(text).to_bytes(4, "little"), text, *(a.tobytes() for a in added.arrays)])
        self.page.evaluate("(name) => arrive(name)", name)

    def show(self, what: DrawList, pose: CameraPose) -> None:
        """Show a picture, and wait until it has smooth edges."""
        self.send(what)
        self.page.evaluate("(pose) => { drawn.length = 0; viewer.home(pose); viewer.show(frames_[0]); }", asdict(pose))
        self.rest()

    def rest(self) -> None:
        """Wait until the picture has smooth edges."""
        self.page.wait_for_function("() => drawn.some((how) => how.smooth)", timeout=60_000)

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot of the page, ``(H, W, 3)``."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))


@contextmanager
def client_page(browser: Browser, size: tuple[int, int] = (1280, 720)) -> Iterator[ClientPage]:
    """Open a page with a viewer; in the end the browser must have logged no warning and no error."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = ClientPage(context.new_page())
    yield page
    context.close()
    assert not page.logged, page.logged
