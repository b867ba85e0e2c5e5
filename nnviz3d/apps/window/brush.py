"""Brush and eraser of the window: a drag over the input's picture paints, and the model runs on what is painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image as PillowImage

from nnviz3d.apps.paint_strokes import Stroke, usual_color, usual_radius
from nnviz3d.apps.painting import NOTHING_TO_PAINT, PAINT_FORMATS, Canvas
from nnviz3d.apps.session import Session
from nnviz3d.data.files.picture_files import read_paint
from nnviz3d.errors import UserError
from nnviz3d.render.picking import pick
from nnviz3d.render.window import Event
from nnviz3d.scene.hits import PixelHit
from nnviz3d.scene.primitives import DrawList, Image

_NAME = "paint.png"
_LIFT = 0.02
"""Distance of the painted picture before the input's block, as a share of its width."""


class Brush:
    """Shows the input's picture with the paint over its block, and takes drags over it, while it is on.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.

    Attributes
    ----------
    tool
        What a drag does; `None` while drags turn the scene.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._key: tuple[object, ...] = ()
        self._canvas: Canvas | None = None
        self._paint = np.empty((0, 0, 4), dtype=np.uint8)
        self._drawn: tuple[object, Image] | None = None
        self._stroke: Stroke | None = None
        self._position = 0
        self._waits = False
        self._goes_on = False
        self.tool: Literal["brush", "eraser"] | None = None

    def next_tool(self) -> None:
        """Take drags over the input as a brush, then as an eraser, then leave them to the camera."""
        if not self._session.scene.blocks:
            self._tell("This scene shows no picture to paint over; Tab shows another perspective")
        elif self._session.painting.canvas is None:
            self._tell(NOTHING_TO_PAINT)
        else:
            self._stroke = None
            self.tool = "brush" if self.tool is None else "eraser" if self.tool == "brush" else None

    def end(self) -> None:
        """Leave drags to the camera."""
        self.tool = self._stroke = None

    @property
    def hint(self) -> str:
        """Help on the tool of a drag, for the picture; empty while all drags turn the scene."""
        if self.tool is None:
            return ""
        other = "eraser" if self.tool == "brush" else "end"
        return f"{self.tool}: drag over the input's picture · P: {other} · D: undo · Esc: end"

    def follow(self, event: Event, pointer: tuple[float, float]) -> bool:
        """Take an event of the mouse; returns whether it belongs to a stroke.

        Parameters
        ----------
        pointer
            Its place in pixels, from the picture's upper left corner.
        """
        kind = event["type"]
        if self.tool is None or (self._stroke is None and kind != "LeftButtonPress"):
            return False
        at = self._pixel(pointer)
        if kind == "LeftButtonPress" and at is not None and self._canvas is not None:
            self._begin(self._canvas)
        if self._stroke is None:
            return False
        if kind in ("LeftButtonPress", "MouseMove") and at is not None:
            self._stroke.lead(*at)
            self._waits = True
            self.advance()
        elif kind == "LeftButtonRelease":
            stroke, self._stroke = self._stroke, None
            self._send(stroke)
        return True

    def advance(self) -> None:
        """Send what was painted while the model ran."""
        if self._stroke is not None and self._waits and not self._session.queries.busy:
            self._send(self._stroke)

    def pictures(self) -> tuple[Image, ...]:
        """Return the input's picture with the paint, before its block; none while drags turn the scene."""
        if self.tool is None:
            return ()
        self._follow_session()
        canvas, session = self._canvas, self._session
        if canvas is None or not session.scene.blocks:
            return ()
        paint = self._paint if self._stroke is None else self._stroke.paint
        place = session.scene.context.placement(canvas.layer)
        if self._stroke is not None or self._drawn is None or self._drawn[0] is not paint:
            pixels = np.where(paint[..., 3:] > 0, paint[..., :3], canvas.picture)
            x, y, z = place.origin
            width, height, depth = place.size
            self._drawn = paint, Image("paint", pixels, (x, y, z + depth + _LIFT * width), (width, height))
        return (self._drawn[1],)

    def _follow_session(self) -> None:
        """Take the picture and the paint of the shown sample."""
        painting, session = self._session.painting, self._session
        key = (session.samples.chosen, session.selection.sample, painting.overlay, session.scene)
        if key == self._key:
            return
        self._key, self._canvas = key, painting.canvas
        if self._canvas is None:
            return
        self._paint = np.zeros((*self._canvas.picture.shape[:2], 4), dtype=np.uint8)
        overlay = self._canvas.overlay
        if overlay is not None and overlay.is_file():
            try:
                self._paint = np.array(read_paint(overlay, self._canvas.size, formats=PAINT_FORMATS))
            except UserError as error:
                self._tell(str(error))

    def _begin(self, canvas: Canvas) -> None:
        color = None if self.tool == "eraser" else usual_color(canvas.picture, grey=canvas.grey)
        self._stroke = Stroke(canvas.picture, self._paint, usual_radius(canvas.size[0]), color)
        self._position, self._goes_on = self._session.samples.chosen, False

    def _send(self, stroke: Stroke) -> None:
        """Run the model on the paint, unless another sample was chosen meanwhile."""
        session, self._waits = self._session, False
        runner = session.queries.runner
        if runner is None or session.samples.chosen != self._position:
            return
        path = runner.new_folder() / _NAME
        image = PillowImage.fromarray(stroke.paint)
        try:
            image.save(path)
            session.painting.paint(path, image, goes_on=self._goes_on)
        except OSError as error:
            self._tell(f"The paint cannot be stored: {error.strerror or error}.")
        except UserError as error:
            self._tell(str(error))
        self._goes_on = True

    def _pixel(self, pointer: tuple[float, float]) -> tuple[float, float] | None:
        """Return the point of the input's picture under the pointer, in its pixels; `None` beside it."""
        renderer = self._session.renderer
        hit = pick(DrawList(self.pictures()), renderer.pose(), renderer.size, pointer)
        return (hit.column + 0.5, hit.row + 0.5) if isinstance(hit, PixelHit) else None
