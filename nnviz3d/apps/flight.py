"""Flights of the camera to a layer, a group or the pick; shared by window and page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import CameraPose, Margins, between, fit
from nnviz3d.scene.easing import eased
from nnviz3d.scene.primitives import Callout
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection

SECONDS = 0.6
"""Duration of a flight."""
_AROUND = Margins(left=0.2, right=0.2, top=0.22, bottom=0.22)
"""Free space around a layer after a flight to it, as shares of the picture."""
_NEIGHBOURS = 7.0
"""Length of the neighbourhood of a pick that a flight shows, as a multiple of the length of the pick."""
_LEAST_SHARE = 0.03
"""The same at least, as a share of the length of the whole scene."""


@dataclass(frozen=True)
class Flight:
    """A flight from one pose to another, slower at both ends."""

    start: CameraPose
    end: CameraPose

    def at(self, seconds: float) -> tuple[CameraPose, bool]:
        """Return the pose some seconds after the start, and whether the flight has ended."""
        share = min(max(seconds / SECONDS, 0.0), 1.0)
        if share == 1.0:
            return self.end, True
        return between(self.start, self.end, eased(share)), False


def around_layers(scene: Scene, layers: Sequence[str]) -> NDArray[np.float64]:
    """Return the points that a picture of some layers has to contain, ``(n, 3)`` world coordinates.

    Parameters
    ----------
    layers
        Node ids of layers or closed groups; those that the scene does not show have no points.
    """
    shown = {node.id for node in scene.context.graph}
    return np.concatenate([np.empty((0, 3)), *(scene.around(name) for name in layers if name in shown)])


def around_pick(scene: Scene, t: float, selection: Selection) -> NDArray[np.float64]:
    """Return the points that a picture of the pick has to contain, ``(n, 3)``: it and some of its neighbourhood.

    There are none if the scene shows nothing of the pick at `t` seconds.
    """
    now = scene.as_of(t, selection)
    marks = () if selection.pick is None else now.mark(selection.pick, t, selection)
    span = next((one.marks[0] for one in marks if isinstance(one, Callout) and one.marks), None)
    if span is None:
        return np.empty((0, 3))
    whole = np.ptp(scene.extent(), axis=0).max()
    center = np.add(span.origin, np.divide(span.size, 2))
    room = max(_NEIGHBOURS * max(span.size), _LEAST_SHARE * whole) / 2
    return np.asarray(center + room * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]))


def pose_before(points: NDArray[np.float64], pose: CameraPose, aspect: float) -> CameraPose | None:
    """Return the pose at which points fill a picture, seen from the same direction as in another pose.

    Parameters
    ----------
    points
        ``(n, 3)`` world coordinates.
    pose
        The pose of the same direction.
    aspect
        Width over height of the picture.

    Returns
    -------
    The pose; `None` if there are no points.
    """
    if not len(points):
        return None
    arm = [p - t for p, t in zip(pose.position, pose.target, strict=True)]
    azimuth = math.degrees(math.atan2(arm[0], arm[2]))
    elevation = math.degrees(math.asin(min(max(arm[1] / math.hypot(*arm), -1.0), 1.0)))
    return fit(points, azimuth, elevation, aspect=aspect, margins=_AROUND)
