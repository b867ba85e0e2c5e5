"""Significant digits of the numbers in a line of arithmetic: as many as lead from them to the shown result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nnviz3d.data.minus_sign import with_minus
from nnviz3d.scene.colors import number

_FEW, _EXACT = 3, 7
"""Significant digits of `number` and of `exact_number`."""
_MOST = 15
"""Maximum number of significant digits: those of a float64."""


def exact_number(value: float) -> str:
    """Write a number with seven digits."""
    return _written(value, _EXACT)


def numbers_of(values: Sequence[float], combine: Callable[[Sequence[float]], float], result: float) -> list[str]:
    """Write the numbers from which a result is computed that is shown by `exact_number`.

    Parameters
    ----------
    combine
        Computes the result from the numbers.
    """
    return _enough(values, combine, result, _EXACT)


def factors_of(a: float, b: float) -> tuple[str, str]:
    """Write the factors of a product that is shown by `number`."""
    first, second = _enough((a, b), math.prod, a * b, _FEW)
    return first, second


def _enough(
    values: Sequence[float], combine: Callable[[Sequence[float]], float], result: float, least: int
) -> list[str]:
    """Write numbers with at least `least` digits, and with more until they lead to a result with that many digits."""
    digits = least
    if all(map(math.isfinite, (*values, result))):
        while digits < _MOST and _leaves(values, combine, result, least, digits):
            digits += 1
    return [_written(value, digits) for value in values]


def _leaves(
    values: Sequence[float], combine: Callable[[Sequence[float]], float], result: float, least: int, digits: int
) -> bool:
    """Whether rounded numbers lead to another result, by more than half a unit of its last shown digit."""
    size = abs(result) or max(map(abs, values), default=0.0)
    last = 10.0 ** (math.floor(math.log10(size)) - least + 1) if size else 0.0
    return abs(combine([float(f"{value:.{digits}g}") for value in values]) - result) > last / 2


def _written(value: float, digits: int) -> str:
    return number(value) if digits == _FEW else with_minus(f"{value:.{digits}g}")
