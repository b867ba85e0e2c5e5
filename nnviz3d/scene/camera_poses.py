"""Poses of a scene's camera: what should be seen fills the picture, clear of the text around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.selectors import matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import MARGINS, CameraPose, Margins, between, direction, fit
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.easing import eased
from nnviz3d.scene.heading import Heading
from nnviz3d.scene.primitives import Panel
from nnviz3d.scene.spec import Camera, Keyframe
from nnviz3d.scene.view import OwnPlace
from nnviz3d.scene.views.titles import margins_below
from nnviz3d.scene.views.upright import margins_between

_BELOW_CURVE = replace(MARGINS, top=0.2)
"""Margins of a picture with the curve of a training in its corner."""
_UPRIGHT_MARGINS, _UPRIGHT = replace(MARGINS, top=0.19), 0.7
"""Margins of an upright picture, whose panels are one above the other, and the greatest width over height of one."""
_CURVE_BELOW_TITLE = 0.08
"""Share of an upright picture's height that the curve of a training takes below the title."""


@dataclass(frozen=True, eq=False)
class CameraPoses:
    """The poses of one scene's camera.

    Attributes
    ----------
    camera
        The settings of the scene file.
    own
        The view that fills the picture in place of the network's blocks, if there is one.
    beside
        Points, ``(n, 3)`` each, that a picture of everything has to contain besides the blocks.
    curve
        Whether the curve of a training is in a corner.
    panels
        Finds the panels at the end of the scene.
    margins
        The margins that were found, by aspect.
    """

    camera: Camera
    context: SceneContext
    own: OwnPlace | None
    beside: Sequence[NDArray[np.float64]]
    heading: Heading
    curve: bool
    panels: Callable[[], tuple[Panel, ...]]
    margins: dict[float, Margins]

    def check(self) -> None:
        """Refuse keyframes whose target the scene does not show."""
        for number, frame in enumerate(self.camera.keyframes):
            self.points(frame.target, f"camera.keyframes[{number}].target")

    def at(self, t: float, aspect: float) -> CameraPose:
        """Return the pose at `t` seconds by the keyframes; without keyframes everything fits into the picture.

        Between keyframes the eye's direction, its distance and its target move together, eased at both ends.
        """
        frames = self.camera.keyframes
        if not frames:
            return self.overview(aspect)
        later = next((i for i, frame in enumerate(frames) if frame.at > t), len(frames))
        if later in (0, len(frames)):
            return self.of(frames[min(later, len(frames) - 1)], aspect)
        before, after = frames[later - 1], frames[later]
        share = (t - before.at) / (after.at - before.at)
        return between(self.of(before, aspect), self.of(after, aspect), eased(share))

    def overview(self, aspect: float) -> CameraPose:
        """Return the pose that fits everything into a picture; keyframes are ignored."""
        azimuth, elevation = self.context.plan.angles if self.own is None else self.own.angles
        camera = self.camera
        still = Keyframe(
            azimuth=azimuth if camera.azimuth is None else camera.azimuth,
            elevation=elevation if camera.elevation is None else camera.elevation,
        )
        return self.of(still, aspect)

    def of(self, frame: Keyframe, aspect: float) -> CameraPose:
        """Return the pose of a keyframe in a picture with an aspect."""
        if frame.pose is not None:
            return frame.pose.pose(aspect)
        points = self.points(frame.target, "camera")
        if frame.distance is None:
            margins = self._margins_of(aspect)
            return fit(points, frame.azimuth, frame.elevation, aspect=aspect, margins=margins)
        low, high = points.min(axis=0), points.max(axis=0)
        center = (low + high) / 2
        eye = center + direction(frame.azimuth, frame.elevation) * float(np.linalg.norm(high - low)) * frame.distance
        return CameraPose(tuple(map(float, eye)), tuple(map(float, center)))  # type: ignore[arg-type]

    def _margins_of(self, aspect: float) -> Margins:
        """Return the margins of a picture, with room for the title of the first sample."""
        if aspect not in self.margins:
            margins = _BELOW_CURVE if self.curve else MARGINS
            if aspect < _UPRIGHT:
                curve = _CURVE_BELOW_TITLE if self.curve else 0.0
                margins = replace(_UPRIGHT_MARGINS, top=_UPRIGHT_MARGINS.top + curve)
            margins = margins_below(self.heading.rows(), aspect, margins)
            margins = margins_between(self.panels(), margins) if aspect < _UPRIGHT else margins
            self.margins[aspect] = margins
        return self.margins[aspect]

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to contain, ``(n, 3)``; none if it is not shown."""
        return self.context.plan.corners([layer]) if self.own is None else self.own.around(layer)

    def points(self, target: str, where: str) -> NDArray[np.float64]:
        """Return the points that a picture of a target has to contain, ``(n, 3)`` world coordinates.

        Parameters
        ----------
        target
            As in `Keyframe`.
        where
            The place in the scene file that an error names.
        """
        plan = self.context.plan
        if target == "all" and self.own is not None:
            return self.own.extent
        if target == "all":
            return np.concatenate([plan.corners(), *self.beside])
        node = target.removeprefix("layer:")
        if node != target:
            node = next(iter(matching(node, self.context.graph)), node)
        if node == target or node not in plan.placements:
            names = ", ".join(plan.placements)
            raise SceneError(f"{where}: expected 'all' or 'layer:NODE', got {target!r}; nodes are {names}.")
        points = self.around(node)
        if not len(points):
            raise SceneError(f"{where}: {node!r} is not visible in this scene; use 'all' instead of {target!r}.")
        return points
