"""Drawing of labels and panels into sprites, small pictures with an alpha channel. It does not use VTK."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nnviz3d.scene.panel_rows import (
    BarRow,
    CurveRow,
    GaugeRow,
    KeyRow,
    PictureRow,
    PicturesRow,
    Row,
    ScaleRow,
    SwatchRow,
    TextRow,
)
from nnviz3d.scene.primitives import Panel

Sprite = NDArray[np.uint8]
"""``(H, W, 4)``, straight alpha, the first row on top."""

INK = (236, 240, 247)
QUIET = (150, 161, 180)
_HALO = (6, 8, 12)
_BOARD = (13, 17, 25)
_EDGE = (74, 86, 106)
_SIZES = {"title": 19.0, "text": 13.0, "quiet": 11.5, "name": 12.0, "detail": 10.5, "score": 10.5}
_PANEL_WIDTH = 264.0
"""Width of bars, scales and curves, in pixels of a picture that is 720 pixels high, like all sizes here."""
_CURVE = 58.0
"""Height of a curve above the upper end of its row, down to its axis."""
_PICTURE = 84.0
"""Height of a picture in a row of a panel."""
_SIDE_BY_SIDE = 92.0
"""Height of pictures side by side."""
_LIT = (255, 176, 74, 255)
_LINES, _LEADING = 4, 1.35
"""Maximum number of lines of one text in a panel, and their distance as a multiple of the font's size."""


_FOREIGN = re.compile("[^ -~\u00a0-\u017f\u0370-\u03ff\u0400-\u045f\u2010-\u203a\u2190-\u2199\u2200-\u22ff]")
"""Characters that the bundled part of the font Inter does not have."""


@dataclass(frozen=True)
class PlacedSprite:
    """A sprite, and the position of its lower left corner on the screen in pixels."""

    sprite: Sprite
    left: float
    bottom: float


def font(text: str, style: str, scale: float) -> ImageFont.FreeTypeFont:
    """Return the font for a text in a style; `scale` is 1 for a picture that is 720 pixels high.

    It is Inter, or DejaVu Sans of matplotlib for other scripts. Characters that neither has are drawn as boxes.
    """
    return _load(style, scale, foreign=_FOREIGN.search(text) is not None)


@cache
def _load(style: str, scale: float, *, foreign: bool) -> ImageFont.FreeTypeFont:
    if foreign:
        import matplotlib

        return ImageFont.truetype(
            f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", max(6.0, _SIZES[style] * scale)
        )
    weight = "SemiBold" if style in ("title", "name", "score") else "Regular"
    data = files("nnviz3d.render") / "fonts" / f"Inter-{weight}.otf"
    return ImageFont.truetype(BytesIO(data.read_bytes()), max(6.0, _SIZES[style] * scale))


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
    widths = [font(line, style, scale).getlength(line) for line, style in zip(label_lines, styles, strict=True)]
    heights = [round(_SIZES[style] * scale * (1.24 if small else 1.3)) for style in styles]
    return styles, pad, widths, heights


@lru_cache(maxsize=4096)
def label_sprite(label_lines: tuple[str, ...], emphasis: float, scale: float, small: bool = False) -> Sprite:
    """Draw a label: the first line is bright, the others are grey."""
    styles, pad, widths, heights = _label_measures(label_lines, scale, small)
    fonts = [font(line, style, scale) for line, style in zip(label_lines, styles, strict=True)]
    width, height = label_size(label_lines, scale, small)
    canvas = Image.new("RGBA", (width, height), (*_HALO, 0))
    draw = ImageDraw.Draw(canvas)
    # A dark background keeps the text readable in front of a line.
    draw.rounded_rectangle((0, 0, width - 1, canvas.height - 1), radius=3 * scale, fill=(*_HALO, 150))
    y = float(pad)
    for line, f, style, height, length in zip(label_lines, fonts, styles, heights, widths, strict=True):
        ink = QUIET if style == "detail" else INK
        shade = tuple(round(c * (0.35 + 0.65 * emphasis)) for c in ink)
        x = pad + (max(widths) - length) / 2
        draw.text(
            (x, y), line, font=f, fill=(*shade, 255), stroke_width=max(1, round(1.6 * scale)), stroke_fill=(*_HALO, 190)
        )
        y += height
    return np.asarray(canvas)


