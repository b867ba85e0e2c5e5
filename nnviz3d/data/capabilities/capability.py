"""Functions that the modules of several capabilities share."""

from __future__ import annotations


def are_numbers(data: object) -> bool:
    """Whether a value read from JSON is a list of numbers."""
    return isinstance(data, list) and all(isinstance(number, int | float) for number in data)
