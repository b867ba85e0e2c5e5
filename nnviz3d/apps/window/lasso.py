"""Lasso and box of the window: a drag around points chooses samples of an embedding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.enclosing import Way, selected_words, with_enclosed
from nnviz3d.apps.session import Session
from nnviz3d.errors import UserError
from nnviz3d.render.window import Event
from nnviz3d.scene.colors import Color
from nnviz3d.scene.enclosure import traced
from nnviz3d.scene.primitives import Lines
from nnviz3d.scene.views.points.embedding import EmbeddingView

_LEAST = 4.0
"""Pixels that a drag at least covers in width or height; a shorter one is a click, which chooses nothing."""
_COLOR: Color = (1.0, 0.86, 0.5)
_WIDTH = 2.0
_CORNERS = 400
"""Most corners of an outline."""


class Lasso:
    """Takes the drags of the left mouse button while it is on, and draws their outline.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.

    Attributes
    ----------
    shape
        What a drag draws; `None` while drags turn the scene.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._path: list[tuple[float, float]] | None = None
        self._way: Way = "new"
        self.shape: Literal["lasso", "box"] | None = None

    def next_shape(self) -> None:
        """Take drags as a lasso, then as a box, then leave them to the camera."""
        if self._session.scene.find(EmbeddingView) is None:
            self._tell("This scene shows no points; Tab leads to the embedding")
            return
        self._path = None
        self.shape = "lasso" if self.shape is None else "box" if self.shape == "lasso" else None

    def end(self) -> None:
        """Leave drags to the camera."""
        self.shape = self._path = None

    @property
    def hint(self) -> str:
        """Help on the tool of a drag, for the picture; empty while drags turn the scene."""
        if self.shape is None:
            return ""
        other = "a box" if self.shape == "lasso" else "turn the scene"
        return f"{self.shape}: drag around points · Shift: add · Ctrl: take away · L: {other} · Esc: end"

    def follow(self, event: Event) -> bool:
        """Take an event of the mouse; returns whether it belongs to the outline."""
        kind = event["type"]
        if self.shape is None:
            return False
        if kind == "LeftButtonPress":
            self._path = [self._place(event)]
            self._way = "add" if event["shiftKey"] else "remove" if event["controlKey"] else "new"
            return True
        if self._path is None:
            return False
        if kind == "MouseMove":
            self._path.append(self._place(event))
        elif kind == "LeftButtonRelease":
            outline, self._path = self._outline(), None
            if outline is not None:
                self._choose(outline)
        return True

    def lines(self) -> tuple[Lines, ...]:
        """Return the outline that is drawn, before everything else."""
        outline = self._outline()
        if outline is None:
            return ()
        pose, scene = self._session.renderer.pose(), self._session.scene
        points = traced(outline, pose, scene.extent()).astype(np.float32)
        return (Lines("lasso", points[np.newaxis], np.array([[*_COLOR, 1.0]], dtype=np.float32), _WIDTH),)

    def _place(self, event: Event) -> tuple[float, float]:
        """Return the place of an event, to the right and upwards from the middle as shares of the picture's height."""
        width, height = self._session.renderer.size
        return (float(event["x"]) - width / 2) / height, (float(event["y"]) - height / 2) / height

    def _outline(self) -> NDArray[np.float64] | None:
        """Return the corners of the outline, ``(k, 2)``; `None` if nothing or next to nothing is drawn."""
        path = np.array(self._path or [(0.0, 0.0)])
        if np.ptp(path, axis=0).max() * self._session.renderer.size[1] < _LEAST or len(path) < 2:
            return None
        if self.shape == "box":
            (left, one), (right, other) = path[0], path[-1]
            return np.array([(left, one), (right, one), (right, other), (left, other)])
        return path[:: max(1, math.ceil(len(path) / _CORNERS))]

    def _choose(self, outline: NDArray[np.float64]) -> None:
        session = self._session
        try:
            points = with_enclosed(session, session.renderer.pose(), outline, self._way)
        except UserError as error:
            self._tell(str(error))
            return
        session.select(points=points)
        if self._way == "new":
            self.shape = None
        self._tell(f"{selected_words(session)} · Y: hide the others · y: all points")
