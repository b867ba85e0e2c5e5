"""The receptive field of a picked cell as light: a frame around its part of each earlier layer, and rays between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.receptive_field import LayerField
from nnviz3d.scene.colors import Color, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.cell_fields import field_of, span_of_field
from nnviz3d.scene.primitives import Lines, Primitive, Span
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.views.marks import box_edges

_LIGHT: Color = (1.0, 0.93, 0.72)
_FRAME, _WHOLE = 0.95, 0.3
"""Opacity of the frame around a small part of a layer, and of the frame around a whole layer."""
_EDGE, _RAY = 0.5, 0.055
"""Opacity of the rays along the edges of a cone, and of those between them."""
_BACK = 0.4
"""Brightness of a cone that leads back to an earlier row of blocks, across other blocks."""
_LIFT = 0.1
"""Distance of a frame from the picture of an input, in cells."""
_RAYS = 8
"""Number of rays along each side of a cone."""


def field_marks(context: SceneContext, pick: CellPick) -> tuple[Primitive, ...]:
    """Return the frames and the cone of light of a cell's receptive field; nothing if the cell has none.

    The more of a layer the field takes, the fainter are its frame and the rays that leave it.
    """
    field = field_of(context, pick)
    if field is None or not field.layers:
        return ()
    parts = {**field.layers, pick.layer: field.own}
    spans = {name: _drawn_span(context, name, part) for name, part in parts.items()}
    shares = {name: part.share for name, part in parts.items()}
    frames = [(box_edges([spans[name]]), _FRAME + (_WHOLE - _FRAME) * shares[name]) for name in field.layers]
    found: list[Primitive] = [_lines("pick/field", frames, 1.6)]
    edges, rays = [], []
    for edge in context.graph.edges:
        if edge.source in parts and edge.target in parts and shares[edge.target] < 1:
            cone = _cone(spans[edge.source], spans[edge.target], _right_of_picture(context, edge.source))
            back = context.placement(edge.source).row != context.placement(edge.target).row
            light = (1 - shares[edge.target]) * (_BACK if back else 1.0)
            edges.append((cone[:4], _EDGE * light))
            rays.append((cone[4:], _RAY * light))
    if edges:
        found += [_lines("pick/cone/edges", edges, 1.2), _lines("pick/cone/rays", rays, 6.0)]
    return tuple(found)


def _lines(name: str, parts: list[tuple[NDArray[np.float32], float]], width: float) -> Lines:
    colors = np.concatenate([repeated(_LIGHT, opacity, len(points)) for points, opacity in parts])
    return Lines(name, np.concatenate([points for points, _ in parts]), colors, width=width)


def _drawn_span(context: SceneContext, layer: str, field: LayerField) -> Span:
    """Return the box of a field where it is seen: an input's picture is the front of its block."""
    span = span_of_field(context, layer, field)
    placement = context.placement(layer)
    if not _is_pictured(context, layer):
        return span
    (x, y, _), (wide, high, _) = span.origin, span.size
    front = placement.origin[2] + placement.size[2] + _LIFT * placement.cell[2]
    return replace(span, origin=(x, y, front), size=(wide, high, 0.0))


def _right_of_picture(context: SceneContext, layer: str) -> float | None:
    """Return the world x at which the picture of an input ends; `None` for another layer."""
    placement = context.placement(layer)
    return placement.origin[0] + placement.size[0] if _is_pictured(context, layer) else None


def _is_pictured(context: SceneContext, layer: str) -> bool:
    """Whether a layer is an input that is shown as its picture."""
    return layer in context.graph.inputs and context.placement(layer).grid.picture is not None


def _cone(source: Span, target: Span, until: float | None) -> NDArray[np.float32]:
    """Return rays from the right side of one box to the left side of another, ``(n, 3, 3)``: first those of the corners.

    Parameters
    ----------
    until
        World x up to which the rays stay in front of the source's picture, which would hide them.
    """
    turns = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    shares = np.linspace(0, 1, _RAYS, endpoint=False)[1:, np.newaxis]
    sides = [turns[k] + shares * (turns[(k + 1) % 4] - turns[k]) for k in range(4)]
    around = np.concatenate([turns, *sides])
    ends = []
    for span, right in ((source, 1.0), (target, 0.0)):
        unit = np.column_stack([np.full(len(around), right), around])
        ends.append(np.array(span.origin) + unit * np.array(span.size))
    start, end = ends
    middle = (start + end) / 2
    if until is not None and start[0, 0] < until < end[0, 0]:
        middle = start + (until - start[0, 0]) / (end[0, 0] - start[0, 0]) * (end - start)
        middle[:, 2] = start[:, 2]
    return np.stack([start, middle, end], axis=1).astype(np.float32)
