"""Tests of tiles: their pixels, moves without an upload, and picking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import TileHit, pick
from nnviz3d.render.tiles import TilesActor, pack_tiles
from nnviz3d.scene.primitives import Tiles
from tests.render.conftest import SIZE
from tests.support.blocks import block, looking, picture_of
from tests.support.pinhole import pixel_at

POSE = looking((0.0, 0.0), 20.0)
COLORS = np.random.default_rng(1).integers(60, 256, (5, 2, 3, 3)).astype(np.uint8)


def five(**changes) -> Tiles:
    """Return five tiles of 2 x 3 pixels in a row, each 1.5 wide and 1 high."""
    origins = np.array([[-4 + 1.6 * k, -0.5, 0] for k in range(5)], dtype=np.float32)
    wanted = {"pixels": COLORS, "origins": origins, "size": (1.5, 1.0), "channels": np.arange(5), "maps": True}
    return Tiles("tiles", **{**wanted, **changes})


def middle(tiles: Tiles, number: int, row: int, column: int) -> tuple[float, ...]:
    across, rise = (column + 0.5) / 3 * tiles.size[0], (1.5 - row) / 2 * tiles.size[1]
    place = tiles.origins[number] + np.array(tiles.right) * across + np.array(tiles.up) * rise
    return tuple(map(float, place))


CELLS = [(n, r, c) for n in range(5) for r in range(2) for c in range(3)]


@pytest.mark.parametrize("right", [(1.0, 0.0, 0.0), (0.8, 0.0, 0.6)], ids=("facing", "turned"))
def test_every_pixel_of_every_tile_is_visible_and_picked_at_its_position(shoot, right):
    tiles = five(right=right)
    what = picture_of(tiles)
    picture = shoot(what, POSE)
    for n, r, c in CELLS:
        row, column = pixel_at(middle(tiles, n, r, c), POSE, SIZE)
        assert np.abs(picture[row, column].astype(int) - COLORS[n, r, c]).max() <= 2
        hit = pick(what, POSE, SIZE, (column + 0.5, row + 0.5))
        assert isinstance(hit, TileHit)
        assert (hit.number, hit.row, hit.column) == (n, r, c)


def test_tiles_move_and_darken_without_an_upload(monkeypatch):
    studio = Offscreen(SIZE, antialias=False)
    tiles = five()
    studio.picture(picture_of(tiles), POSE)
    monkeypatch.setattr(TilesActor, "_upload", lambda *_: pytest.fail("the pixels did not change"))
    moved = replace(tiles, origins=tiles.origins + np.float32([0, 1.5, 0]), opacity=0.5)
    picture = studio.picture(picture_of(moved), POSE)
    for n, r, c in CELLS:
        seen = picture[pixel_at(middle(moved, n, r, c), POSE, SIZE)]
        assert np.abs(seen.astype(int) - COLORS[n, r, c] / 2).max() <= 3
        assert picture[pixel_at(middle(tiles, n, r, c), POSE, SIZE)].max() == 0
    studio.close()


def test_tiles_hide_blocks_behind_them_and_blocks_hide_tiles(shoot):
    tiles = five()
    for z, hidden in ((-3.0, False), (1.0, True)):
        cube = block(np.ones((1, 1, 1)), origin=(-0.5, -0.5, z))
        what = picture_of(tiles, cube)
        row, column = pixel_at((0.0, 0.0, z + 1 if hidden else 0.0), POSE, SIZE)
        hit = pick(what, POSE, SIZE, (column + 0.5, row + 0.5))
        assert isinstance(hit, TileHit) != hidden
        dark = shoot(picture_of(replace(tiles, pixels=np.zeros_like(COLORS)), cube), POSE)
        assert (dark[row, column].max() > 60) == hidden


@pytest.mark.parametrize("shape", [(1, 3, 3), (7, 2, 5), (64, 11, 11)])
def test_atlas_holds_each_tile_once(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    atlas, across = pack_tiles(pixels)
    n, h, w = shape
    for k in range(n):
        row, column = divmod(k, across)
        assert np.array_equal(atlas[row * h : (row + 1) * h, column * w : (column + 1) * w], pixels[k])
