"""Tests of surfaces: colours, light, holes, hiding, and picking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.render.picking import pick
from nnviz3d.render.surfaces import shade
from nnviz3d.scene.hits import SurfaceHit
from nnviz3d.scene.primitives import Surface
from tests.render.conftest import SIZE
from tests.support.blocks import looking, picture_of
from tests.support.pinhole import pixel_at

POSE = looking((20.0, 35.0), 12.0)
ALONG, ACROSS = np.linspace(-2, 2, 9, dtype=np.float32), np.linspace(-1.5, 1.5, 7, dtype=np.float32)


def bowl(**changes) -> Surface:
    """A paraboloid that is red at the left and blue at the right."""
    x, z = np.meshgrid(ALONG, ACROSS)
    colors = np.empty((7, 9, 3), np.float32)
    colors[:, :4], colors[:, 4:] = (1.0, 0.1, 0.1), (0.1, 0.2, 1.0)
    return Surface(
        "bowl", **{"along": ALONG, "across": ACROSS, "heights": (x**2 + z**2) / 6, "colors": colors, **changes}
    )


def at(surface: Surface, row: int, column: int) -> tuple[int, int]:
    return pixel_at(tuple(map(float, surface.points[row, column])), POSE, SIZE)


@pytest.mark.parametrize(("row", "column"), [(0, 1), (3, 1), (3, 4), (3, 7), (5, 6), (2, 2)])
def test_visible_grid_point_has_its_colour_and_is_picked(shoot, row, column):
    surface = bowl()
    y, x = at(surface, row, column)
    seen = shoot(picture_of(surface), POSE)[y, x]
    assert seen.argmax() == surface.colors[row, column].argmax()
    assert seen.max() > 80
    hit = pick(picture_of(surface), POSE, SIZE, (x + 0.5, y + 0.5))
    assert isinstance(hit, SurfaceHit)
    assert (hit.row, hit.column) == (row, column)


def test_slope_that_faces_the_light_is_brighter_than_one_that_does_not():
    x, _ = np.meshgrid(ALONG, ACROSS)
    light = {sign: shade(bowl(heights=sign * x)).mean() for sign in (-1, 0, 1)}
    assert light[1] > light[0] > light[-1]
    flat = shade(bowl(heights=np.zeros((7, 9), np.float32)))
    assert np.ptp(flat) == 0


def test_infinite_height_is_a_hole_that_is_not_picked(shoot):
    heights = bowl().heights.copy()
    heights[3, 4] = np.inf
    surface = bowl(heights=heights)
    y, x = at(bowl(), 3, 4)
    assert shoot(picture_of(surface), POSE)[y, x].max() < 60
    assert pick(picture_of(surface), POSE, SIZE, (x + 0.5, y + 0.5)) is None
    assert len(surface.triangles) == len(bowl().triangles) - 8
    assert np.isfinite(shade(surface)).all()


def test_surface_in_front_hides_the_one_behind_it(shoot):
    front, behind = (
        bowl(),
        replace(bowl(), name="behind", heights=bowl().heights - 1, colors=np.ones((7, 9, 3), np.float32)),
    )
    y, x = at(front, 3, 1)
    assert shoot(picture_of(front, behind), POSE)[y, x].argmax() == 0
    hit = pick(picture_of(front, behind), POSE, SIZE, (x + 0.5, y + 0.5))
    assert isinstance(hit, SurfaceHit)
    assert hit.primitive is front


def test_new_heights_and_new_colours_are_drawn(shoot):
    green = bowl(colors=np.tile(np.array([0.1, 1.0, 0.1], np.float32), (7, 9, 1)))
    y, x = at(green, 3, 1)
    assert shoot(picture_of(bowl()), POSE)[y, x].argmax() == 0
    assert shoot(picture_of(green), POSE)[y, x].argmax() == 1
    lifted = replace(green, heights=green.heights + 3)
    assert shoot(picture_of(lifted), POSE)[y, x].max() < 60
