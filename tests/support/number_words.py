"""Read the numbers that people see, which have a minus sign instead of a hyphen."""

from __future__ import annotations

from nnviz3d.data.minus_sign import MINUS


def read_number(text: str) -> float:
    """Return the number that a text of a picture or a page writes."""
    return float(text.replace(MINUS, "-"))
