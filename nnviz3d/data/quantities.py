"""Names of the quantities that the cells of a block can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Quantity = Literal["activation", "gradient", "gradient_x_activation", "difference", "change"]
OF_GRADIENTS: tuple[Quantity, ...] = ("gradient", "gradient_x_activation")
"""Quantities that need captured gradients."""
ALIASES: Mapping[str, Quantity] = {"attribution": "gradient_x_activation"}
"""Other names that scene files, options and the Python API accept."""


def canonical(name: Any) -> Any:
    """Replace an alias by the name of its quantity; return everything else as it is."""
    return ALIASES.get(name, name) if isinstance(name, str) else name
