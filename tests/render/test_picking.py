"""Tests of picking: each pick is compared with the picture at its pixel."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render.eye import Eye
from nnviz3d.render.picking import pick
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR
from nnviz3d.scene.hits import BoxHit, CellHit, LineHit, PixelHit
from nnviz3d.scene.primitives import Box, Ends, Image, Lines, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.render.conftest import SIZE
from tests.support.blocks import HUES, SEEN_FROM, block, center_of, looking, picture_of, told_apart, which_hue
from tests.support.pinhole import to_pixels

MISSED = 0.004
"""Share of pixels at the edge of a cube, where the rounding of the graphics card may choose another cube."""


def some_pixels(count: int, seed: int = 0) -> np.ndarray:
    """Return columns and rows of pixels, ``(n, 2)``."""
    return np.random.default_rng(seed).integers(0, SIZE, (count, 2))


def rough(studio, what, pose) -> np.ndarray:
    studio.renderer.careful = False
    try:
        return studio.picture(what, pose)
    finally:
        studio.renderer.careful = True


def picked_hues(what, pose, pixels) -> np.ndarray:
    """Return the hue of the picked cell's number for each pixel; -1 if nothing is picked."""
    found = []
    for column, row in pixels:
        hit = pick(what, pose, SIZE, (column + 0.5, row + 0.5))
        assert hit is None or isinstance(hit, CellHit)
        found.append(-1 if hit is None else int(hit.primitive.values[hit.cell]))
    return np.array(found)


UNIQUE = np.random.default_rng(5).permutation(210).reshape(7, 6, 5).astype(np.float32)
SPARSE = np.where(np.random.default_rng(6).random((40, 33, 21)) < 0.03, 1.0, 0.0).astype(np.float32)
SPARSE[SPARSE > 0] = np.random.default_rng(7).integers(20, 250, int(SPARSE.sum()))
BLOCKS = {
    "every number once": told_apart(UNIQUE),
    "oblong cells": told_apart(UNIQUE, cell=(1.0, 0.4, 2.5)),
    "a threshold": told_apart(UNIQUE, threshold=120.0),
    "half revealed": told_apart(UNIQUE, reveal=0.5),
    "the end alone": told_apart(SPARSE, threshold=10.0, since=0.37),
    "a wrapped vector": told_apart(np.arange(40, 100).reshape(5, 12, 1), count=52),
    "mostly empty": told_apart(SPARSE, threshold=10.0),
}


@pytest.mark.parametrize("angles", SEEN_FROM)
@pytest.mark.parametrize("name", BLOCKS)
def test_picked_cell_is_the_visible_cell(studio, name, angles):
    voxels = BLOCKS[name]
    what, pose = picture_of(voxels), looking(angles, 2.6 * max(voxels.size))
    pixels = some_pixels(500)
    seen = which_hue(rough(studio, what, pose))[pixels[:, 1], pixels[:, 0]]
    picked = picked_hues(what, pose, pixels)
    assert (picked >= 0).sum() > 20
    assert (picked != seen).mean() <= MISSED


def test_picked_cell_is_the_visible_cell_from_inside_a_block(studio):
    voxels = BLOCKS["mostly empty"]
    pose = CameraPose((0.3, -0.2, 0.1), (5.0, 3.0, 2.0))
    pixels = some_pixels(500)
    what = picture_of(voxels)
    seen = which_hue(rough(studio, what, pose))[pixels[:, 1], pixels[:, 0]]
    picked = picked_hues(what, pose, pixels)
    assert (picked >= 0).mean() > 0.2
    assert (picked != seen).mean() <= MISSED


def test_picked_cell_of_several_blocks_is_the_nearest(studio):
    shift = {"origin": (-6.0, -3.0, -14.0), "name": "behind"}
    a, b = told_apart(UNIQUE, threshold=150.0), told_apart(UNIQUE[::-1].copy(), **shift, cell=(2.0, 1.5, 1.0))
    pixels = some_pixels(800)
    what, pose = picture_of(a, b), looking((-20.0, 12.0), 26.0)
    picked = picked_hues(what, pose, pixels)
    seen = which_hue(rough(studio, what, pose))[pixels[:, 1], pixels[:, 0]]
    assert (picked != seen).mean() <= MISSED


