"""The terms of a number of a layer: products, their sum, the activation function, and the rounding of the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.activation_functions import activation_function, function_words

SINGLE = 2.0**-23
"""Relative step between float32 numbers."""
_LARGEST = 40_000_000
"""Maximum number of weights of a layer whose arithmetic is computed."""
_NEAR = 1e-5
"""Step of the difference quotient of an activation function, as a share of the size of all terms."""
OWN = -1
"""In place of the position of an input: the term is no number of an input, such as a state of the layer itself."""


@dataclass(frozen=True, eq=False)
class CellSum:
    """The terms, bias and activation function of one number of a layer.

    Attributes
    ----------
    sources
        ``(n,)``: for each term the position of the layer's input that it takes a number of, or `OWN`.
    index
        ``(n, rank)`` int64: the index of that number, or of its location if the term takes all channels there; -1 before
        an index with fewer axes.
    weights, inputs
        ``(n,)`` float64: the weight and the number.
    bias
        The number that is added to the sum of the products.
    function
        The name of the activation function; `None` if there is none.
    largest
        Whether the greatest product is taken, as in max pooling, in place of their sum.
    result
        The number that this arithmetic gives.
    slope
        How much the result changes with the sum, at most.
    names
        ``(n,)`` or empty: further words on each term, such as its head; the name of a term that is `OWN`.
    weight_name
        What the weights are: ``weight``, ``score`` of attention, ``gate``.
    after
        Name and value of a number that the function's result is multiplied by, such as an output gate.
    hidden
        Size of the numbers from which weights and bias were computed, such as those of a mean: rounding grows with it.
    figures
        Further numbers by name, such as the mean that a normalization subtracts.
    """

    sources: NDArray[np.int64]
    index: NDArray[np.int64]
    weights: NDArray[np.float64]
    inputs: NDArray[np.float64]
    bias: float = 0.0
    function: str | None = None
    largest: bool = False
    result: float = math.nan
    slope: float = 1.0
    names: tuple[str, ...] = ()
    weight_name: str = "weight"
    after: tuple[str, float] | None = None
    hidden: float = 0.0
    figures: tuple[tuple[str, float], ...] = ()

    @cached_property
    def products(self) -> NDArray[np.float64]:
        """Weight times input of each term, ``(n,)``."""
        return np.asarray(self.weights * self.inputs)

    def place(self, term: int) -> tuple[int, ...]:
        """Return the index of the number that a term takes."""
        return tuple(int(i) for i in self.index[term] if i >= 0)

    @property
    def size(self) -> float:
        """The sum of the sizes of all terms."""
        return float(np.abs(self.products).sum() + abs(self.bias) + self.hidden)

    @property
    def total(self) -> float:
        """The sum of the products and the bias, before the activation function; for max pooling the greatest product."""
        return float(self.products.max()) if self.largest else float(self.products.sum() + self.bias)

    def equals(self, stored: float, step: float = SINGLE) -> bool:
        """Whether the result equals a stored number within the rounding of its terms.

        Parameters
        ----------
        step
            Relative step between numbers of the type in which they are stored.
        """
        most = step * ((4 + math.sqrt(len(self.products))) * self.size * self.slope + 4 * abs(self.result))
        return bool(abs(self.result - stored) <= most)

    def strongest(self, count: int) -> NDArray[np.int64]:
        """Return the positions of the terms with the largest products by size, the largest first."""
        order = np.argsort(-np.abs(self.products), kind="stable")
        return np.asarray(order[:count])


class UnknownSumError(ValueError):
    """The arithmetic of a layer is not known; the message says why, as the end of a sentence."""


def weight_of(weights: Mapping[str, NDArray[Any]], *names: str) -> NDArray[Any]:
    """Return the first stored variable of some names.

    Raises
    ------
    UnknownSumError
        If none was stored, or it is too large.
    """
    found = next((weights[name] for name in names if name in weights), None)
    if found is None:
        raise UnknownSumError("its weights were not stored; --weights all keeps them")
    if found.size > _LARGEST:
        raise UnknownSumError("it has too many weights")
    return found


def bias_of(weights: Mapping[str, NDArray[Any]], unit: int) -> float:
    """Return the bias of a unit; 0 without biases."""
    bias = weights.get("bias")
    return 0.0 if bias is None else float(bias.reshape(-1)[unit])


def summed(
    places: NDArray[np.int64], weights: NDArray[Any], values: NDArray[np.float32], bias: float, source: int = 0
) -> CellSum:
    """Return the sum over the numbers of one input at some places, ``(n, rank)``."""
    numbers = values[tuple(places.T)].astype(np.float64)
    sources = np.full(len(places), source, dtype=np.int64)
    return CellSum(sources, places, np.asarray(weights, dtype=np.float64), numbers, bias)


def single(
    index: tuple[int, ...], weight: float, values: NDArray[np.float32], bias: float = 0.0, source: int = 0
) -> CellSum:
    """Return the sum with one term."""
    if values.ndim != len(index):
        raise UnknownSumError("its input has another shape")
    return summed(np.array([index], dtype=np.int64).reshape(1, -1), np.array([weight]), values, bias, source)


def finished(found: CellSum, function: str | None, details: Mapping[str, Any] | None = None) -> CellSum:
    """Return a sum with the result of its activation function, which takes one number.

    Parameters
    ----------
    details
        Settings of the layer.
    """
    apply = activation_function(function, details)
    if apply is None:
        raise UnknownSumError(f"its activation function {function} is not known here")
    near = _NEAR * max(found.size, 1e-30)
    ends = apply(found.total + np.array([0.0, -near, near]))
    slope = float(np.abs(ends[1:] - ends[0]).max() / near)
    return replace(found, function=function_words(function, details), result=float(ends[0]), slope=slope)
