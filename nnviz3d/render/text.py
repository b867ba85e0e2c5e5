"""Drawing of labels and panels into sprites, small pictures with an alpha channel. It does not use VTK."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nnviz3d.render.fonts import EDGE, HALO, INK, QUIET, SIZES, font
from nnviz3d.render.rows import key_row, key_width, row_sprite
from nnviz3d.scene.panel_rows import KeyRow, Row
from nnviz3d.scene.primitives import Panel

Sprite = NDArray[np.uint8]
"""``(H, W, 4)``, straight alpha, the first row on top."""

_BOARD = (13, 17, 25)
_GAP = 18.0
"""Pixels between the columns of a board."""


@dataclass(frozen=True)
class PlacedSprite:
    """A sprite, and the position of its lower left corner on the screen in pixels."""

    sprite: Sprite
    left: float
    bottom: float


def label_size(label_lines: tuple[str, ...], scale: float, small: bool = False) -> tuple[int, int]:
    """Return width and height of a label's sprite in pixels, without drawing it."""
    _, pad, widths, heights = _label_measures(label_lines, scale, small)
    return int(max(widths)) + 2 * pad + 1, sum(heights) + 2 * pad


@lru_cache(maxsize=20_000)
def _label_measures(
    label_lines: tuple[str, ...], scale: float, small: bool
) -> tuple[list[str], int, list[float], list[int]]:
    """Return a label's styles, its edge, and the width and the height of each line in pixels."""
    styles = ["score" if small else "name", *["detail"] * (len(label_lines) - 1)]
    pad = round((0 if small else 4) * scale)
    widths = [_length(line, style, scale) for line, style in zip(label_lines, styles, strict=True)]
    heights = [round(SIZES[style] * scale * (1.24 if small else 1.3)) for style in styles]
    return styles, pad, widths, heights


@lru_cache(maxsize=20_000)
def _length(line: str, style: str, scale: float) -> float:
    """Return the width of a line of text in pixels."""
    return font(line, style, scale).getlength(line)


@lru_cache(maxsize=4096)
def label_sprite(label_lines: tuple[str, ...], emphasis: float, scale: float, small: bool = False) -> Sprite:
    """Draw a label: the first line is bright, the others are grey."""
    styles, pad, widths, heights = _label_measures(label_lines, scale, small)
    fonts = [font(line, style, scale) for line, style in zip(label_lines, styles, strict=True)]
    width, height = label_size(label_lines, scale, small)
    canvas = Image.new("RGBA", (width, height), (*HALO, 0))
    draw = ImageDraw.Draw(canvas)
    # A dark background keeps the text readable in front of a line.
    draw.rounded_rectangle((0, 0, width - 1, canvas.height - 1), radius=3 * scale, fill=(*HALO, 150))
    y = float(pad)
    for line, f, style, height, length in zip(label_lines, fonts, styles, heights, widths, strict=True):
        ink = QUIET if style == "detail" else INK
        shade = tuple(round(c * (0.35 + 0.65 * emphasis)) for c in ink)
        x = pad + (max(widths) - length) / 2
        draw.text(
            (x, y), line, font=f, fill=(*shade, 255), stroke_width=max(1, round(1.6 * scale)), stroke_fill=(*HALO, 190)
        )
        y += height
    return np.asarray(canvas)


def panel_sprite(panel: Panel, scale: float, widest: float, *, at_left: bool = False) -> Sprite:
    """Draw a panel.

    Parameters
    ----------
    scale
        1 for a picture that is 720 pixels high.
    widest
        Maximum width of its rows in pixels; longer text is cut with an ellipsis.
    at_left
        Whether all rows begin at the left, also in a corner at the right.
    """
    rows = [row_sprite(row, scale, widest) for row in panel.rows]
    right = panel.corner.endswith("right") and not at_left
    pad = round(14 * scale)
    width = max(r.width for r in rows) + 2 * pad
    height = sum(r.height for r in rows) + 2 * pad
    canvas = Image.new("RGBA", (width, height), (*HALO, 0))
    # The shadow is invisible on the dark background; in front of bright blocks it keeps the text readable.
    shade = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(shade).rounded_rectangle((pad / 2, pad / 2, width - pad / 2, height - pad / 2), radius=pad, fill=150)
    canvas.putalpha(shade.filter(ImageFilter.GaussianBlur(pad / 3)))
    y = pad
    for r in rows:
        canvas.alpha_composite(r, (width - pad - r.width if right else pad, y))
        y += r.height
    return np.asarray(canvas)


@lru_cache(maxsize=64)
def board_sprite(rows: tuple[Row, ...], scale: float, widest: float, highest: float = math.inf) -> Sprite:
    """Draw rows on a dark board with a thin edge, which is readable in front of anything.

    Parameters
    ----------
    widest
        Maximum width of the rows in pixels.
    highest
        Height in pixels from which a table of keys is divided into two columns side by side.
    """
    pad, edge, gap = round(9 * scale), max(1, round(scale)), round(_GAP * scale)
    columns = [_drawn_rows(rows, scale, widest)]
    if sum(r.height for r in columns[0]) + 2 * pad > highest and all(isinstance(row, KeyRow) for row in rows):
        half = math.ceil(len(rows) / 2)
        columns = [_drawn_rows(part, scale, (widest - gap) / 2) for part in (rows[:half], rows[half:])]
    widths = [max(r.width for r in column) for column in columns]
    width = sum(widths) + gap * (len(columns) - 1) + 2 * pad
    height = max(sum(r.height for r in column) for column in columns) + 2 * pad
    canvas = Image.new("RGBA", (width, height), (*HALO, 0))
    ImageDraw.Draw(canvas).rounded_rectangle(
        (0, 0, width - 1, height - 1), radius=5 * scale, fill=(*_BOARD, 246), outline=(*EDGE, 255), width=edge
    )
    x = pad
    for column, across in zip(columns, widths, strict=True):
        y = pad
        for r in column:
            canvas.alpha_composite(r, (x, y))
            y += r.height
        x += across + gap
    return np.asarray(canvas)


def _drawn_rows(rows: Sequence[Row], scale: float, widest: float) -> list[Image.Image]:
    """Draw the rows of a board, with all keys in one column."""
    column = max((key_width(row, scale) for row in rows if isinstance(row, KeyRow)), default=0.0)
    return [key_row(r, scale, widest, column) if isinstance(r, KeyRow) else row_sprite(r, scale, widest) for r in rows]
