"""Marks of a pick: frames around it, a glowing line, and a callout with its description."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import Color, repeated
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.primitives import Callout, Lines, Primitive, Span, Vector

_BRIGHT: Color = (0.93, 0.98, 1.0)
_LIFT = 0.03
"""Distance of a frame from its cell, as a share of the cell's shortest side."""
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1])
_NO_PATH = np.empty((0, 3), dtype=np.float32)


def framed(spans: Sequence[Span], facts: Facts | None) -> tuple[Primitive, ...]:
    """Return a frame around each span and one callout; nothing without spans or facts."""
    if facts is None or not spans:
        return ()
    return frames(spans), callout(spans, facts)


def callout(spans: Sequence[Span], facts: Facts, path: NDArray[np.float32] = _NO_PATH) -> Callout:
    """Return the callout of a pick with these boxes, and with a path ``(n, 3)`` for a connection."""
    return Callout("pick", tuple(spans), facts.rows, path)


def point(position: NDArray[np.floating]) -> Span:
    """Return the box of a point, ``(3,)``, which has size 0."""
    x, y, z = (float(n) for n in position)
    origin: Vector = (x, y, z)
    return Span(origin, (0.0, 0.0, 0.0))


def frames(spans: Sequence[Span]) -> Lines:
    """Draw the edges of boxes that are slightly larger than the spans."""
    points = box_edges(spans)
    return Lines("pick/frames", points, repeated(_BRIGHT, 1.0, len(points)), width=1.8)


def rectangles(sides: Sequence[tuple[NDArray[np.floating], ...]]) -> Lines:
    """Draw the edges of rectangles, each given by a corner and the vectors of two sides, ``(3,)``."""
    corners = np.array([[at, at + a, at + a + b, at + b, at] for at, a, b in sides])
    points = np.stack([corners[:, :-1], corners[:, 1:]], axis=2).reshape(-1, 2, 3).astype(np.float32)
    return Lines("pick/frames", points, repeated(_BRIGHT, 1.0, len(points)), width=2.4)


def box_edges(spans: Sequence[Span]) -> NDArray[np.float32]:
    """Return the edges of boxes that are slightly larger than the spans, ``(n, 2, 3)``."""
    edges = []
    for span in spans:
        size = np.array(span.size)
        lift = _LIFT * size.min()
        corners = np.array(span.origin) - lift + _CORNERS * (size + 2 * lift)
        edges.append(corners[_EDGES])
    return np.concatenate(edges).astype(np.float32)


def glow(path: NDArray[np.float32], color: Color) -> list[Lines]:
    """Draw a connection, ``(n, 3)``, brighter than all others, with a halo in its colour."""
    halo = ((11.0, 0.16, color), (6.0, 0.45, color), (2.2, 1.0, _BRIGHT))
    return [
        Lines(f"pick/glow/{k}", path[np.newaxis], repeated(tint, opacity, 1), width)
        for k, (width, opacity, tint) in enumerate(halo)
    ]