def shorten(text: str, f: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text that is wider than `width` pixels, and add an ellipsis."""
    if f.getlength(text) <= width:
        return text
    while text and f.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def panel_sprite(panel: Panel, scale: float, widest: float) -> Sprite:
    """Draw a panel.

    Parameters
    ----------
    scale
        1 for a picture that is 720 pixels high.
    widest
        Maximum width of the panel in pixels; longer text is cut with an ellipsis.
    """
    rows = [_row_sprite(row, scale, widest) for row in panel.rows]
    right = panel.corner.endswith("right")
    pad = round(14 * scale)
    width = max(r.width for r in rows) + 2 * pad
    height = sum(r.height for r in rows) + 2 * pad
    canvas = Image.new("RGBA", (width, height), (*_HALO, 0))
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
def board_sprite(rows: tuple[Row, ...], scale: float, widest: float) -> Sprite:
    """Draw rows on a dark board with a thin edge, which is readable in front of anything."""
    column = max((_key_width(row, scale) for row in rows if isinstance(row, KeyRow)), default=0.0)
    drawn = [_key_row(r, scale, column) if isinstance(r, KeyRow) else _row_sprite(r, scale, widest) for r in rows]
    pad, edge = round(9 * scale), max(1, round(scale))
    width = max(r.width for r in drawn) + 2 * pad
    height = sum(r.height for r in drawn) + 2 * pad
    canvas = Image.new("RGBA", (width, height), (*_HALO, 0))
    ImageDraw.Draw(canvas).rounded_rectangle(
        (0, 0, width - 1, height - 1), radius=5 * scale, fill=(*_BOARD, 246), outline=(*_EDGE, 255), width=edge
    )
    y = pad
    for r in drawn:
        canvas.alpha_composite(r, (pad, y))
        y += r.height
    return np.asarray(canvas)


def _row_sprite(row: Row, scale: float, widest: float) -> Image.Image:
    match row:
        case TextRow():
            return _text_row(row, scale, widest)
        case BarRow():
            return _bar_row(row, scale, widest)
        case GaugeRow():
            return _gauge_row(row, scale)
        case ScaleRow():
            return _scale_row(row, scale)
        case SwatchRow():
            return _swatch_row(row, scale, widest)
        case CurveRow():
            return _curve_row(row, scale)
        case KeyRow():
            return _key_row(row, scale, _key_width(row, scale))
        case PictureRow():
            return _picture_row(row, scale)
        case PicturesRow():
            return _pictures_row(row, scale, widest)


def _blank(width: float, height: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGBA", (max(1, round(width)), max(1, round(height))), (*_HALO, 0))
    return canvas, ImageDraw.Draw(canvas)


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    style: str,
    scale: float,
    ink: Sequence[int],
    anchor: str = "la",
) -> None:
    draw.text(
        at,
        text,
        font=font(text, style, scale),
        fill=(*ink, 255),
        anchor=anchor,
        stroke_width=max(1, round(1.6 * scale)),
        stroke_fill=(*_HALO, 190),
    )


def wrap(text: str, f: ImageFont.FreeTypeFont, width: float, most: int) -> list[str]:
    """Break a text between words into lines of at most `width` pixels; the last of `most` lines is cut."""
    lines: list[str] = []
    rest = text.split(" ")
    while rest and len(lines) < most - 1:
        count = 1
        while count < len(rest) and f.getlength(" ".join(rest[: count + 1])) <= width:
            count += 1
        lines.append(shorten(" ".join(rest[:count]), f, width))
        rest = rest[count:]
    return [*lines, shorten(" ".join(rest), f, width)] if rest else lines


def _text_row(row: TextRow, scale: float, widest: float) -> Image.Image:
    f = font(row.text, row.style, scale)
    pad = 3 * scale
    lines = wrap(row.text, f, widest - 2 * pad, 1 if row.style == "title" else _LINES)
    high, ink = _SIZES[row.style] * scale, QUIET if row.style == "quiet" else INK
    canvas, draw = _blank(max(map(f.getlength, lines)) + 2 * pad + 1, high * (1.5 + _LEADING * (len(lines) - 1)))
    for number, line in enumerate(lines):
        _write(draw, (pad, high * (0.15 + _LEADING * number)), line, row.style, scale, ink)
    return canvas


def _bar_row(row: BarRow, scale: float, widest: float) -> Image.Image:
    width = min(_PANEL_WIDTH * scale, widest)
    canvas, draw = _blank(width, 23 * scale)
    ink = INK if row.strong else QUIET
    value = font(row.value, "text", scale).getlength(row.value)
    name = shorten(row.text, font(row.text, "text", scale), width - value - 18 * scale)
    _write(draw, (3 * scale, 0), name, "text", scale, ink)
    _write(draw, (width - 3 * scale, 0), row.value, "text", scale, ink, "ra")
    top, bottom = 17.5 * scale, 20 * scale
    draw.rectangle((3 * scale, top, width - 3 * scale, bottom), fill=(255, 255, 255, 26))
    fill = _LIT if row.strong else (120, 132, 156, 255)
    if row.share > 0:
        draw.rectangle((3 * scale, top, 3 * scale + (width - 6 * scale) * min(row.share, 1.0), bottom), fill=fill)
    return canvas


def _gauge_row(row: GaugeRow, scale: float) -> Image.Image:
    width, side = round(_PANEL_WIDTH * scale), round(9 * scale)
    canvas, draw = _blank(width + 2 * side, 50 * scale)
    middle, half = 25 * scale, 2.5 * scale

    def across(value: float) -> float:
        return side + float(np.clip((value - row.low) / (row.high - row.low), 0, 1)) * width

    draw.rounded_rectangle((side, middle - half, side + width, middle + half), radius=half, fill=(255, 255, 255, 30))
    if row.threshold is not None:
        x = across(row.threshold)
        draw.line((x, middle - 3 * half, x, middle + 3 * half), fill=(*QUIET, 255), width=max(1, round(1.5 * scale)))
    for end, text, anchor in ((side, row.ends[0], "la"), (side + width, row.ends[1], "ra")):
        _write(draw, (end, middle + 8 * scale), text, "quiet", scale, INK, anchor)
    if np.isnan(row.value):
        _write(draw, (side + width / 2, 1 * scale), row.text, "text", scale, INK, "ma")
        return canvas
    x, r = across(row.value), 5 * scale
    # The bar begins at the number that means neither class, else at zero, else at the end next to zero.
    start = across(0.0 if row.threshold is None else row.threshold)
    draw.rectangle((min(start, x), middle - half, max(start, x), middle + half), fill=_LIT)
    draw.ellipse(
        (x - r, middle - r, x + r, middle + r), fill=(*INK, 255), outline=(*_HALO, 255), width=round(1.5 * scale)
    )
    room = font(row.text, "text", scale).getlength(row.text) / 2
    at = float(np.clip(x, room + 2 * scale, width + 2 * side - room - 2 * scale))
    _write(draw, (at, 1 * scale), row.text, "text", scale, INK, "ma")
    return canvas


def _scale_row(row: ScaleRow, scale: float) -> Image.Image:
    width = round(_PANEL_WIDTH * scale)
    side = round(9 * scale)
    canvas, draw = _blank(width + 2 * side, 31 * scale)
    top, bottom = round(2 * scale), round(12 * scale)
    at = (np.arange(width) + 0.5) / width
    table = row.colormap.table[np.minimum((at * 256).astype(int), 255)]
    ramp = np.broadcast_to(table, (bottom - top, width, 3)).copy()
    for low, high in row.hidden:
        # Values that are not drawn are shown as a thin line, so that the scale shows the threshold too.
        hidden = (at >= low) & (at < high)
        ramp[: (bottom - top) * 2 // 3, hidden] = (26, 30, 40)
    canvas.paste(Image.fromarray(ramp), (side, top))
    for share, text in row.ticks:
        x = side + share * (width - 1)
        draw.line((x, bottom, x, bottom + 3 * scale), fill=(*QUIET, 255), width=max(1, round(scale)))
        anchor = "la" if share <= 0 else "ra" if share >= 1 else "ma"
        _write(draw, (x, bottom + 4 * scale), text, "quiet", scale, INK, anchor)
    return canvas


def _swatch_row(row: SwatchRow, scale: float, widest: float) -> Image.Image:
    f = font("".join(text for _, text in row.swatches), "quiet", scale)
    texts = [shorten(text, f, widest / len(row.swatches) - 24 * scale) for _, text in row.swatches]
    widths = [f.getlength(text) + 28 * scale for text in texts]
    canvas, draw = _blank(sum(widths), 17 * scale)
    x = 0.0
    for (color, _), text, width in zip(row.swatches, texts, widths, strict=True):
        fill = tuple(round(c * 255) for c in color)
        draw.rounded_rectangle(
            (x + 4 * scale, 3 * scale, x + 13 * scale, 12 * scale), radius=2 * scale, fill=(*fill, 255)
        )
        _write(draw, (x + 19 * scale, 1 * scale), text, "quiet", scale, INK)
        x += width
    return canvas


def _picture_row(row: PictureRow, scale: float) -> Image.Image:
    height, width = row.pixels.shape[:2]
    pad, tall = round(3 * scale), round(_PICTURE * scale)
    size = (max(1, round(tall * width / height)), tall)
    canvas, _ = _blank(size[0] + 2 * pad, tall + 2 * pad)
    canvas.paste(Image.fromarray(row.pixels).resize(size, Image.Resampling.NEAREST), (pad, pad))
    return canvas


def _pictures_row(row: PicturesRow, scale: float, widest: float) -> Image.Image:
    gap, words = 10 * scale, 18 * scale
    shares = [pixels.shape[1] / pixels.shape[0] for _, pixels in row.pictures]
    free = widest - gap * (len(shares) + 1)
    tall = min(_SIDE_BY_SIDE * scale, free / sum(shares))
    canvas, draw = _blank(sum(shares) * tall + gap * (len(shares) - 1), tall + words)
    left = 0.0
    for share, (text, pixels) in zip(shares, row.pictures, strict=True):
        size = (max(1, round(share * tall)), max(1, round(tall)))
        canvas.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST), (round(left), 0))
        name = shorten(text, font(text, "quiet", scale), size[0] + gap / 2)
        _write(draw, (left, tall + 2 * scale), name, "quiet", scale, INK)
        left += size[0] + gap
    return canvas


def _curve_row(row: CurveRow, scale: float) -> Image.Image:
    width, side = round(_PANEL_WIDTH * scale), round(9 * scale)
    top, bottom = round(8 * scale), round(_CURVE * scale)
    canvas, draw = _blank(width + 2 * side, bottom + 24 * scale)
    finite = row.values[np.isfinite(row.values)]
    # The axis begins at zero, or at the minimum if it is negative, so that one sees how close a loss is to zero.
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 1.0)
    first, last = float(row.at[0]), float(row.at[-1])
    x = side + (row.at - first) / max(last - first, 1e-30) * width
    with np.errstate(invalid="ignore", over="ignore"):
        y = bottom - np.clip((row.values - low) / max(high - low, 1e-30), 0, 1) * (bottom - top)
    draw.line((side, bottom, side + width, bottom), fill=(*_EDGE, 255), width=max(1, round(scale)))
    for past, ink in ((False, (*_EDGE, 255)), (True, _LIT)):
        for run in _runs(np.isfinite(row.values)):
            points = [(float(x[i]), float(y[i])) for i in run if not past or i <= row.now]
            if len(points) > 1:
                draw.line(points, fill=ink, width=max(1, round(1.6 * scale)), joint="curve")
            elif points:
                draw.point(points, fill=ink)
    if np.isfinite(row.values[row.now]):
        (px, py), r = (float(x[row.now]), float(y[row.now])), 4 * scale
        draw.line((px, py, px, bottom), fill=(*_LIT[:3], 90), width=max(1, round(scale)))
        draw.ellipse(
            (px - r, py - r, px + r, py + r), fill=(*INK, 255), outline=(*_HALO, 255), width=round(1.5 * scale)
        )
    for end, text, anchor in ((side, row.ends[0], "la"), (side + width, row.ends[1], "ra")):
        _write(draw, (end, bottom + 4 * scale), text, "quiet", scale, QUIET, anchor)
    return canvas


def _runs(flags: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the indices of each unbroken run of true values."""
    indices = np.flatnonzero(flags)
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1) if len(indices) else []


def _key_width(row: KeyRow, scale: float) -> float:
    """Return the width of the column of keys that a row needs, in pixels."""
    return font(row.key, "text", scale).getlength(row.key) + 20 * scale


def _key_row(row: KeyRow, scale: float, column: float) -> Image.Image:
    canvas, draw = _blank(column + font(row.text, "text", scale).getlength(row.text) + 6 * scale, 19.5 * scale)
    _write(draw, (3 * scale, 2 * scale), row.key, "text", scale, QUIET)
    _write(draw, (column, 2 * scale), row.text, "text", scale, INK)
    return canvas
