"""The description of a pick: title, exact numbers and further words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.minus_sign import with_minus
from nnviz3d.scene.panel_rows import KeyRow, Row, TextRow

_MOST_CHANNELS = 4
"""Maximum number of a pixel's or location's numbers that are written."""


@dataclass(frozen=True)
class Facts:
    """The description of a pick.

    Attributes
    ----------
    title
        What was picked: ``conv2d_1 [5, 7, 12]``.
    value
        Its number with as many digits as its precision needs; empty if it has none.
    parts
        Further numbers by name.
    more
        Further sentences.
    """

    title: str
    value: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    more: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The whole description in one line, without words that only repeat the title."""
        if self.value:
            return f"{self.title} = {self.value}"
        return f"{self.title}: {', '.join([f'{name} {number}' for name, number in self.parts] or self.more)}"

    @property
    def rows(self) -> tuple[Row, ...]:
        """The whole description as rows of a callout."""
        rows: list[Row] = [TextRow(self.title)]
        if self.value:
            rows.append(TextRow(self.value, "title" if len(self.value) < 24 else "text"))
        rows.extend(KeyRow(name, number) for name, number in self.parts)
        rows.extend(TextRow(text, "quiet") for text in self.more)
        return tuple(rows)


def exact(value: np.floating) -> str:
    """Write a number with as many digits as its precision needs to be read back as the same number, and a minus sign.

    A format string would write a ``float32`` as if it were a ``float64``.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return with_minus(str(value))


def exact_list(numbers: NDArray[np.float32]) -> str:
    """Write the first few of some numbers exactly."""
    rest = ", …" if numbers.size > _MOST_CHANNELS else ""
    return ", ".join(exact(v) for v in numbers.reshape(-1)[:_MOST_CHANNELS]) + rest
