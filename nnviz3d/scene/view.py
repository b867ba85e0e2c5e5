"""Base classes of views, and protocols of their optional features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.quantities import Quantity
from nnviz3d.scene.colors import Colormap
from nnviz3d.scene.context import LayerValues, SceneContext
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.primitives import Primitive, Span
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view_spec import ViewSpec


class Pickable:
    """Base class of views whose primitives can be picked.

    The scene turns a hit into a pick through the view that made the primitive. It asks all views to describe and mark a
    pick; a view does so only for its own kinds of picks.
    """

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the pick that a hit on one of this view's primitives means."""
        return None

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the description of a pick; `None` for a pick of another view or outside the sample's tensor."""
        return None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames, lines and callout of a pick; empty for a pick of another view or a hidden one."""
        return ()

    def explain(self, pick: Pick, selection: Selection) -> tuple[Primitive, ...]:
        """Return what shows on which numbers a pick depends; empty for a pick of another view."""
        return ()

    def spans_of(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        """Return the boxes outside a block that show its number once more, such as a cell of a map over the picture."""
        return ()

    def shows_cells(self, layer: str, selection: Selection) -> bool:
        """Whether this view draws cells of a layer, each of which is a part of its block, or a picture or map of them."""
        return False


class View(Pickable, ABC):
    """One capability's part of a picture.

    `at` is pure: equal arguments give equal primitives, and unchanged arrays are the same objects.

    Parameters
    ----------
    spec
        Settings of the scene file, of type `spec_class`.
    context
        The capture and its layout.
    timeline
        Start and duration of the scene's phases.

    Attributes
    ----------
    spec_class
        Class of the view's settings.
    always
        Whether every scene has the view. If the scene file does not name it, its `spec` is `None`.
    duration
        Seconds after which nothing changes.
    """

    spec_class: ClassVar[type[ViewSpec]]
    always: ClassVar[bool] = False
    duration: float = 0.0

    @abstractmethod
    def __init__(self, spec: Any, context: SceneContext, timeline: Timeline) -> None: ...

    @classmethod
    def build(cls, spec: Any, context: SceneContext, timeline: Timeline) -> View:
        """Build the view; a class may choose another one by the size of the network."""
        return cls(spec, context, timeline)

    @abstractmethod
    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the primitives at `t` seconds."""


@runtime_checkable
class OwnPlace(Protocol):
    """A view that fills the picture in place of the network's blocks.

    Attributes
    ----------
    extent
        ``(n, 3)`` world coordinates that a picture has to hold.
    angles
        Azimuth and elevation of the camera, in degrees.
    """

    extent: NDArray[np.float64]
    angles: tuple[float, float]

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to hold, ``(n, 3)``; none if the layer is not shown."""
        ...


@runtime_checkable
class Beside(Protocol):
    """A view that draws beside the network, above or below it: the network is laid out so that both fill the picture.

    It counts as above if all of `extent_beside` is above the highest block, and as below likewise. Several layouts are
    tried, each with a view of its own, so the view reads its numbers through the context's `Memo`.

    Attributes
    ----------
    extent_beside
        ``(n, 3)`` world coordinates that a picture of everything has to hold besides the network; may be empty.
    """

    extent_beside: NDArray[np.float64]


@runtime_checkable
class Labelling(Protocol):
    """A view with labels of constant size on the screen beside the network.

    Attributes
    ----------
    label_extent
        ``(n, 3)`` world coordinates that these labels take at the overview's distance; may be empty.
    """

    label_extent: NDArray[np.float64]


@runtime_checkable
class MarksLayers(Protocol):
    """A view that marks layers. They are shown as blocks, or in another way by the view that takes the picture.

    Attributes
    ----------
    points_of
        Returns the points ``(n, 3)`` of a layer, none if it is not shown; `None` if blocks are shown.
    """

    points_of: Callable[[str], NDArray[np.float64]] | None


@dataclass(frozen=True, eq=False)
class ColoredCells:
    """The numbers in a layer's cells, and their colours.

    Attributes
    ----------
    layer
        The numbers of the shown quantity.
    limits
        The numbers that get the first and the last colour.
    quantity
        The quantity that the numbers are.
    """

    layer: LayerValues
    limits: tuple[float, float]
    colormap: Colormap
    quantity: Quantity = "activation"


@runtime_checkable
class FillsBlocks(Protocol):
    """A view that draws the numbers of the blocks."""

    def cells_of(self, layer: str, selection: Selection) -> ColoredCells | None:
        """Return the cells of a layer; `None` if this view does not draw the layer, or it has no such numbers."""
        ...


@runtime_checkable
class RepeatsCells(Protocol):
    """A view that shows the numbers of a block once more, in the same colours.

    Attributes
    ----------
    blocks
        The view that draws the blocks; `None` if none does.
    """

    blocks: FillsBlocks | None


@runtime_checkable
class Foreground(Protocol):
    """A view in front of all others, which recede while it is shown."""

    def unfolded(self, t: float, selection: Selection) -> tuple[str | None, float]:
        """Return the layer that is shown at `t` seconds, and how far the view has come to the front, from 0 to 1."""
        ...

    def recede(self, found: Iterable[Primitive], t: float, selection: Selection) -> list[Primitive]:
        """Return the primitives of the other views at `t` seconds, dimmed or left out."""
        ...
