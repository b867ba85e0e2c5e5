"""The panels of a picture on a telephone are above and below the network."""

from __future__ import annotations

import pytest

from nnviz3d.render.eye import Eye
from nnviz3d.render.panels import panel_widest, place_panels
from nnviz3d.render.text import panel_sprite
from nnviz3d.scene.primitives import Panel
from tests.support.scenes import bundled_scene

SIZE, SCALE = (390, 746), 0.87
"""Pixels of a telephone's picture, and the scale of its text."""


@pytest.mark.parametrize("name", ["digits", "attention", "gradients", "kernels", "statistics"])
def test_panels_of_an_upright_picture_do_not_cover_the_network(name):
    scene = bundled_scene(name).with_aspect(SIZE[0] / SIZE[1])
    panels = [one for one in scene.at(scene.duration).primitives if isinstance(one, Panel)]
    sizes = []
    for panel in panels:
        pixels = panel_sprite(panel, SCALE, panel_widest(panel.corner, 1, SIZE, SCALE), at_left=True)
        sizes.append((panel.corner, (pixels.shape[1], pixels.shape[0])))
    points, _ = Eye.of(scene.overview(aspect=SIZE[0] / SIZE[1]), SIZE).project(scene.extent())
    highest, lowest = SIZE[1] - points[:, 1].min(), SIZE[1] - points[:, 1].max()
    for placed in place_panels(sizes, SIZE, SCALE):
        bottom, top = placed.rect.bottom, placed.rect.bottom + placed.rect.height
        above = panels[placed.index].corner.startswith("top")
        assert bottom >= highest - 3 if above else top <= lowest + 3, panels[placed.index].name
