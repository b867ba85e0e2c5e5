"""The table of keys in front of the scene; in a small window it has several parts."""

from __future__ import annotations

import math

from nnviz3d.apps.window.keys import described
from nnviz3d.render.renderer import Renderer
from nnviz3d.render.text import board_sprite
from nnviz3d.scene.panel_rows import KeyRow
from nnviz3d.scene.primitives import Panel

_WIDEST = 0.9
"""Most of the window's width that the table takes."""
_MOST = 12
"""Most parts."""


class Help:
    """The table, which a key shows part by part and then hides.

    Parameters
    ----------
    renderer
        Draws the window.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._part = -1
        self._kept: tuple[tuple[int, int], tuple[tuple[KeyRow, ...], ...]] = ((0, 0), ())

    @property
    def on(self) -> bool:
        """Whether the table is shown."""
        return self._part >= 0

    @property
    def covers(self) -> bool:
        """Whether the table is shown and fills the window."""
        return self.on and len(self._parts()) > 1

    def turn(self) -> None:
        """Show the next part, or hide the table after the last one."""
        self._part = self._part + 1 if self._part + 1 < len(self._parts()) else -1

    def end(self) -> None:
        """Hide the table."""
        self._part = -1

    def panels(self) -> tuple[Panel, ...]:
        """Return the panel with the shown part; none while the table is hidden."""
        parts = self._parts() if self.on else ()
        return (Panel("help", "middle", parts[min(self._part, len(parts) - 1)]),) if parts else ()

    def _parts(self) -> tuple[tuple[KeyRow, ...], ...]:
        """Divide the table into the fewest parts that fit the window."""
        size = self._renderer.size
        if self._kept[0] != size:
            rows = tuple(KeyRow(label, words) for label, words in described())
            count = 1
            while not all(map(self._fits, found := _divided(rows, count))) and count < _MOST:
                count += 1
            self._kept = (size, found)
        return self._kept[1]

    def _fits(self, rows: tuple[KeyRow, ...]) -> bool:
        width, height = self._renderer.size
        return len(board_sprite(rows, self._renderer.scale, _WIDEST * width, height)) <= height


def _divided(rows: tuple[KeyRow, ...], count: int) -> tuple[tuple[KeyRow, ...], ...]:
    """Divide rows into parts, each of which but the last ends with the key for the next one."""
    each = math.ceil(len(rows) / count)
    parts = [rows[start : start + each] for start in range(0, len(rows), each)]
    more = (KeyRow("h", f"the next keys; these are part {part} of {len(parts)}") for part in range(1, len(parts)))
    return (*((*part, row) for part, row in zip(parts, more, strict=False)), parts[-1])
