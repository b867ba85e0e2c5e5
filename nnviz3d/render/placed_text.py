"""All text of a picture: panels, boards, callouts and labels, placed in the order of their importance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render.callouts import board_places, callout_places, marked_at
from nnviz3d.render.label_placement import Rect, corners_of, line_map, outlines, place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.panels import CORNERS, is_narrow, is_too_high, left_out_note, narrowed, panel_widest, place_panels
from nnviz3d.render.point_pictures import placed_in
from nnviz3d.render.sprites import SpritesActor
from nnviz3d.render.text import PlacedSprite, Sprite, label_size, label_sprite, panel_sprite
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Callout, Corner, DrawList, Label, Labels, Lines, Panel, Points

_FEWER = "fewer while moving"
"""Name of the panel that says how many points and connections are drawn while the picture moves."""
_CORNERS_FOR_FEWER: tuple[Corner, ...] = ("bottom-right", "top-right", "top-left")


class PlacedText:
    """The text of a draw list, and the pictures of its points, which take the same room on the screen.

    Attributes
    ----------
    panels
        The panels in the corners of the picture.
    """

    def __init__(self, renderer: vtkRenderer) -> None:
        self.panels: tuple[Panel, ...] = ()
        self._boards: tuple[Panel, ...] = ()
        self._callouts: tuple[Callout, ...] = ()
        self._labels: tuple[Label, ...] = ()
        self._corners = corners_of(())
        self._ways: tuple[LabelWays, float] | None = None
        self._avoided: tuple[NDArray[np.float32], ...] = ()
        self._pictured: tuple[Points, ...] = ()
        self._sprites = SpritesActor(renderer)
        self._placed: tuple[tuple[object, ...], object] = (), None
        self._panel_pixels: dict[tuple[Panel, float, float, bool], NDArray[np.uint8]] = {}

    @property
    def visible(self) -> bool:
        """Whether there is text in the picture."""
        return self._sprites.visible

    def update(self, what: DrawList) -> None:
        """Take the text of a draw list; `place` shows it."""
        self._avoided = tuple(p.points for p in what.primitives if isinstance(p, Lines) and p.avoided)
        self._pictured = tuple(p for p in what.primitives if isinstance(p, Points) and p.pictures is not None)
        labels = tuple(label for p in what.primitives if isinstance(p, Labels) for label in p.labels)
        if len(labels) != len(self._labels) or any(a is not b for a, b in zip(labels, self._labels, strict=True)):
            self._labels, self._corners = labels, corners_of(labels)
        panels = [p for p in what.primitives if isinstance(p, Panel)]
        self.panels = tuple(p for p in panels if p.corner in CORNERS)
        self._boards = tuple(p for p in panels if p.corner not in CORNERS)
        self._callouts = tuple(p for p in what.primitives if isinstance(p, Callout))

    def add_count_panel(self, numbers: Mapping[str, tuple[int, int]]) -> None:
        """Say in a panel what is not drawn; the numbers are how many of a kind are drawn, and the number of all."""
        panels = [p for p in self.panels if p.name != _FEWER]
        rows = tuple(
            TextRow(f"{drawn:,} of {count:,} {what} are drawn while the picture moves", "quiet")
            for what, (drawn, count) in numbers.items()
            if drawn < count
        )
        if rows:
            known = next((p for p in self.panels if p.name == _FEWER and p.rows == rows), None)
            taken = {p.corner for p in panels}
            # In a free corner it moves no other panel.
            corner: Corner = next((c for c in _CORNERS_FOR_FEWER if c not in taken), _CORNERS_FOR_FEWER[0])
            panels.append(known if known and known.corner == corner else Panel(_FEWER, corner, rows))
        self.panels = tuple(panels)

    def place(self, matrix: NDArray[np.float64], size: tuple[int, int], scale: float) -> None:
        """Place all text, unless it, the camera and the size are as when it was last placed.

        Parameters
        ----------
        matrix
            From world to clip coordinates, ``(4, 4)``.
        size
            Width and height of the picture in pixels.
        scale
            Factor for the sizes of text and lines.
        """
        texts = (*self._labels, *self._avoided, *self.panels, *self._boards, *self._callouts, *self._pictured)
        view = (size, scale, matrix.tobytes())
        known, seen = self._placed
        if view == seen and len(texts) == len(known) and all(a is b for a, b in zip(texts, known, strict=True)):
            return
        self._placed = (), None
        self._place_anew(matrix, size, scale)
        self._placed = texts, view

    def _place_anew(self, matrix: NDArray[np.float64], size: tuple[int, int], scale: float) -> None:
        """Place panels, boards, callouts and labels, in the order of their importance, and pictures of points below."""
        sprites, occupied = self._place_panels(size, scale)
        pictures = placed_in(self._pictured, matrix, size, scale, occupied)
        boards = board_places(self._boards, size, scale, occupied, marked_at(self._callouts, matrix, size, scale))
        named = outlines(self._corners, matrix, size)
        callouts = callout_places(self._callouts, matrix, size, scale, occupied, named)
        placed = place_labels(
            self._label_ways(scale), named, size, scale, occupied, line_map(self._avoided, matrix, size)
        )
        for found in placed:
            label = self._labels[found.index]
            sprite = label_sprite(found.lines, label.emphasis, scale, label.small)
            sprites.append(PlacedSprite(sprite, found.rect.left, found.rect.bottom))
        self._sprites.show([*pictures, *sprites, *callouts, *boards])

    def _label_ways(self, scale: float) -> LabelWays:
        """Return the ways in which each label may be shown; measured anew for other labels and another scale."""
        known = self._ways
        if known is None or known[0].labels is not self._labels or known[1] != scale:
            measured = LabelWays(self._labels, lambda label, lines: label_size(lines, scale, label.small))
            known = self._ways = (measured, scale)
        return known[0]

    def _place_panels(self, size: tuple[int, int], scale: float) -> tuple[list[PlacedSprite], list[Rect]]:
        """Place the panels in the corners; returns them and the rectangles that other text must not cover."""
        narrow = is_narrow(size, scale)
        beside = Counter(p.corner for p in self.panels)
        known, self._panel_pixels = self._panel_pixels, {}

        def drawn(panel: Panel, widest: float | None = None) -> Sprite:
            usual = panel_widest(panel.corner, beside[panel.corner], size, scale)
            key = (panel, scale, usual if widest is None else widest, narrow)
            found = known[key] if key in known else panel_sprite(panel, scale, key[2], at_left=narrow)
            self._panel_pixels[key] = found
            return found

        panels = list(self.panels)
        pixels = [drawn(panel) for panel in panels]
        for k, widest in narrowed(_shapes(panels, pixels), size, scale).items():
            found = drawn(panels[k], widest)
            if is_too_high(pixels[k].shape[0], size) or not is_too_high(found.shape[0], size):
                pixels[k] = found
        note = left_out_note(panels, [one.shape[0] for one in pixels], size)
        if note is not None:
            panels.append(note)
            pixels.append(drawn(note))
        placed = place_panels(_shapes(panels, pixels), size, scale)
        return [PlacedSprite(pixels[p.index], p.left, p.bottom) for p in placed], [p.rect for p in placed]


def _shapes(panels: Sequence[Panel], pixels: Sequence[Sprite]) -> list[tuple[str, tuple[int, int]]]:
    """Return corner, and width and height in pixels of each panel."""
    return [(p.corner, (w, h)) for p, (h, w, _) in zip(panels, (s.shape for s in pixels), strict=True)]
