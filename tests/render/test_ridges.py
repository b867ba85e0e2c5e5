"""Tests of ridges: colours, heights, hiding, and picking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.render.picking import RidgeHit, pick
from nnviz3d.scene.primitives import Ridges
from tests.render.conftest import SIZE
from tests.support.blocks import looking, picture_of
from tests.support.pinhole import pixel_at

POSE = looking((0.0, 0.0), 20.0)
RED, BLUE = (1.0, 0.1, 0.1), (0.1, 0.2, 1.0)
HEIGHTS = np.array([[2.0, 1.0, 1.5, np.nan, 1.0], [3.0, 3.0, np.nan, 3.0, np.nan]], np.float32)


def two(**changes) -> Ridges:
    """A red ridge in front of a blue one, with five columns at distance 1; each has a gap, the blue one has two bars."""
    colors = np.empty((2, 5, 2, 3), np.float32)
    colors[0], colors[1] = RED, BLUE
    known = np.isfinite(HEIGHTS)
    wanted = {
        "feet": np.array([[-2, -1.5, 0.0], [-2, -1.0, -1.0]], np.float32),
        "along": np.arange(5, dtype=np.float32),
        "heights": np.repeat(HEIGHTS[:, :, np.newaxis], 2, axis=2),
        "colors": colors,
        "joined": known[:, :-1] & known[:, 1:],
        "bar": 0.8,
    }
    return Ridges("ridges", **{**wanted, **changes})


def at(ridges: Ridges, ridge: int, x: float, y: float) -> tuple[int, int]:
    return pixel_at(tuple(map(float, ridges.feet[ridge] + np.array([x, y, 0.0]))), POSE, SIZE)


SEEN = [
    (0, 0.1, 1.7, RED, 0),
    (0, 0.9, 0.9, RED, 1),
    (0, 1.6, 1.0, RED, 2),
    (1, 0.2, 2.6, BLUE, 0),
    (1, 0.8, 2.6, BLUE, 1),
    (1, 3.0, 2.4, BLUE, 3),
    (0, 4.0, 0.8, RED, 4),
]


@pytest.mark.parametrize(("ridge", "x", "y", "color", "column"), SEEN)
def test_visible_column_of_a_ridge_is_picked(shoot, ridge, x, y, color, column):
    ridges = two()
    row, across = at(ridges, ridge, x, y)
    seen = shoot(picture_of(ridges), POSE)[row, across] / 255
    assert seen.argmax() == np.argmax(color)
    assert seen.max() > 0.3
    hit = pick(picture_of(ridges), POSE, SIZE, (across + 0.5, row + 0.5))
    assert isinstance(hit, RidgeHit)
    assert (hit.ridge, hit.column) == (ridge, column)


@pytest.mark.parametrize(
    ("ridge", "x", "y"), [(0, 0.5, 1.75), (1, 2.0, 1.0), (1, 2.5, 2.5), (1, 3.48, 2.5), (0, 3.4, 0.5)]
)
def test_gap_of_a_ridge_is_empty(shoot, ridge, x, y):
    ridges = two(heights=np.where(np.arange(2)[:, np.newaxis, np.newaxis] == ridge, two().heights, np.nan))
    ridges = replace(ridges, joined=ridges.joined & (np.arange(2)[:, np.newaxis] == ridge))
    row, across = at(ridges, ridge, x, y)
    assert shoot(picture_of(ridges), POSE)[row, across].max() < 60
    assert pick(picture_of(ridges), POSE, SIZE, (across + 0.5, row + 0.5)) is None


def test_range_of_a_column_is_brighter_than_the_part_below(shoot):
    heights = np.stack([np.full((2, 5), 1.0), np.full((2, 5), 2.0)], axis=2).astype(np.float32)
    ridges = two(heights=heights, joined=np.ones((2, 4), bool))
    picture = shoot(picture_of(ridges), POSE)
    above, below = (picture[at(ridges, 0, 2.5, y)].astype(int)[0] for y in (1.9, 0.3))
    assert above > 1.5 * below


def test_ridge_of_one_column_is_a_bar(shoot):
    one = {name: getattr(two(), name)[:, :1] for name in ("heights", "colors")}
    ridges = two(**one, along=np.zeros(1, np.float32), joined=np.ones((2, 0), bool))
    picture = shoot(picture_of(ridges), POSE)
    assert picture[at(ridges, 0, 0.3, 1.8)].argmax() == 0
    assert picture[at(ridges, 0, 0.5, 1.8)].max() < 60
    row, across = at(ridges, 0, 0.3, 1.8)
    hit = pick(picture_of(ridges), POSE, SIZE, (across + 0.5, row + 0.5))
    assert (hit.ridge, hit.column) == (0, 0)


def test_changed_heights_are_visible_in_the_next_frame(shoot):
    ridges = two()
    assert shoot(picture_of(ridges), POSE)[at(ridges, 0, 0.1, 1.7)].argmax() == 0
    flat = replace(ridges, heights=ridges.heights * 0.1)
    assert shoot(picture_of(flat), POSE)[at(ridges, 0, 0.1, 1.7)].max() < 60
    assert shoot(picture_of(), POSE)[at(ridges, 0, 0.1, 0.1)].max() < 60
