"""Fonts, sizes and inks of all text, and texts that fit into a width. Sizes are in pixels of a picture 720 pixels high."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from io import BytesIO

from PIL import ImageFont

INK = (236, 240, 247)
QUIET = (150, 161, 180)
HALO = (6, 8, 12)
EDGE = (74, 86, 106)
SIZES = {"title": 19.0, "text": 13.0, "quiet": 11.5, "caption": 16.0, "name": 12.0, "detail": 10.5, "score": 10.5}
_FOREIGN = re.compile("[^ -~\u00a0-\u017f\u0370-\u03ff\u0400-\u045f\u2010-\u203a\u2190-\u2199\u2200-\u22ff]")
"""Characters that the bundled part of the font Inter does not have."""


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
            f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", max(6.0, SIZES[style] * scale)
        )
    weight = "SemiBold" if style in ("title", "name", "score") else "Regular"
    data = files("nnviz3d.render") / "fonts" / f"Inter-{weight}.otf"
    return ImageFont.truetype(BytesIO(data.read_bytes()), max(6.0, SIZES[style] * scale))


def shorten(text: str, f: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text that is wider than `width` pixels, and add an ellipsis."""
    if f.getlength(text) <= width:
        return text
    while text and f.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


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
