"""Drawing of rows of panels: text, bars, gauges, colour scales, swatches, pictures and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nnviz3d.render.fonts import EDGE, HALO, INK, QUIET, SIZES, font, shorten, wrap
from nnviz3d.scene.panel_rows import (
    MOST_LINES,
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

_PANEL_WIDTH = 264.0
"""Width of bars, scales and curves, in pixels of a picture that is 720 pixels high, like all sizes here."""
_CURVE = 58.0
"""Height of a curve above the upper end of its row, down to its axis."""
_PICTURE = 84.0
"""Height of a picture in a row of a panel."""
_SIDE_BY_SIDE = 80.0
"""Height of pictures side by side."""
_TICK_GAP = 5.0
"""Least distance of the texts of two ticks of a scale."""
_LIT = (255, 176, 74, 255)
_DOT, _MOST_DOTS = (143, 196, 255), 48
"""Colour of the dots of a curve's second curve, and the most dots; more are drawn as a line."""
_LEADING = 1.35
"""Distance of the lines of one text as a multiple of the font's size."""


def row_sprite(row: Row, scale: float, widest: float) -> Image.Image:
    """Draw a row of a panel that is at most `widest` pixels wide."""
    match row:
        case TextRow():
            return _text_row(row, scale, widest)
        case BarRow():
            return _bar_row(row, scale, widest)
        case GaugeRow():
            return _gauge_row(row, scale, widest)
        case ScaleRow():
            return _scale_row(row, scale, widest)
        case SwatchRow():
            return _swatch_row(row, scale, widest)
        case CurveRow():
            return _curve_row(row, scale, widest)
        case KeyRow():
            return key_row(row, scale, widest, key_width(row, scale))
        case PictureRow():
            return _picture_row(row, scale, widest)
        case PicturesRow():
            return _pictures_row(row, scale, widest)


def _blank(width: float, height: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGBA", (max(1, round(width)), max(1, round(height))), (*HALO, 0))
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
        stroke_fill=(*HALO, 190),
    )


def _text_row(row: TextRow, scale: float, widest: float) -> Image.Image:
    f = font(row.text, row.style, scale)
    pad = 3 * scale
    lines = wrap(row.text, f, widest - 2 * pad, MOST_LINES[row.style])
    high, ink = SIZES[row.style] * scale, QUIET if row.style == "quiet" else INK
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


def _chart_widths(scale: float, widest: float) -> tuple[int, int]:
    """Return the width of a chart, and of the room at its left and right for the ends of its texts, in pixels."""
    side = round(9 * scale)
    return max(1, min(round(_PANEL_WIDTH * scale), math.floor(widest) - 2 * side)), side


def _gauge_row(row: GaugeRow, scale: float, widest: float) -> Image.Image:
    width, side = _chart_widths(scale, widest)
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
        (x - r, middle - r, x + r, middle + r), fill=(*INK, 255), outline=(*HALO, 255), width=round(1.5 * scale)
    )
    room = font(row.text, "text", scale).getlength(row.text) / 2
    at = float(np.clip(x, room + 2 * scale, width + 2 * side - room - 2 * scale))
    _write(draw, (at, 1 * scale), row.text, "text", scale, INK, "ma")
    return canvas


def _scale_row(row: ScaleRow, scale: float, widest: float) -> Image.Image:
    width, side = _chart_widths(scale, widest)
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
    taken: list[tuple[float, float]] = []
    # The ends are written first; a number between them for which there is no room has a tick alone.
    for share, text in sorted(row.ticks, key=lambda tick: 0 < tick[0] < 1):
        x = side + share * (width - 1)
        draw.line((x, bottom, x, bottom + 3 * scale), fill=(*QUIET, 255), width=max(1, round(scale)))
        long, place = font(text, "quiet", scale).getlength(text), 0.0 if share <= 0 else 1.0 if share >= 1 else 0.5
        room = (x - place * long - _TICK_GAP * scale, x + (1 - place) * long + _TICK_GAP * scale)
        if all(room[0] >= high or room[1] <= low for low, high in taken):
            taken.append((room[0] + _TICK_GAP * scale, room[1] - _TICK_GAP * scale))
            anchor = {0.0: "la", 1.0: "ra", 0.5: "ma"}[place]
            _write(draw, (x, bottom + 4 * scale), text, "quiet", scale, INK, anchor)
    return canvas


def _swatch_row(row: SwatchRow, scale: float, widest: float) -> Image.Image:
    f = font("".join(text for _, text in row.swatches), "quiet", scale)
    lengths = [f.getlength(text) for _, text in row.swatches]
    rooms = _rooms(lengths, widest - 28 * scale * len(lengths))
    texts = [shorten(text, f, room) for (_, text), room in zip(row.swatches, rooms, strict=True)]
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


