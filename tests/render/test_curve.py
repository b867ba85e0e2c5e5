"""Tests of the chart in a panel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.render.text import panel_sprite
from nnviz3d.scene.panel_rows import CurveRow
from nnviz3d.scene.primitives import Panel

STEPS = np.array([1.0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
FALLING = np.linspace(2.0, 0.0, 11)


def drawn(values: NDArray[np.float64], now: int, at: NDArray[np.float64] = STEPS) -> NDArray[np.int64]:
    row = CurveRow(at, values, now, ("step 1: 2", "step 100: 0"))
    return panel_sprite(Panel("training", "top-right", (row,)), 2.0, 900.0).astype(np.int64)


def blue(picture: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (picture[..., 2] > 220) & (picture[..., 0] < 190) & (picture[..., 3] > 200)


def lit(picture: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (picture[..., 0] > 200) & (picture[..., 1] > 120) & (picture[..., 2] < 130) & (picture[..., 3] > 200)


def point(picture: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return column and row of the middle of the white point; the text below the chart is left out."""
    chart = picture[: int(picture.shape[0] * 0.68)]
    rows, columns = np.nonzero((chart.min(axis=2) > 225) & (chart[..., 3] > 240))
    return np.array([columns.mean(), rows.mean()])


def test_point_is_on_the_curve_and_the_curve_before_it_is_lit():
    pictures = [drawn(FALLING, now) for now in range(11)]
    points = np.array([point(picture) for picture in pictures])
    assert np.all(np.diff(points, axis=0) > 0), "to the right, and down"
    # The numbers are equally spaced, and so are the points, except in the first picture.
    steps = np.diff(points[1:], axis=0)
    assert steps == pytest.approx(np.tile(steps.mean(axis=0), (len(steps), 1)), abs=1.5)
    amounts = [int(lit(picture).sum()) for picture in pictures]
    assert amounts[0] < 200
    assert all(a < b for a, b in pairwise(amounts[1:]))
    for picture, (column, _) in zip(pictures[1:], points[1:], strict=True):
        assert np.nonzero(lit(picture))[1].max() <= column + 10


def test_curve_has_a_gap_at_nan():
    whole, gap = FALLING.copy(), FALLING.copy()
    gap[4:6] = np.nan
    both = [np.unique(np.nonzero(lit(drawn(values, 10)))[1]) for values in (whole, gap)]
    assert np.diff(both[0]).max() <= 2
    assert np.diff(both[1]).max() > 60
    assert lit(drawn(np.where(np.arange(11) == 10, np.inf, FALLING), 10)).any(), "an infinite one too"


@pytest.mark.parametrize("values", [np.zeros(11), np.full(11, 3.0), np.full(11, np.nan), -FALLING])
def test_chart_is_drawn_for_any_numbers(values):
    picture = drawn(values, 5)
    assert picture.shape == drawn(FALLING, 5).shape
    assert lit(picture).any() == bool(np.isfinite(values).any())


def test_chart_is_drawn_for_a_single_number():
    assert drawn(np.array([2.0]), 0, np.array([1.0])).shape == drawn(FALLING, 0).shape


def test_dots_of_a_second_curve_lie_on_the_same_scale():
    """Their greatest number is above the curve's, so it decides the height; the last one is after the curve's end."""
    row = CurveRow(STEPS, FALLING, 5, ("", ""), np.array([20.0, 60.0, 140.0]), np.array([1.0, 4.0, 2.0]))
    picture = panel_sprite(Panel("training", "top-right", (row,)), 2.0, 900.0).astype(np.int64)
    rows, columns = np.nonzero(blue(picture))
    assert not blue(drawn(FALLING, 5)).any()
    top, left, right = rows.min(), columns.min(), columns.max()
    at_top = columns[rows < top + 4].mean()
    assert (at_top - left) / (right - left) == pytest.approx((60 - 20) / (140 - 20), abs=0.02)
    alone = np.nonzero(lit(picture))[0].min()
    assert alone > (top + rows.max()) / 2 - 12, "the curve reaches half of the height"