@pytest.mark.parametrize("spec", ["layer", "symmetric"])
def test_picked_number_of_a_real_network_has_the_visible_colour(studio, digits, spec):
    """Compare directions of colours, because light changes only brightness; a network that works computes no NaN."""
    scene = Scene.build(default_scene(), digits, aspect=SIZE[0] / SIZE[1])
    found = scene.at(scene.duration, Selection(normalize=spec, threshold=0.2))
    blocks = {p.name: p for p in found.primitives if hasattr(p, "cell")}
    what = picture_of(*blocks.values())
    pose = scene.camera(0.0, aspect=SIZE[0] / SIZE[1])
    picture = rough(studio, what, pose).astype(float)
    right = wrong = 0
    for column, row in some_pixels(3000, seed=3):
        hit = pick(what, pose, SIZE, (column + 0.5, row + 0.5))
        color = picture[row, column]
        if hit is None:
            wrong += bool(color.max() > 0)
            continue
        voxels = hit.primitive
        low, high = voxels.limits
        share = float(np.clip((voxels.values[hit.cell] - low) / (high - low), 0, 1))
        expected = voxels.colormap.table[int(share * 255 + 0.5)].astype(float)
        light = color.sum() / max(expected.sum(), 1.0)
        same = 0.5 < light < 1.05 and np.abs(color - expected * light).max() <= 2
        right, wrong = right + same, wrong + (not same)
    assert right > 300
    assert wrong <= MISSED * 3000


def test_nan_and_infinity_are_picked_at_any_threshold(shoot):
    values = np.zeros((3, 1, 1), dtype=np.float32)
    values[0], values[2] = np.nan, -np.inf
    voxels = block(values, threshold=5.0)
    what, pose = picture_of(voxels), looking((0.0, 0.0), 8.0)
    picture = shoot(what, pose)
    for cell, color in (((0, 0, 0), NAN_COLOR), ((1, 0, 0), None), ((2, 0, 0), INF_COLOR)):
        x, y = to_pixels(np.array([center_of(voxels, cell)]), pose, SIZE)[0]
        hit = pick(what, pose, SIZE, (x, y))
        assert hit == (CellHit(voxels, cell) if color else None)
        if color:
            assert np.argmax(picture[int(y), int(x)]) == np.argmax(color)


def test_ray_through_a_gap_between_cubes_hits_the_cube_behind():
    values = np.zeros((2, 1, 2), dtype=np.float32)
    values[:, :, 1] = 1.0  # in front two cubes side by side
    for behind in (0.0, 1.0):
        values[:, :, 0] = behind
        hit = pick(picture_of(block(values, threshold=0.5)), looking((0.0, 0.0), 6.0), SIZE, (SIZE[0] / 2, SIZE[1] / 2))
        assert hit is None
    wide = block(np.ones((1, 1, 1)), origin=(-2.0, -2.0, -8.0), cell=(4.0, 4.0, 1.0), name="wall")
    what = picture_of(block(values[:, :, 1:], threshold=0.5), wide)
    assert pick(what, looking((0.0, 0.0), 6.0), SIZE, (SIZE[0] / 2, SIZE[1] / 2)) == CellHit(wide, (0, 0, 0))


def test_pixel_of_an_image_is_picked(shoot):
    random = np.random.default_rng(2)
    chosen = random.permutation(12 * 16).reshape(12, 16)
    image = Image("input", HUES.table[chosen], (-4.0, -3.0, 0.5), (8.0, 6.0))
    what, pose = picture_of(image), looking((-25.0, 18.0), 18.0)
    seen = which_hue(shoot(what, pose))
    right = 0
    pixels = some_pixels(400)
    for column, row in pixels:
        hit = pick(what, pose, SIZE, (column + 0.5, row + 0.5))
        expected = -1 if hit is None else chosen[hit.row, hit.column]
        assert hit is None or isinstance(hit, PixelHit)
        right += expected == seen[row, column]
    assert right >= (1 - MISSED) * len(pixels)


def test_solid_box_is_picked_and_frame_is_not():
    solid = Box("solid", (-1.0, -1.0, -1.0), (2.0, 2.0, 2.0), (1.0, 0.5, 0.2), fill=0.8)
    frame = Box("frame", (-1.0, -1.0, 2.0), (2.0, 2.0, 2.0), (1.0, 0.5, 0.2))
    middle = (SIZE[0] / 2, SIZE[1] / 2)
    assert pick(picture_of(frame, solid), looking((0.0, 0.0), 20.0), SIZE, middle) == BoxHit(solid)
    assert pick(picture_of(frame), looking((0.0, 0.0), 20.0), SIZE, middle) is None


def lines(*ways: list[tuple[float, float, float]], alpha: float = 1.0) -> Lines:
    points = np.array(ways, dtype=np.float32)
    n = len(points)
    ends = Ends("a", "b", np.stack([np.arange(n), np.arange(n) + 10], axis=1), np.linspace(1, 2, n, dtype=np.float32))
    return Lines("a|b|0", points, np.full((n, 4), alpha, dtype=np.float32), ends=ends)


