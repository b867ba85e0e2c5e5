"""Clicks in an exported page show the scene's own words about what they hit."""

from __future__ import annotations

import pytest

from nnviz3d.render import picking
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.selection import CellPick, Selection
from tests.support.player import shown
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


def test_pick_of_a_highlighted_scene_keeps_its_words_in_other_samples(webgl, bundled_page):
    with shown(webgl, bundled_page("digits")) as page:
        page.evaluate("nnviz3d.time.seek(nnviz3d.words.duration)")
        page.evaluate("nnviz3d.choose({ layer: 'conv2d_1', colormap: 'viridis' })")
        blocks = page.evaluate("nnviz3d.viewer.drawList.primitives.filter(({ kind }) => kind === 'Voxels').length")
        assert blocks == 8
        size = page.evaluate("nnviz3d.viewer.size")
        rows = next(found for x in range(60, size[0], 40) if (found := clicked(page, x + 0.5, size[1] * 0.6)))
        scene = bundled_scene("digits")
        layer, *index = rows[0].replace("[", "").replace("]", "").replace(",", "").split(" ")
        for sample in (0, 1, 2):
            page.evaluate("(sample) => nnviz3d.choose({ sample })", sample)
            facts = scene.describe(CellPick(layer, tuple(map(int, index))), Selection(sample=sample))
            assert page.evaluate(_ROWS)[:2] == [facts.title, facts.value]


def test_layer_of_a_highlighted_structure_is_picked(webgl, bundled_page):
    with shown(webgl, bundled_page("structure")) as page:
        page.evaluate("nnviz3d.choose({ layer: 'dense' })")
        size = page.evaluate("nnviz3d.viewer.size")
        rows = next(found for x in range(60, size[0], 40) if (found := clicked(page, x + 0.5, size[1] * 0.55)))
        assert rows[0] in {node.id for node in bundled_scene("structure").context.graph}
