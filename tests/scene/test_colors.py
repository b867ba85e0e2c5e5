"""Colour maps, statistics of numbers, colour limits, and formatting of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import (
    DIVERGING,
    SEQUENTIAL,
    Colormap,
    colormap,
    limits_for,
    number,
    oklab_to_srgb,
    score,
    statistics_of,
)


def lightness(table: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB bytes, 0 to 100."""
    encoded = table / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


@pytest.mark.parametrize("name", SEQUENTIAL + DIVERGING)
def test_colour_map_has_256_fixed_colours(name):
    found = colormap(name)
    assert isinstance(found, Colormap)
    assert found.table.shape == (256, 3)
    assert found.table.dtype == np.uint8
    assert not found.table.flags.writeable
    assert found.diverging == (name in DIVERGING)
    assert colormap(name) is found


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_sequential_map_becomes_lighter(name):
    shades = lightness(colormap(name).table)
    # Bytes are coarse: a single step may be darker by rounding, never by more.
    assert np.diff(shades).min() > -0.6
    assert np.diff(shades[::16]).min() > 0
    assert shades[-1] - shades[0] > 60


@pytest.mark.parametrize("name", DIVERGING)
def test_diverging_map_is_dark_at_zero_and_equally_light_on_both_sides(name):
    shades = lightness(colormap(name).table)
    assert abs(int(shades.argmin()) - 127.5) < 26
    assert shades[120:136].max() < 30
    tolerance = {"ember-ice": 5.0}.get(name, 14.0)
    assert np.abs(shades[:128] - shades[:127:-1]).max() < tolerance


def test_default_diverging_map_is_cold_for_negative_and_warm_for_positive():
    table = colormap("ember-ice").table.astype(int)
    assert (table[20:110, 2] > table[20:110, 0]).all()
    assert (table[146:236, 0] > table[146:236, 2]).all()


def test_unknown_colour_map_is_refused_with_the_nearest_name():
    with pytest.raises(
        SceneError, match=r"no colour map 'virdis'; choose one of inferno, .*vanimo\. Did you mean 'viridis'"
    ):
        colormap("virdis")


def test_oklab_white_and_black_become_white_and_black():
    assert oklab_to_srgb(np.array([[1.0, 0, 0], [0, 0, 0]])).tolist() == [[255, 255, 255], [0, 0, 0]]


class TestStatistics:
    def test_extremes_ignore_nan_and_infinity_and_counts_report_them(self):
        values = np.array([[1, -3, np.nan], [np.inf, -np.inf, 2]], dtype=np.float32)
        found = statistics_of(values)
        assert (found.count, found.low, found.high) == (6, -3.0, 2.0)
        assert (found.nans, found.infinities) == (1, 2)

    def test_all_zero(self):
        found = statistics_of(np.zeros((4, 4, 2), dtype=np.float32))
        assert (found.low, found.high, found.strong, found.nans, found.infinities) == (0, 0, 0, 0, 0)
        assert limits_for(found, "layer") == (0.0, 1.0)

    def test_empty(self):
        found = statistics_of(np.empty((0, 3), dtype=np.float32))
        assert (found.count, found.low, found.high, found.strong) == (0, 0.0, 0.0, 0.0)

    def test_nothing_but_nan(self):
        found = statistics_of(np.full(5, np.nan, dtype=np.float32))
        assert (found.low, found.high, found.strong, found.nans) == (0.0, 0.0, 0.0, 5)
        assert limits_for(found, "symmetric") == (-1.0, 1.0)

    def test_single_outlier_does_not_darken_other_numbers(self):
        values = np.linspace(0, 1, 10_000, dtype=np.float32)
        values[77] = 10.0
        found = statistics_of(values)
        assert found.high == 10.0
        assert 0.99 < found.strong < 1.01

    def test_single_outlier_among_zeros_keeps_its_colour(self):
        values = np.zeros(10_000, dtype=np.float32)
        values[77] = 10.0
        assert statistics_of(values).strong == pytest.approx(10.0)

    def test_few_numbers_among_zeros_are_told_apart(self):
        values = np.zeros(10_000, dtype=np.float32)
        values[::500] = np.linspace(1, 2, 20)
        assert limits_for(statistics_of(values), "symmetric")[1] == pytest.approx(2.0, rel=0.01)

    def test_extremes_of_a_large_tensor_are_exact(self):
        values = np.random.default_rng(1).random(1_000_003, dtype=np.float32)
        values[[123_457, 999_999]] = (7.0, -9.0)
        found = statistics_of(values.reshape(1, -1))
        assert (found.low, found.high) == (-9.0, 7.0)

    def test_any_strides(self):
        values = np.random.default_rng(2).normal(size=(6, 7, 8)).astype(np.float32)
        assert statistics_of(values.transpose(2, 0, 1)[::-1]) == statistics_of(values.transpose(2, 0, 1)[::-1].copy())


class TestLimits:
    def test_limits_begin_at_zero_without_negative_numbers(self):
        low, high = limits_for(statistics_of(np.array([0.5, 2.0], dtype=np.float32)), "layer")
        assert low == 0.0
        assert 0.5 < high <= 2.0

    @pytest.mark.parametrize("normalize", ["layer", "global", "symmetric"])
    def test_limits_are_symmetric_with_negative_numbers(self, normalize):
        low, high = limits_for(statistics_of(np.array([-4, 1], dtype=np.float32)), normalize)
        assert low == -high
        assert 1 < high <= 4

    def test_limits_are_symmetric_if_requested(self):
        low, high = limits_for(statistics_of(np.array([1, 3], dtype=np.float32)), "symmetric")
        assert low == -high < 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "−1.5"),
        (0.12345, "0.123"),
        (12.345, "12.3"),
        (123.45, "123"),
        (99999.0, "99999"),
        (1.5e6, "1.5e6"),
        (3e-7, "3.0e−7"),
        (-2e-12, "−2.0e−12"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.000"),
        (0.25, "0.250"),
        (0.1, "0.100"),
        (0.0021, "0.0021"),
        (3.5e-5, "3.5e−5"),
        (0.0, "0"),
        (-1.25, "−1.250"),
        (12345.0, "12345"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
    ],
)
def test_score(value, text):
    assert score(value) == text