POSE = looking((0.0, 0.0), 20.0)


def at(point: tuple[float, float, float], right: float = 0.0, down: float = 0.0) -> tuple[float, float]:
    x, y = to_pixels(np.array([point]), POSE, SIZE)[0]
    return float(x) + right, float(y) + down


class TestLines:
    def test_nearest_line_within_reach_is_picked(self):
        two = lines([(-3, 0, 0), (3, 0, 0)], [(-3, 2, 0), (3, 2, 0)])
        for number, height in ((0, 0.0), (1, 2.0)):
            hit = pick(picture_of(two), POSE, SIZE, at((1.0, height, 0.0), down=3.5))
            assert isinstance(hit, LineHit)
            assert (hit.primitive, hit.number) == (two, number)
        assert pick(picture_of(two), POSE, SIZE, at((1.0, 0.0, 0.0), down=6.0)) is None
        assert pick(picture_of(two), POSE, SIZE, at((3.0, 0.0, 0.0), right=6.0)) is None

    def test_upper_line_of_two_at_one_position_is_picked(self):
        two = lines([(-3, 0, 0), (3, 0, 0)], [(-3, 0.02, 0), (3, 0.02, 0)])
        assert pick(picture_of(two), POSE, SIZE, at((1.0, 0.0, 0.0))).number == 1

    def test_invisible_lines_are_not_picked(self):
        assert pick(picture_of(lines([(-3, 0, 0), (3, 0, 0)], alpha=0.0)), POSE, SIZE, at((1.0, 0.0, 0.0))) is None
        behind = lines([(-3, 0, 25), (3, 0, 25)])
        assert pick(picture_of(behind), POSE, SIZE, (SIZE[0] / 2, SIZE[1] / 2)) is None

    def test_line_behind_a_cell_is_not_picked_and_line_in_front_is(self):
        cell = block(np.ones((1, 1, 1)), cell=(2.0, 2.0, 2.0))
        behind, before = lines([(-3, 0, -2), (3, 0, -2)]), lines([(-3, 0, 2), (3, 0, 2)])
        assert pick(picture_of(cell, behind), POSE, SIZE, at((0.0, 0.0, -2.0))) == CellHit(cell, (0, 0, 0))
        assert isinstance(pick(picture_of(cell, behind), POSE, SIZE, at((2.5, 0.0, -2.0))), LineHit)
        assert isinstance(pick(picture_of(cell, before), POSE, SIZE, at((0.0, 0.0, 2.0))), LineHit)
        assert pick(picture_of(cell, before), POSE, SIZE, at((0.0, 0.0, 2.0), down=4.0)) == CellHit(cell, (0, 0, 0))

    def test_line_hidden_by_a_cell_is_not_picked_from_beside_the_cell(self):
        cell = block(np.ones((1, 1, 1)), cell=(2.0, 2.0, 2.0))
        edge = lines([(1.0, -3, -3), (1.0, 3, -3)])
        beside = at((0.86, 0.0, 0.86), right=2.0)  # the cube is smaller than its cell
        assert pick(picture_of(edge), POSE, SIZE, beside) is not None
        assert pick(picture_of(cell, edge), POSE, SIZE, beside) is None

    def test_lines_that_are_no_connections_are_not_picked(self):
        plain = Lines("edges", np.array([[(-3, 0, 0), (3, 0, 0)]], dtype=np.float32), np.ones((1, 4), dtype=np.float32))
        assert pick(picture_of(plain), POSE, SIZE, at((1.0, 0.0, 0.0))) is None


def test_projection_of_a_ray_is_its_pixel():
    eye = Eye.of(looking((33.0, -12.0), 9.0), SIZE)
    ray = eye.ray(31.25, 100.5)
    screen, depth = eye.project((eye.position + ray * 4.0)[np.newaxis])
    assert screen[0] == pytest.approx((31.25, 100.5))
    assert depth[0] == pytest.approx(4.0 * float(ray @ eye.ahead))


def test_cost_of_picking_depends_on_the_ray_and_not_on_the_size_of_the_block():
    # 64 billion cells, which take no memory because they are never read together.
    values = np.broadcast_to(np.float32(1), (4000, 4000, 4000))
    for threshold, found in ((0.5, True), (2.0, False)):
        endless = Voxels("b", values, (-2.0,) * 3, (1e-3,) * 3, HUES, (0.0, 1.0), threshold)
        hit = pick(picture_of(endless), looking((40.0, 30.0), 9.0), SIZE, (120.3, 90.2))
        assert isinstance(hit, CellHit) is found
