"""The minus sign of numbers that people read; files, options and JSON keep the hyphen."""

from __future__ import annotations

MINUS = "−"
"""U+2212, which is as wide as a plus sign."""


def with_minus(number: str) -> str:
    """Write a number with minus signs instead of hyphens, in its exponent too: ``-1e-05`` becomes ``−1e−05``."""
    return number.replace("-", MINUS)
