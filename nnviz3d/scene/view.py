"""Protocols and base classes of views: what the scene asks of them."""

from __future__ import annotations

from typing import Protocol

from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.primitives import Primitive, Span
from nnviz3d.scene.selection import Pick, Selection


class View(Protocol):
    """One capability's part of a picture.

    `at` is pure: equal arguments give equal primitives, and arrays that did not change are the same objects.
    """

    @property
    def duration(self) -> float:
        """Seconds after which nothing changes."""
        ...

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the primitives at `t` seconds."""
        ...


class Pickable:
    """Base class of views whose primitives can be picked.

    The scene asks the view that made the picked primitive for the pick. It asks all views to describe and mark a pick;
    a view answers only for its own kinds of picks.
    """

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the pick that a hit on one of this view's primitives means."""
        return None

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the description of a pick; `None` for a pick of another view or outside the sample's tensor."""
        return None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames, lines and callout of a pick; empty for a pick of another view or one that is not shown."""
        return ()

    def spans_of(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        """Return where this view shows a number of a layer's block a second time."""
        return ()