def _rooms(lengths: Sequence[float], total: float) -> list[float]:
    """Divide a width among texts: short ones take only what they need, and long ones share the rest."""
    rooms, left = [0.0] * len(lengths), total
    for done, i in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        rooms[i] = min(lengths[i], left / (len(lengths) - done))
        left -= rooms[i]
    return rooms


def _picture_row(row: PictureRow, scale: float, widest: float) -> Image.Image:
    height, width = row.pixels.shape[:2]
    pad = round(3 * scale)
    tall = max(1, round(min(_PICTURE * scale, (widest - 2 * pad) * height / width)))
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


def _curve_row(row: CurveRow, scale: float, widest: float) -> Image.Image:
    width, side = _chart_widths(scale, widest)
    top, bottom = round(8 * scale), round(_CURVE * scale)
    canvas, draw = _blank(width + 2 * side, bottom + 24 * scale)
    together = np.concatenate([row.values, row.dots])
    finite = together[np.isfinite(together)]
    # The axis begins at zero, or at the minimum if it is negative, so that one sees how close a loss is to zero.
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 1.0)
    ends = np.concatenate([row.at[[0, -1]], row.dots_at])
    first, last = float(ends.min()), float(ends.max())

    def across(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(side + (at - first) / max(last - first, 1e-30) * width)

    def down(values: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(bottom - np.clip((values - low) / max(high - low, 1e-30), 0, 1) * (bottom - top))

    x, y = across(row.at), down(row.values)
    draw.line((side, bottom, side + width, bottom), fill=(*EDGE, 255), width=max(1, round(scale)))
    for past, ink in ((False, (*EDGE, 255)), (True, _LIT)):
        for run in _runs(np.isfinite(row.values)):
            points = [(float(x[i]), float(y[i])) for i in run if not past or i <= row.now]
            if len(points) > 1:
                draw.line(points, fill=ink, width=max(1, round(1.6 * scale)), joint="curve")
            elif points:
                draw.point(points, fill=ink)
    _draw_dots(draw, across(row.dots_at), down(row.dots), np.isfinite(row.dots), scale)
    if np.isfinite(row.values[row.now]):
        (px, py), r = (float(x[row.now]), float(y[row.now])), 4 * scale
        draw.line((px, py, px, bottom), fill=(*_LIT[:3], 90), width=max(1, round(scale)))
        draw.ellipse((px - r, py - r, px + r, py + r), fill=(*INK, 255), outline=(*HALO, 255), width=round(1.5 * scale))
    for end, text, anchor in ((side, row.ends[0], "la"), (side + width, row.ends[1], "ra")):
        _write(draw, (end, bottom + 4 * scale), text, "quiet", scale, QUIET, anchor)
    return canvas


def _draw_dots(
    draw: ImageDraw.ImageDraw,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    known: NDArray[np.bool_],
    scale: float,
) -> None:
    """Draw a thin line through dots; if they are too close, only the line."""
    for run in _runs(known):
        points = [(float(x[i]), float(y[i])) for i in run]
        if len(points) > 1:
            draw.line(points, fill=(*_DOT, 255), width=max(1, round(scale)), joint="curve")
        elif len(x) > _MOST_DOTS:
            draw.point(points, fill=(*_DOT, 255))
        r = 2.2 * scale
        for px, py in points if len(x) <= _MOST_DOTS else []:
            draw.ellipse((px - r, py - r, px + r, py + r), fill=(*_DOT, 255))


def _runs(flags: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the indices of each unbroken run of true values."""
    indices = np.flatnonzero(flags)
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1) if len(indices) else []


def key_width(row: KeyRow, scale: float) -> float:
    """Return the width of the column of keys that a row needs, in pixels."""
    return font(row.key, "text", scale).getlength(row.key) + 20 * scale


def key_row(row: KeyRow, scale: float, widest: float, column: float) -> Image.Image:
    """Draw a key, and its effect `column` pixels to the right of the row's left edge."""
    f = font(row.text, "text", scale)
    lines = wrap(row.text, f, widest - column - 6 * scale, MOST_LINES["text"])
    high = SIZES["text"] * scale * _LEADING
    width = column + max(map(f.getlength, lines)) + 6 * scale
    canvas, draw = _blank(width, 19.5 * scale + high * (len(lines) - 1))
    _write(draw, (3 * scale, 2 * scale), row.key, "text", scale, QUIET)
    for number, line in enumerate(lines):
        _write(draw, (column, 2 * scale + high * number), line, "text", scale, INK)
    return canvas
