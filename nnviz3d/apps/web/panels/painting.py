"""Panel for painting over the shown sample's picture, and for drawings; ``static/paint.js`` moves the brush."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trame.widgets import html

from nnviz3d.apps.paint_strokes import is_dark
from nnviz3d.apps.painting import Canvas
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.sample_files import RUN
from nnviz3d.data.reader import CaptureReader

_COLORS = {"Black": "#000000", "Grey": "#808080", "White": "#ffffff"}
"""Colours of the swatches."""
_HIGHEST = 300
"""Most pixels of the height of the canvas on the page."""


@dataclass(frozen=True)
class PaintingState:
    """Values that the widgets show.

    Attributes
    ----------
    paint_canvas
        The picture that can be painted over; empty if there is none. ``width`` and ``height`` in pixels; ``picture`` and
        ``overlay``, the addresses of the picture and of the paint, empty for black and for none; ``grey``, whether the
        model sees no colours; ``drawing``, whether it is a drawing; ``dark``, whether it is dark; ``name`` and
        ``position`` of the sample.
    paint_adds
        Whether drawings and painted pictures can become samples.
    """

    paint_canvas: dict[str, Any] = field(default_factory=dict)
    paint_adds: bool = False


class PaintingPanel(PagePanel[PaintingState]):
    """The canvas with its brush and eraser; nothing without a picture, or without a model that can be asked."""

    def __init__(self, page: PageContext) -> None:
        self._shown: tuple[CaptureReader, int, int, Path | None] | None = None
        super().__init__(page, PaintingState())
        page.client_only(paint_open=False, paint_erases=False, paint_color="", paint_size=0.0)
        page.on_trigger("draw_sample", self._draw)
        page.on_trigger("keep_painted", self._keep)

    def synchronize(self) -> None:
        """Show the picture of the sample, with what is painted over it."""
        session = self.page.session
        painting = session.painting
        if not session.scene.blocks or not session.queries.possible:
            self._shown = None
            self.show(PaintingState())
            return
        key = (session.scene.capture, session.samples.chosen, session.selection.sample, painting.overlay)
        before = self._shown
        if before is not None and before[0] is key[0] and before[1:] == key[1:]:
            return
        self._shown = key
        canvas = painting.canvas
        if canvas is None:
            self.show(PaintingState())
            return
        self.show(PaintingState(self._described(canvas), painting.can_add))

    def _described(self, canvas: Canvas) -> dict[str, Any]:
        session = self.page.session
        height, width = canvas.picture.shape[:2]
        position = session.samples.chosen
        picture = "" if canvas.drawing else f"samples/{position}/picture?run={RUN}&of={session.selection.sample}"
        return {
            "width": width,
            "height": height,
            "picture": picture,
            "overlay": "" if canvas.overlay is None else f"samples/paint?of={canvas.overlay.parent.name}",
            "grey": canvas.grey,
            "drawing": canvas.drawing,
            "dark": is_dark(canvas.picture),
            "name": session.samples[position].name,
            "position": position,
        }

    def _draw(self) -> None:
        self.page.session.painting.draw()
        self.page.refresh()

    def _keep(self) -> None:
        session = self.page.session
        session.choose(session.painting.keep())
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section paint", id="paint", v_if="paint_canvas.width"):
            with html.Div(classes="section-head steps-head"):
                html.Span("{{ paint_canvas.drawing ? 'Drawing' : 'Paint' }}", classes="section-title")
                with html.Span(classes="whatif-ends"):
                    _button("{{ paint_open ? 'Close' : 'Open' }}", "paint_open = !paint_open", "paint-toggle", "Paint")
                    _button(
                        "New drawing",
                        "paint_open = true; trigger('draw_sample')",
                        "paint-draw",
                        "Draw a sample of your own on an empty picture",
                        v_if="paint_adds",
                    )
            with html.Div(v_if="paint_open", id="paint-board"):
                html.Canvas(
                    id="paint-canvas",
                    role="img",
                    aria_label=("`${paint_canvas.name}: drag to paint`",),
                    style=(
                        "{ aspectRatio: `${paint_canvas.width} / ${paint_canvas.height}`, "
                        f"width: `min(100%, ${{{_HIGHEST} * paint_canvas.width / paint_canvas.height}}px)` }}",
                    ),
                )
                with html.Div(classes="paint-tools"):
                    for words, erases, title in (("Brush", "false", "Paint"), ("Eraser", "true", "Take paint away")):
                        html.Button(
                            words,
                            click=f"paint_erases = {erases}",
                            classes=(f"['whatif-button', {{ chosen: paint_erases === {erases} }}]",),
                            aria_pressed=(f"String(paint_erases === {erases})",),
                            title=title,
                            type="button",
                        )
                    for name, color in _COLORS.items():
                        html.Button(
                            click=f"paint_color = '{color}'; paint_erases = false",
                            classes=(f"['paint-swatch', {{ chosen: paint_color === '{color}' && !paint_erases }}]",),
                            style=f"background: {color}",
                            title=name,
                            aria_label=name,
                            type="button",
                        )
                    html.Input(
                        type="color",
                        v_if="!paint_canvas.grey",
                        value=("paint_color",),
                        input="paint_color = $event.target.value; paint_erases = false",
                        title="Any colour",
                        aria_label="Colour of the brush",
                        __events=["input"],
                    )
                with html.Div(classes="paint-tools"):
                    html.Span("Size", classes="faint")
                    html.Input(
                        type="range",
                        min=0.5,
                        max=("Math.max(paint_canvas.width / 6, 3)",),
                        step=0.25,
                        value=("paint_size",),
                        input="paint_size = Number($event.target.value)",
                        classes="whatif-factor",
                        aria_label="Size of the brush",
                        __events=["input"],
                    )
                    _button("Undo", "window.nnviz3dPaint.undo()", "paint-undo", "Undo the last stroke")
                    _button("Clear", "window.nnviz3dPaint.clear()", "paint-clear", "Take all paint away")
                    _button(
                        "Keep",
                        "trigger('keep_painted')",
                        "paint-keep",
                        "Make the painted picture a sample of its own",
                        v_if="paint_adds && paint_canvas.overlay && !paint_canvas.drawing",
                    )
                html.Div(
                    "{{ paint_canvas.drawing ? 'The network runs on your drawing after each stroke.'"
                    " : 'The blocks show what your paint changes.' }}",
                    classes="faint paint-words",
                )


def _button(words: str, click: str, name: str, title: str, **more: Any) -> None:
    html.Button(words, click=click, classes="whatif-button", id=name, title=title, type="button", **more)
