"""A pressed pointer that moves like a hand over a page, and the rate of a page's own counter meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

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


def dragged(page: Page, at: tuple[float, float], counter: str, seconds: float) -> float:
    """Drag a page for some seconds, and return how much a counter of its window grows each second."""
    page.mouse.move(*at)
    page.mouse.down()
    page.evaluate(HAND, list(at))
    time.sleep(0.5)
    began, before = page.evaluate(f"[performance.now(), window.{counter}]")
    time.sleep(seconds)
    ended, after = page.evaluate(f"[performance.now(), window.{counter}]")
    page.evaluate("clearInterval(window.hand)")
    page.mouse.up()
    return float((after - before) / (ended - began) * 1000)
