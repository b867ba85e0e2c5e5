"""The client's pictures in a real Chromium against VTK's pictures of the same frames."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render.picking import pick
from nnviz3d.scene.hits import CellHit
from tests.support.client_page import client_page, without_text
from tests.support.gallery import READY
from tests.support.scenes import bundled_scene
from tests.support.vtk_picture import drawn_by_vtk

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def page(webgl):
    with client_page(webgl, SIZE) as opened:
        yield opened


@pytest.mark.parametrize("name", READY)
def test_client_draws_a_bundled_scene_as_vtk_does(page, name: str) -> None:
    scene = bundled_scene(name)
    what = without_text(scene.at(scene.duration))
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    page.show(what, pose)
    apart = np.abs(page.pixels().astype(int) - drawn_by_vtk(what, pose, SIZE))
    # VTK's background has noise of one level. A few pixels at the edges of lines and cubes are rounded otherwise.
    assert apart.mean() < 0.6
    assert (apart.max(axis=2) > 40).mean() < 0.003


@pytest.mark.parametrize("name", ["attention", "decisions", "digits", "gradients", "statistics"])
def test_each_visible_cell_has_the_colour_of_its_number_where_it_projects(page, name: str) -> None:
    scene = bundled_scene(name)
    what = without_text(scene.at(scene.duration))
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    page.show(what, pose)
    pixels = page.pixels().astype(float)
    around = np.stack([np.roll(pixels, (dy, dx), axis=(0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    # Not at the edge of a cube, nor on a line, nor on the background.
    flat = (np.ptp(around, axis=0).max(axis=2) <= 3) & (pixels.max(axis=2) > 40)
    places = np.random.default_rng(7).permutation(np.argwhere(flat))[:300]
    checked = right = 0
    for y, x in places:
        hit = pick(what, pose, SIZE, (x + 0.5, y + 0.5)) if checked < 60 else None
        if not isinstance(hit, CellHit):
            continue
        block = hit.primitive
        low, high = block.limits
        color = block.colormap.at(np.array((block.values[hit.cell] - low) / (high - low))) * 255
        ground = np.array(what.background[0]) * 255
        # A face is lit by 65 to 100 percent; a fainter block is mixed with the background.
        shades = np.linspace(0.4, 1, 121)[:, np.newaxis] * color
        wanted = ground * (1 - block.emphasis) + shades * block.emphasis
        checked += 1
        right += bool(np.abs(wanted - pixels[y, x]).max(axis=1).min() < 4)
    assert checked > 20
    assert right / checked > 0.95, right
