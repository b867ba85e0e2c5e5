"""Tests of colours that mean something: people without one kind of cones tell them apart, and they stand out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from nnviz3d.scene.colors import (
    DEFAULT_DIVERGING,
    DEFAULT_SEQUENTIAL,
    INF_COLOR,
    NAN_COLOR,
    NEGATIVE,
    POSITIVE,
    categorical,
    colormap,
)
from nnviz3d.scene.layer_families import FAMILIES
from nnviz3d.scene.views.health import GRAVE, SERIOUS
from tests.support.color_vision import VISIONS, contrast, difference, seen

FULL, PROTANOPIA, DEUTERANOPIA = VISIONS
BACKGROUND = (0.027, 0.035, 0.051)


@pytest.mark.parametrize(
    ("color", "vision", "confused_with"),
    [
        ((1.0, 0.0, 0.0), PROTANOPIA, (0.0, 0.0, 0.0)),
        ((0.75, 0.25, 0.25), DEUTERANOPIA, (0.45, 0.45, 0.25)),
    ],
)
def test_simulated_vision_confuses_what_such_people_confuse_and_keeps_greys_and_blues(color, vision, confused_with):
    assert difference(color, confused_with, vision) < difference(color, confused_with, FULL) / 2
    for kept in ((0.5, 0.5, 0.5), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0)):
        assert np.linalg.norm(seen([kept], vision) - seen([kept], FULL)) < 16


@pytest.mark.parametrize("vision", VISIONS)
def test_ends_of_the_signed_map_differ_at_each_size(vision):
    table = colormap(DEFAULT_DIVERGING)
    for size in (0.1, 0.25, 0.5, 0.75, 1.0):
        minus, plus = (table.at(np.array(0.5 + sign * size / 2)) for sign in (-1, 1))
        assert difference(minus, plus, vision) > 25, size


@pytest.mark.parametrize("vision", VISIONS)
def test_larger_numbers_are_lighter_in_the_default_map(vision):
    light = seen(colormap(DEFAULT_SEQUENTIAL).table / 255, vision)[:, 0]
    assert np.diff(light).min() > 0
    assert light[-1] - light[0] > 90


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    ("one", "other"), [(POSITIVE, NEGATIVE), (GRAVE, SERIOUS), (NAN_COLOR, INF_COLOR)], ids=["lines", "alarms", "odd"]
)
def test_pairs_of_colours_with_opposite_meanings_differ(one, other, vision):
    assert difference(one, other, vision) > 30


@pytest.mark.parametrize("vision", VISIONS)
def test_families_of_layers_and_up_to_ten_classes_differ(vision):
    assert min(difference(*pair, vision) for pair in combinations(FAMILIES.values(), 2)) > 12
    assert min(difference(*pair, vision) for pair in combinations(categorical(10), 2)) > 8


@pytest.mark.parametrize("name", FAMILIES)
def test_family_stands_out_from_the_background(name):
    assert contrast(FAMILIES[name], BACKGROUND) > 4.5
