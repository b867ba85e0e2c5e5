"""Clouds of points: large ones look like small ones, and fewer points are drawn while the picture moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.render import points as module
from nnviz3d.scene.primitives import Points
from tests.support.blocks import looking, picture_of

FRONT, SLANTED = looking((0.0, 0.0), 14.0), looking((-30.0, 20.0), 14.0)


def cloud(count: int, *, rings: bool = False, seed: int = 0) -> Points:
    random = np.random.default_rng(seed)
    places = random.uniform(-1.5, 1.5, (count, 3)).astype(np.float32)
    colors = np.concatenate([random.uniform(0.2, 1, (count, 3)), np.ones((count, 1))], axis=1).astype(np.float32)
    around = np.ones((count, 4), dtype=np.float32) * (np.arange(count) % 2)[:, np.newaxis].astype(np.float32)
    sizes = random.uniform(6, 20, count).astype(np.float32)
    return Points("cloud", places, colors, sizes, around if rings else None)


@pytest.mark.parametrize("rings", [False, True])
def test_large_cloud_looks_like_a_small_one(shoot, monkeypatch, rings: bool):
    some = cloud(300, rings=rings)
    small = [shoot(picture_of(some), pose).astype(int) for pose in (FRONT, SLANTED)]
    shoot(picture_of(), FRONT)
    monkeypatch.setattr(module, "FEW", 10)
    large = [shoot(picture_of(some), pose).astype(int) for pose in (FRONT, SLANTED)]
    for one, other in zip(small, large, strict=True):
        assert (one.max(axis=2) > 0).mean() > 0.05
        assert (np.abs(one - other).max(axis=2) > 3).mean() < 0.001


def test_balls_of_a_large_cloud_reach_into_the_picture_from_outside_of_it(shoot, monkeypatch):
    some = cloud(300)
    wide = replace(some, points=some.points * 2, sizes=some.sizes * 4)
    small = [shoot(picture_of(wide), pose).astype(int) for pose in (FRONT, SLANTED)]
    shoot(picture_of(), FRONT)
    monkeypatch.setattr(module, "FEW", 10)
    large = [shoot(picture_of(wide), pose).astype(int) for pose in (FRONT, SLANTED)]
    for one, other in zip(small, large, strict=True):
        border = np.ones(one.shape[:2], dtype=bool)
        border[8:-8, 8:-8] = False
        assert (one.max(axis=2) > 0)[border].mean() > 0.2
        assert (np.abs(one - other).max(axis=2) > 3)[border].mean() < 0.005


def test_large_cloud_follows_its_arrays(shoot, monkeypatch):
    monkeypatch.setattr(module, "FEW", 10)
    first = cloud(50)
    others = [
        cloud(60, seed=1),
        cloud(50, seed=2),
        replace(first, colors=first.colors[::-1]),
        replace(first, sizes=first.sizes * 2),
        replace(first, rings=np.ones((50, 4), dtype=np.float32)),
        cloud(5),
    ]
    shoot(picture_of(), FRONT)
    for other in others:
        shoot(picture_of(), FRONT)
        alone = shoot(picture_of(other), FRONT)
        shoot(picture_of(first), FRONT)
        assert np.array_equal(shoot(picture_of(other), FRONT), alone)


def test_fewer_points_are_drawn_while_the_picture_moves_and_the_picture_says_so(studio, shoot, monkeypatch):
    monkeypatch.setattr(module, "MOVING", 40)
    what = picture_of(cloud(400))
    rest = shoot(what, FRONT)
    studio.renderer.careful = False
    try:
        moving = shoot(what, FRONT)
        said = studio.renderer.text.panels[0].rows[0].text
        again = shoot(what, FRONT)
    finally:
        studio.renderer.careful = True
    lit = [(one.max(axis=2) > 60).sum() for one in (rest, moving)]
    assert 0 < lit[1] < lit[0] / 2
    assert said == "40 of 400 points are drawn while the picture moves"
    assert np.array_equal(moving, again)
    assert np.array_equal(shoot(what, FRONT), rest)
    assert not studio.renderer.text.panels


def test_range_of_distances_is_that_of_all_points(shoot, studio, monkeypatch):
    """A ball is as faint while the picture moves as at rest, although the nearest and the farthest may be left out."""
    monkeypatch.setattr(module, "MOVING", 20)
    what = picture_of(replace(cloud(21), haze=1.0, sizes=np.full(21, 9.0, dtype=np.float32)))
    rest = shoot(what, FRONT)
    studio.renderer.careful = False
    try:
        moving = shoot(what, FRONT)
    finally:
        studio.renderer.careful = True
    upper = slice(0, 130)
    differs = np.abs(rest[upper].astype(int) - moving[upper]).max(axis=2) > 3
    assert differs.sum() < 0.3 * (rest[upper].max(axis=2) > 0).sum()
