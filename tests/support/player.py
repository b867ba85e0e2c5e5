"""Exported pages in a real browser."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.browser_log import logged_by

PATIENCE = 120_000
"""Most milliseconds that a condition is waited for, on a machine that is busy with other work."""


@contextmanager
def shown(browser, path: Path, size: tuple[int, int] = (960, 600), *, ready: bool = True, address: str | None = None):
    """Open a file with the network off; no request, no error and no message of the console is allowed."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True)
    page = context.new_page()
    faults = logged_by(page)
    page.on("request", lambda request: faults.append(request.url))
    page.on("dialog", lambda dialog: (faults.append("dialog"), dialog.dismiss()))
    page.goto(address or path.as_uri())
    if ready:
        until(page, "globalThis.nnviz3d !== undefined && !globalThis.nnviz3d.file.more")
    yield page
    assert [one for one in faults if one not in (path.as_uri(), address) and "GPU stall" not in one] == []
    context.close()


def until(page, condition: str) -> None:
    """Wait for a condition; the page's policy forbids Playwright's own way of waiting."""
    assert page.evaluate(
        f"""async () => {{
          const end = performance.now() + {PATIENCE};
          while (!({condition})) {{
            if (performance.now() > end) return false;
            await new Promise((resolve) => setTimeout(resolve, 20));
          }}
          return true;
        }}"""
    ), condition


def pixels(page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.locator("#view").screenshot())).convert("RGB"), dtype=np.int16)


def settled(page) -> np.ndarray:
    """Wait until the picture rests with smooth edges, and return it."""
    until(page, "nnviz3d.viewer.rests")
    return pixels(page)
