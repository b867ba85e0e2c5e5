"""Clicks in an exported page show the scene's own words about what they hit."""

from __future__ import annotations

import pytest

from nnviz3d.render import picking
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.selection import Selection
from tests.apps.export.test_page import shown
from tests.support.scenes import bundled_scene

_ROWS = """() => nnviz3d.viewer.drawList.primitives
  .filter(({ kind, name }) => kind === "Callout" && name === "pick")
  .flatMap(({ rows }) => rows.map(({ text, key }) => (key ? `${key} ${text}` : text)))"""


def clicked(page, x: float, y: float) -> list[str]:
    """Click at a point of the picture; returns the rows of the callout."""
    box = page.locator("#view").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_timeout(450)  # the next click is no double click
    return page.evaluate(_ROWS)


@pytest.mark.parametrize("name", ["digits", "landscape"])
def test_click_shows_the_words_of_the_scene(webgl, bundled_page, name):
    scene = bundled_scene(name)
    with shown(webgl, bundled_page(name)) as page:
        page.evaluate("nnviz3d.time.seek(nnviz3d.words.duration)")
        pose = CameraPose(**page.evaluate("nnviz3d.viewer.pose"))
        size = tuple(page.evaluate("nnviz3d.viewer.size"))
        what, described = scene.at(scene.duration), 0
        for x in range(60, size[0] - 40, 110):
            at = (x + 0.5, size[1] * 0.55)
            hit = picking.pick(what, pose, size, at)
            found = None if hit is None else scene.pick(hit, Selection())
            facts = None if found is None else scene.describe(found, Selection())
            rows = (
                [] if facts is None else [getattr(r, "key", "") + " " * hasattr(r, "key") + r.text for r in facts.rows]
            )
            assert clicked(page, *at) == rows
            described += facts is not None
        assert described
        page.keyboard.press("Escape")
        assert page.evaluate(_ROWS) == []
