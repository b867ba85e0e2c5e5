"""View of the backward pass: light along every edge; its brightness is the edge's share of the gradient."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.request import Insights
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Lines, Primitive
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Phase, Seconds, ViewSpec

LIGHT = (1.0, 0.86, 0.58)
_SEGMENTS = 28
_WIDTHS = (1.3, 2.2, 3.4)
"""Line widths in pixels; each edge has one of them, by its share."""
_HALO = 3.2
"""Width of the halo around the running light, as a multiple of the line's width."""
_TAIL = 0.16
"""Length of the running light, as a share of the edge's length."""
_LIT = 0.5
"""Brightness of an edge after the light has passed."""


class BackwardSpec(ViewSpec):
    """The backward pass of one sample: the gradient of the target's score runs back through the blocks.

    Attributes
    ----------
    start
        Start in seconds; by default a moment after the end of the forward pass.
    duration
        Seconds from the score to the input.
    """

    kind: Literal["backward"]
    error_without_blocks: ClassVar[str] = "A scene that shows no layers has no backward pass; choose another tour."
    start: Seconds | None = None
    duration: Seconds = 8.0

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        return Insights(gradients=True)

    @property
    def phase(self) -> Phase:
        """The backward pass."""
        return Phase("backward", self.start, self.duration)


class BackwardView(View):
    """Light that runs from each layer back to its source layers."""

    spec_class = BackwardSpec

    def __init__(self, spec: BackwardSpec, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._points = [_evenly(route.points[::-1]) for route in context.routes]
        self._windows = [
            self._timeline.way(*(context.placement(node).rank for node in (r.edge.target, r.edge.source)))
            for r in context.routes
        ]
        self._first = self._timeline.backward[0] if self._timeline.backward is not None else 0.0
        self._last = max((end for _, end in self._windows), default=0.0)
        self._shares: tuple[object, NDArray[np.float64]] | None = None
        self._groups: dict[int, NDArray[np.float32]] = {}
        self._kept: tuple[object, tuple[Primitive, ...]] = (None, ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the running light at `t`, and the edges that it has passed."""
        turned = self._timeline.turned(t)
        if t < self._first or turned <= 0:
            return ()
        # When the last light has arrived, none is left, however late it is.
        moment = t if t < self._last else math.inf
        key = (moment, selection.sample, selection.target, selection.layer)
        if self._kept[0] != key:
            self._kept = (key, self._build(moment, selection))
        if turned >= 1:
            return self._kept[1]
        return tuple(replace(p, opacity=turned) if isinstance(p, Lines) else p for p in self._kept[1])

    def _build(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        shares = self._shares_of(selection)
        bins = np.minimum((shares * len(_WIDTHS)).astype(int), len(_WIDTHS) - 1)
        found: list[Primitive] = []
        for k, width in enumerate(_WIDTHS):
            chosen = np.flatnonzero((bins == k) & (shares > 0))
            if not len(chosen):
                continue
            if k not in self._groups:
                self._groups[k] = np.concatenate([_pieces(self._points[i]) for i in chosen])
            lit, running = self._light(chosen, shares, t, selection)
            found.append(Lines(f"backward/{k}", self._groups[k], _colored(lit), width))
            if running.any():
                found.append(Lines(f"backward/{k}/halo", self._groups[k], _colored(0.22 * running), width * _HALO))
        return tuple(found)

    def _light(
        self, chosen: NDArray[np.int64], shares: NDArray[np.float64], t: float, selection: Selection
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the opacity of each piece of the chosen edges, and of the running light alone: ``(n * pieces,)`` each."""
        along = (np.arange(_SEGMENTS) + 0.5) / _SEGMENTS
        start, end = np.array([self._windows[i] for i in chosen]).T
        # The light starts its own length before the edge and ends its length beyond it, so that it fades in and out.
        head = ((t - start) / (end - start) * (1 + 2 * _TAIL) - _TAIL)[:, np.newaxis]
        strength = np.sqrt(shares[chosen])[:, np.newaxis]
        running = strength * np.exp(-(((along - head) / (_TAIL / 2)) ** 2))
        lit = _LIT * strength * np.clip((head - along) * _SEGMENTS + 0.5, 0, 1)
        seen = np.array(
            [
                1.0 if selection.layer in (None, r.edge.source, r.edge.target) else 0.25
                for r in (self._context.routes[i] for i in chosen)
            ]
        )[:, np.newaxis]
        return (seen * np.maximum(lit, running)).ravel(), (seen * running).ravel()

    def _shares_of(self, selection: Selection) -> NDArray[np.float64]:
        """Return each route's share of the gradient that reaches its source: ``(routes,)``, from 0 to 1.

        All shares are 1 for a capture without shares.
        """
        key = (selection.sample, selection.target)
        if self._shares is None or self._shares[0] != key:
            norms = self._context.explanations(selection.sample).flow(selection.target)
            found = np.ones(len(self._context.routes))
            if norms is not None:
                of_edge = dict(zip(self._context.graph.edges, norms.astype(np.float64), strict=True))
                sources = [r.edge.source for r in self._context.routes]
                mine = np.nan_to_num([of_edge[r.edge] for r in self._context.routes], posinf=0.0)
                total = {s: sum(m for m, o in zip(mine, sources, strict=True) if o == s) for s in set(sources)}
                found = np.array([m / total[s] if total[s] > 0 else 0.0 for m, s in zip(mine, sources, strict=True)])
            self._shares = (key, found)
            self._groups = {}
        return self._shares[1]


def _evenly(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cut a polyline into pieces of equal length: ``(p, 3)`` to ``(pieces + 1, 3)``."""
    steps = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, at[-1], _SEGMENTS + 1)
    return np.stack([np.interp(even, at, points[:, k]) for k in range(3)], axis=1)


def _pieces(points: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.stack([points[:-1], points[1:]], axis=1).astype(np.float32)


def _colored(opacity: NDArray[np.float64]) -> NDArray[np.float32]:
    colors = np.empty((len(opacity), 4), dtype=np.float32)
    colors[:, :3] = LIGHT
    colors[:, 3] = np.clip(opacity, 0, 1)
    return colors
