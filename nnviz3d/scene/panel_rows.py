"""Rows of panels and callouts: text, bars, gauges, colour scales, swatches, keys, pictures and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import Color, Colormap


@dataclass(frozen=True)
class TextRow:
    """A line of a panel."""

    text: str
    style: Literal["title", "text", "quiet", "caption"] = "text"


@dataclass(frozen=True)
class BarRow:
    """A name, a bar and a number: a class and its score."""

    text: str
    value: str
    share: float
    """Length of the bar, from 0 to 1."""
    strong: bool = False


@dataclass(frozen=True)
class GaugeRow:
    """A number on a scale between two ends.

    Attributes
    ----------
    value, low, high
        The number, and the numbers at both ends.
    text
        The number as text.
    ends
        Text below the left end and below the right end.
    threshold
        A number that is marked on the scale, such as the one between two classes.
    """

    value: float
    low: float
    high: float
    text: str
    ends: tuple[str, str]
    threshold: float | None = None


@dataclass(frozen=True)
class ScaleRow:
    """A colour map with ticks.

    Attributes
    ----------
    ticks
        Positions along the scale, from 0 to 1, and the text at each.
    hidden
        Ranges of the scale, from 0 to 1, whose cells are below the threshold and not drawn.
    """

    colormap: Colormap
    ticks: tuple[tuple[float, str], ...]
    hidden: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class SwatchRow:
    """Patches of colour and their meanings, side by side."""

    swatches: tuple[tuple[Color, str], ...]


@dataclass(frozen=True)
class KeyRow:
    """A key and its effect, in two columns."""

    key: str
    text: str


@dataclass(frozen=True, eq=False)
class PictureRow:
    """A small picture: ``(h, w, 3)`` uint8, the first row on top."""

    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PicturesRow:
    """Pictures side by side at one height, with words below: each ``(h, w, 3)`` uint8, the first row on top."""

    pictures: tuple[tuple[str, NDArray[np.uint8]], ...]


def _no_numbers() -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class CurveRow:
    """A small line chart with a point on it.

    Attributes
    ----------
    at
        ``(n,)``: horizontal positions, rising.
    values
        ``(n,)``: the numbers; the curve has a gap at NaN.
    now
        Index of the number that the point marks.
    ends
        Text below the chart's left end and below its right end.
    dots_at, dots
        ``(m,)``: positions and numbers of a second curve, of dots and the lines between them; empty if there is none.
    """

    at: NDArray[np.float64]
    values: NDArray[np.float64]
    now: int
    ends: tuple[str, str]
    dots_at: NDArray[np.float64] = field(default_factory=_no_numbers)
    dots: NDArray[np.float64] = field(default_factory=_no_numbers)


Row = CurveRow | TextRow | BarRow | GaugeRow | ScaleRow | SwatchRow | KeyRow | PictureRow | PicturesRow

_SIZES = {"title": 19.0, "text": 13.0, "quiet": 11.5, "caption": 16.0}
"""Sizes of fonts in pixels of a picture that is 720 pixels high."""
_ADVANCE, _HIGH, _LEADING = 0.53, 1.5, 1.35
"""Mean width of a character, height of a row and of each further line in sizes of the font."""
MOST_LINES = {"title": 2, "text": 4, "quiet": 4, "caption": 12}
"""Maximum number of lines of a text in each style; a caption is never cut."""


def text_height(rows: Sequence[TextRow], widest: float) -> float:
    """Estimate the height of rows of text of which long ones are broken into lines; sizes are those of a picture 720 high.

    Parameters
    ----------
    widest
        Maximum width of a line.
    """
    total = 0.0
    for row in rows:
        size = _SIZES[row.style]
        lines = min(math.ceil(len(row.text) * _ADVANCE * size / widest), MOST_LINES[row.style])
        total += size * (_HIGH + _LEADING * (max(lines, 1) - 1))
    return total
