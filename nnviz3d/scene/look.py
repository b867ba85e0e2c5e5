"""The look of a scene that a user has saved: the tables ``[look]`` and ``[camera.pose]`` of a scene file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity, canonical
from nnviz3d.data.records import Ranking
from nnviz3d.data.request import Insights
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import FIELD_OF_VIEW, CameraPose
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL, Normalize
from nnviz3d.scene.points_look import LONGEST_NAME as LONGEST_NAME
from nnviz3d.scene.points_look import PointsSpec
from nnviz3d.scene.primitives import Vector
from nnviz3d.scene.selection import (
    CellPick,
    ChannelOrder,
    ChannelPictures,
    HistogramOf,
    LayerPick,
    Pick,
    Selection,
)
from nnviz3d.scene.view_spec import Figure, Seconds, Share, Strict, one_of

_FARTHEST = 1e9
"""Largest world coordinate of a pose."""
_NEAREST = 1e-9
"""Least distance between a pose's eye and its target, and least angle in radians between its direction and upwards."""
MOST_OPENED = 2000
"""Most groups in a look."""
MOST_INTERVENTIONS = 200
"""Most interventions in a look."""

Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Count = Annotated[int, Field(ge=0, lt=10**15)]
Colormap = Annotated[str, one_of(SEQUENTIAL + DIVERGING, "colour map")]


