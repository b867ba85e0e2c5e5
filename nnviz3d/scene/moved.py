"""Primitives of one network at another place of the world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.primitives import Box, Image, Labels, Lines, Primitive, Source, Span, Vector, Voxels


class Mover:
    """Moves primitives. An array that comes again gives the same moved array again, so nothing is uploaded twice.

    Parameters
    ----------
    by
        World units.
    view
        Kind of the view that they belong to from then on, which answers what a hit means. Connections cannot be picked.
    """

    def __init__(self, by: Vector, view: str) -> None:
        self._by = by
        self._view = view
        self._kept: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._used: set[int] = set()

    def moved(self, primitives: tuple[Primitive, ...]) -> tuple[Primitive, ...]:
        """Return primitives at the other place, without kinds that are no part of a network, such as panels."""
        self._used = set()
        found = tuple(new for one in primitives if (new := self._moved(one)) is not None)
        self._kept = {key: self._kept[key] for key in self._used}
        return found

    def span(self, span: Span) -> Span:
        """Return a box at the other place."""
        return Span(self._plus(span.origin), span.size)

    def _moved(self, primitive: Primitive) -> Primitive | None:
        name = f"{self._view}/{primitive.name}"
        match primitive:
            case Voxels() | Image() | Box():
                source = None if primitive.source is None else Source(self._view, primitive.source.layer)
                return replace(primitive, name=name, origin=self._plus(primitive.origin), source=source)
            case Lines():
                return replace(primitive, name=name, points=self._shifted(primitive.points), ends=None, source=None)
            case Labels():
                labels = (replace(label, anchor=self._plus(label.anchor)) for label in primitive.labels)
                return Labels(name, tuple(labels))
        return None

    def _plus(self, at: Vector) -> Vector:
        return at[0] + self._by[0], at[1] + self._by[1], at[2] + self._by[2]

    def _shifted(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        key = id(points)
        if key not in self._kept or self._kept[key][0] is not points:
            self._kept[key] = points, points + np.array(self._by, dtype=points.dtype)
        self._used.add(key)
        return self._kept[key][1]
