"""The arithmetic of a number: a reader who computes with the shown numbers gets the shown result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.scene.derived.explanation_words import arithmetic, term_lines
from nnviz3d.scene.derived.shown_digits import exact_number, factors_of

EPSILON = 1e-3


def read(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def one(weight: float, number: float, bias: float = 0.0) -> CellSum:
    """Return the arithmetic of one product and a shift."""
    return several([weight], [number], bias)


def several(weights: list[float], numbers: list[float], bias: float = 0.0) -> CellSum:
    weighed, taken = np.array(weights), np.array(numbers)
    index = np.arange(len(weights))[:, None]
    found = CellSum(np.zeros(len(weights), np.int64), index, weighed, taken, bias)
    return replace(found, result=found.total)


def last_digit(text: str) -> float:
    return 10.0 ** (np.floor(np.log10(abs(read(text)))) - 6)


@pytest.mark.parametrize(
    ("weight", "number"), [(1 / np.sqrt(1 + EPSILON), 0.5367493), (1e-7, 3.00000012e5), (0.1, -7.0), (2.0, 0.5)]
)
def test_factors_multiply_to_the_shown_product(weight: float, number: float):
    pairs = dict(map(tuple, arithmetic(one(weight, number))))
    first, second = pairs["factors"].split(" × ")
    assert abs(read(first) * read(second) - read(pairs["product"])) <= 1.01 * last_digit(pairs["product"])


def test_epsilon_of_a_normalization_is_seen_in_its_deviation_and_its_factor():
    deviation = float(np.sqrt(1 + EPSILON))
    found = replace(one(1 / deviation, 0.5367493), figures=(("mean", 0.0), ("standard deviation", deviation)))
    pairs = dict(map(tuple, arithmetic(found)))
    assert pairs["standard deviation"] == "1.0005"
    assert pairs["factors"] == "0.5367493 × 0.9995004"
    (line,) = term_lines(found, ("dense",), 5, lambda place: place)
    assert line.words == "0.5367 × weight 0.9995"


def test_parts_of_a_sum_that_almost_cancel_add_up_to_the_shown_sum():
    pairs = dict(map(tuple, arithmetic(several([1.0, -1.0], [123456.25, 123455.126], -0.0004))))
    plus, minus = pairs["2 products"].split(" − ")
    shown = pairs["sum"]
    assert abs(read(plus) - read(minus) + read(pairs["bias"]) - read(shown)) <= 1.01 * last_digit(shown)


def test_short_numbers_stay_short():
    assert factors_of(2.0, 0.5) == ("2", "0.5")
    assert factors_of(0.1234567, 0.1) == ("0.123", "0.1")
    assert factors_of(float("inf"), 0.1) == ("∞", "0.1")
    assert exact_number(0.5) == "0.5"