def _unlike_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _known_interventions(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Check the words of interventions."""
    for text in texts:
        try:
            Intervention.of_text(text)
        except UserError as error:
            raise ValueError(str(error).removesuffix(".")) from None
    return texts


InterventionTexts = Annotated[
    tuple[Name, ...], Field(max_length=MOST_INTERVENTIONS), AfterValidator(_known_interventions)
]


class PoseSpec(Strict):
    """A pose of the camera in world coordinates.

    Attributes
    ----------
    position, target, up, field_of_view
        As in `CameraPose`.
    aspect
        Width over height of the picture for which the pose was chosen. In a narrower picture the eye is farther away, so
        that everything stays in the picture; by default it never moves.
    """

    position: tuple[Coordinate, Coordinate, Coordinate]
    target: tuple[Coordinate, Coordinate, Coordinate]
    up: tuple[Coordinate, Coordinate, Coordinate] = (0.0, 1.0, 0.0)
    field_of_view: Annotated[float, Field(ge=1, le=150)] = FIELD_OF_VIEW
    aspect: Annotated[float, Field(ge=1e-3, le=1e3)] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        arm, up = np.subtract(self.position, self.target), np.array(self.up)
        distance, length = float(np.linalg.norm(arm)), float(np.linalg.norm(up))
        if distance < _NEAREST:
            raise ValueError("position and target are the same point")
        if length < _NEAREST or float(np.linalg.norm(np.cross(arm / distance, up / length))) < _NEAREST:
            raise ValueError("up is no direction across the one in which the camera looks")
        return self

    @staticmethod
    def of(pose: CameraPose, aspect: float | None = None) -> PoseSpec:
        """Describe a pose of a picture with this aspect."""
        return PoseSpec(
            position=pose.position, target=pose.target, up=pose.up, field_of_view=pose.field_of_view, aspect=aspect
        )

    def pose(self, aspect: float) -> CameraPose:
        """Return the pose for a picture with this aspect."""
        length = math.hypot(*self.up)
        # A unit vector stays as it is, bit for bit.
        up: Vector = self.up if abs(length - 1) < 1e-6 else tuple(v / length for v in self.up)  # type: ignore[assignment]
        farther = 1.0 if self.aspect is None else max(1.0, self.aspect / aspect)
        position = self.position
        if farther > 1 + 1e-6:
            x, y, z = (t + (p - t) * farther for p, t in zip(self.position, self.target, strict=True))
            position = (x, y, z)
        return CameraPose(position, self.target, up, self.field_of_view)


class PickSpec(Strict):
    """A pick that a look keeps: a number of a layer, or the whole layer if there is no index."""

    layer: Name
    index: Annotated[tuple[Count, ...], Field(max_length=32)] | None = None

    @staticmethod
    def of(pick: Pick | None) -> PickSpec | None:
        """Describe a pick; `None` if it is neither a number nor a layer."""
        match pick:
            case CellPick():
                return PickSpec(layer=pick.layer, index=pick.index)
            case LayerPick():
                return PickSpec(layer=pick.layer)
        return None

    def pick(self) -> Pick:
        """Return the pick."""
        return LayerPick(self.layer) if self.index is None else CellPick(self.layer, self.index)


class LookSpec(Strict):
    """The choices of a user in a scene; the rest of the scene file gives those that are left out.

    Attributes
    ----------
    time
        Seconds; by default the end of the scene.
    target
        The explained target in the words of the option ``--class``.
    opened
        The groups of layers that are open; by default as `groups` of the scene says.
    pick
        The picked number or layer.
    points
        The samples of an embedding that are searched for.
    interventions
        What is changed in a second run of the model, each as ``mute conv2d[3]``, ``scale conv2d[3] by 0.5`` or
        ``freeze conv2d``; by default what the capture holds. The quantity ``change`` shows its effect.

    All other attributes are those of `Selection`.
    """

    time: Seconds | None = None
    layer: Name | None = None
    threshold: Share | None = None
    colormap: Colormap | None = None
    normalize: Normalize | None = None
    ranking: Ranking | None = None
    quantity: Annotated[Quantity, BeforeValidator(canonical)] | None = None
    against: Count | None = None
    target: Name | None = None
    method: Name | None = None
    map_opacity: Share | None = None
    unfold: Name | None = None
    unfolded: Share | None = None
    channel_order: ChannelOrder | None = None
    channel_pictures: ChannelPictures | None = None
    embedding: Name | None = None
    colored_by: Name | None = None
    points: PointsSpec | None = None
    step: Count | None = None
    statistic: Figure | None = None
    histogram: HistogramOf | None = None
    pick: PickSpec | None = None
    opened: Annotated[tuple[Name, ...], Field(max_length=MOST_OPENED), AfterValidator(_unlike_names)] | None = None
    interventions: InterventionTexts | None = None

    @staticmethod
    def of(selection: Selection, *, time: float | None = None, opened: frozenset[str] | None = None) -> LookSpec:
        """Describe a selection at a time, with these groups of layers open."""
        plain = {name: getattr(selection, name) for name in _PLAIN}
        return LookSpec(
            **plain,
            unfolded=None if selection.unfolded == 1 else selection.unfolded,
            time=time,
            target=None if selection.target is None else selection.target.text,
            pick=PickSpec.of(selection.pick),
            points=PointsSpec.of(selection.points),
            opened=None if opened is None else tuple(opened),
        )

    def changed(self, choices: Mapping[str, Any]) -> LookSpec:
        """Return the look with other choices, such as those of the command line, which win; they are not checked."""
        dropped = {"against": None} if choices.get("quantity", "difference") != "difference" else {}
        return self.model_copy(update={**dropped, **choices})

    def plain(self, selection: Selection) -> Selection:
        """Return a selection with everything of this look that needs no capture to be read: all but its target."""
        found = {name: getattr(self, name) for name in _PLAIN if getattr(self, name) is not None}
        return replace(
            selection,
            **found,
            unfolded=selection.unfolded if self.unfolded is None else self.unfolded,
            pick=selection.pick if self.pick is None else self.pick.pick(),
            points=selection.points if self.points is None else self.points.filter(),
        )

    def elsewhere(self) -> LookSpec:
        """Return the look for another model or capture: without the names and numbers that belong to its own."""
        colored_by = self.colored_by if self.colored_by in _ANY_COLORS else None
        return LookSpec(**{name: getattr(self, name) for name in _ANYWHERE}, colored_by=colored_by)

    @property
    def needs(self) -> Insights:
        """The request for everything that the look shows beyond one forward pass."""
        needs = Insights(
            targets=() if self.target is None else (self.target,),
            gradients=self.quantity in OF_GRADIENTS,
            attributions=() if self.method is None else (self.method,),
        )
        if not self.interventions:  # an empty list would take the place of another request's
            return needs
        return needs.plus(Insights(interventions=tuple(map(Intervention.of_text, self.interventions))))


_OTHERWISE = ("sample", "target", "unfolded", "pick", "points")
"""The fields of `Selection` that a look leaves out or holds in another form."""
_PLAIN = tuple(field.name for field in fields(Selection) if field.name not in _OTHERWISE)
"""The fields of `Selection` that a look holds as they are."""
_ANYWHERE = ("threshold", "colormap", "normalize", "ranking", "map_opacity", "channel_order", "channel_pictures")
"""The fields of a look that mean the same for every model."""
_ANY_COLORS = ("label", "prediction", "score")
"""The colourings of points that mean the same for every model."""
NO_LOOK = LookSpec()
