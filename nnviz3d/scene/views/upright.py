"""Room for the panels of an upright picture, which stand one above the other above and below the scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nnviz3d.scene.camera import Margins
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
    text_height,
)
from nnviz3d.scene.primitives import Panel

_HIGH, _WIDE = 857.0, 448.0
"""Height and width of a telephone's picture, in the pixels of panels."""
_EDGE, _SHADE = 14.0, 28.0
"""Height of the shadow at each edge of a panel, and what the shadows of two panels share of both."""
_HEIGHTS: dict[type[Row], float] = {
    BarRow: 23,
    CurveRow: 60,
    GaugeRow: 50,
    KeyRow: 19.5,
    PictureRow: 90,
    PicturesRow: 110,
    ScaleRow: 31,
    SwatchRow: 17,
}
"""Heights of rows."""
_TALLEST, _MOST = 0.25, 0.42
"""Maximum height of a shown panel, and of all panels above or below a scene, as shares of the picture's height."""
_FREE = {"top": 0.012, "bottom": 0.04}
"""Free height between the panels and the scene; below it, names of layers need some."""


def margins_between(panels: Iterable[Panel], margins: Margins) -> Margins:
    """Return margins with room for the panels of an upright picture: above at least the given one, below what is needed."""
    shares = [(panel.corner, _height(panel) / _HIGH) for panel in panels]
    needed = {}
    for edge in ("top", "bottom"):
        heights = [share for corner, share in shares if corner.startswith(edge) and share <= _TALLEST]
        needed[edge] = min(sum(heights) + _FREE[edge], _MOST) if heights else 0.0
    return replace(margins, top=max(margins.top, needed["top"]), bottom=max(margins.bottom, needed["bottom"]))


def _height(panel: Panel) -> float:
    """Return the height that a panel adds to those beyond it."""
    wide = _WIDE - 2 * _SHADE
    rows = sum(text_height([row], wide) if isinstance(row, TextRow) else _HEIGHTS[type(row)] for row in panel.rows)
    return rows + 2 * _EDGE - _SHADE / 2
