"""A pressed pointer that moves like a hand over a page, and the number of browser frames that carried a new picture."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = {"width": 1280, "height": 720}
HAND = """([x, y]) => {
  let step = 0;
  const there = document.elementFromPoint(x, y);
  window.hand = setInterval(() => {
    step++;
    const at = { bubbles: true, buttons: 1, clientX: x + 3 * (step % 60), clientY: y + step % 30 };
    there.dispatchEvent(new PointerEvent("pointermove", { ...at, pointerId: 1, pointerType: "mouse", isPrimary: true }));
    if (window.follows_mouse) there.dispatchEvent(new MouseEvent("mousemove", at));
  }, 1000 / 60);
}"""
"""Moves a pressed pointer 60 times a second, like a hand; Playwright's own moves wait for the page each time."""
COUNT = """() => {
  window.frames = new Set();
  window.sizes = [];
  const carried = () => window.frames.add(document.timeline.currentTime);
  const drawing = ["drawArrays", "drawElements", "drawArraysInstanced", "drawElementsInstanced"];
  for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext]) {
    for (const name of drawing) {
      const draw = kind?.prototype[name];
      if (draw) kind.prototype[name] = function (...all) { carried(); return draw.apply(this, all); };
    }
  }
  const pictures = ImageBitmapRenderingContext.prototype;
  const show = pictures.transferFromImageBitmap;
  pictures.transferFromImageBitmap = function (bitmap) {
    carried();
    window.sizes.push(bitmap.width);
    return show.call(this, bitmap);
  };
}"""
"""Collects the times of the browser's frames in which WebGL drew or a picture was put into the page.

All that a page does for one frame has the same time, so pictures that replace each other before they are displayed count
once. It runs before the page's own scripts.
"""
_DISPLAYED = "disabled-by-default-display.framedisplayed"
"""Chromium's trace of the frames that its compositor has displayed, whatever changed in them."""
_WARM = 2.0
"""Seconds of a drag before it is measured."""


@dataclass(frozen=True)
class Drag:
    """What a page showed of a drag.

    Attributes
    ----------
    counted
        Browser frames with a new picture, each second.
    displayed
        Frames that the compositor displayed, each second: an upper bound, since it also displays other changes.
    width
        Median width in pixels of the server's pictures; 0 if the page draws.
    """

    counted: float
    displayed: float
    width: float

    @property
    def rate(self) -> float:
        """The pictures that were displayed, each second."""
        return min(self.counted, self.displayed)


def drag(browser: Browser, page: Page, at: tuple[float, float], seconds: float) -> Drag:
    """Drag a page that was opened with `COUNT`, and count what it shows."""
    page.mouse.move(*at)
    page.mouse.down()
    page.evaluate(HAND, list(at))
    time.sleep(min(_WARM, seconds))
    browser.start_tracing(page=page, categories=[_DISPLAYED, "blink.user_timing"])
    mark = (
        "(name) => { performance.mark(name); window.sizes.length = 0; return [performance.now(), window.frames.size]; }"
    )
    began, before = page.evaluate(mark, "drag-began")
    time.sleep(seconds)
    sizes = page.evaluate("[...window.sizes].sort((a, b) => a - b)")
    ended, after = page.evaluate(mark, "drag-ended")
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    page.evaluate("clearInterval(window.hand)")
    page.mouse.up()
    marks = {event["name"]: event["ts"] for event in events if event["name"] in ("drag-began", "drag-ended")}
    displayed = [event for event in events if event["name"] == "Display::FrameDisplayed"]
    within = [event for event in displayed if marks["drag-began"] < event["ts"] < marks["drag-ended"]]
    taken = (ended - began) / 1000
    return Drag((after - before) / taken, len(within) / taken, sizes[len(sizes) // 2] if sizes else 0)
