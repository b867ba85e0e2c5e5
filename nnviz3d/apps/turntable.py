"""Camera motion by mouse and touch: the scene turns as on a turntable, so the horizon stays level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import Vector

_STEEPEST = 86.0
"""Largest elevation in degrees; at 90 the view would flip."""
_HALF_TURN = 180.0
"""Degrees of a drag across the shorter side of the picture."""
_NOTCH = 1.12
"""Zoom factor of one notch of the wheel."""
_SLIP = 4.0
"""Pixels that the pointer may move during a click; a shorter drag does not turn the scene."""
_BUTTONS = {"LeftButtonPress": "left", "MiddleButtonPress": "middle", "RightButtonPress": "right"}


def orbit(pose: CameraPose, azimuth: float, elevation: float) -> CameraPose:
    """Return a pose turned around its target by degrees."""
    arm = np.subtract(pose.position, pose.target)
    distance = float(np.linalg.norm(arm))
    up = math.degrees(math.asin(max(-1.0, min(1.0, arm[1] / distance)))) + elevation
    around = math.atan2(arm[0], arm[2]) + math.radians(azimuth)
    up = math.radians(max(-_STEEPEST, min(_STEEPEST, up)))
    turned = np.array([math.sin(around) * math.cos(up), math.sin(up), math.cos(around) * math.cos(up)])
    return replace(pose, position=_vector(np.array(pose.target) + turned * distance), up=(0.0, 1.0, 0.0))


def pan(pose: CameraPose, right: float, up: float) -> CameraPose:
    """Return a shifted pose, by shares of the picture's height; points at the target's depth follow the pointer."""
    arm = np.subtract(pose.position, pose.target)
    distance = float(np.linalg.norm(arm))
    sideways = np.cross(pose.up, arm)
    sideways /= np.linalg.norm(sideways)
    upwards = np.cross(arm, sideways) / distance
    height = 2 * distance * math.tan(math.radians(pose.field_of_view / 2))
    shift = -(sideways * right + upwards * up) * height
    return replace(
        pose, position=_vector(np.array(pose.position) + shift), target=_vector(np.array(pose.target) + shift)
    )


def zoom(pose: CameraPose, factor: float, at: tuple[float, float] = (0.0, 0.0)) -> CameraPose:
    """Return a pose nearer to its target: at a factor of 2, half the distance.

    Parameters
    ----------
    at
        Point of the picture that stays fixed at the target's depth: distance to the right of and above the middle, as
        shares of the picture's height.
    """
    arm = np.subtract(pose.position, pose.target)
    nearer = replace(pose, position=_vector(np.array(pose.target) + arm / factor))
    return pan(nearer, at[0] * (1 - factor), at[1] * (1 - factor))


class Turntable:
    """Turns events of mouse and touch screen into camera poses.

    Attributes
    ----------
    click
        Where the last event ended a click of the left button, in pixels of the page; `None` if it did not end one.
    """

    def __init__(self) -> None:
        self._button: str | None = None
        self._last = (0.0, 0.0)
        self._slipped = False
        self._gesture: tuple[float, float, float] = (1.0, 0.0, 0.0)
        self.click: tuple[float, float] | None = None

    @property
    def held(self) -> bool:
        """Whether a button or finger is down."""
        return self._button is not None

    def follow(self, event: Mapping[str, Any], pose: CameraPose, size: tuple[int, int]) -> CameraPose | None:
        """Return the camera's pose after an event; `None` if it does not move.

        Parameters
        ----------
        event
            An event of vtk.js; x and y in pixels of the page, y upwards.
        size
            Width and height of the picture on the page, in the same pixels.
        """
        kind = event["type"]
        self.click = None
        if kind in _BUTTONS:
            self._button = "middle" if event.get("shiftKey") else _BUTTONS[kind]
            self._last, self._slipped = (float(event["x"]), float(event["y"])), False
        elif kind.endswith("ButtonRelease"):
            if self._button == "left" and not self._slipped:
                self.click = self._last
            self._button = None
        elif kind == "MouseMove" and self._button is not None:
            return self._drag(float(event["x"]), float(event["y"]), pose, size)
        elif kind == "MouseWheel":
            factor = _NOTCH ** -max(-5.0, min(5.0, float(event.get("spinY", 0))))
            return zoom(pose, factor, _from_middle(event, size))
        elif kind in ("StartPinch", "StartPan"):
            self._button, self._gesture = "fingers", (1.0, 0.0, 0.0)
        elif kind in ("EndPinch", "EndPan"):
            self._button = None
        elif kind in ("Pinch", "Pan"):
            return self._fingers(event, pose, size)
        return None

    def _drag(self, x: float, y: float, pose: CameraPose, size: tuple[int, int]) -> CameraPose | None:
        right, up = x - self._last[0], y - self._last[1]
        if not self._slipped and math.hypot(right, up) < _SLIP:
            return None
        self._last, self._slipped = (x, y), True
        if not (right or up):
            return None
        if self._button == "left":
            degrees = _HALF_TURN / min(size)
            return orbit(pose, -right * degrees, -up * degrees)
        return pan(pose, right / size[1], up / size[1])

    def _fingers(self, event: Mapping[str, Any], pose: CameraPose, size: tuple[int, int]) -> CameraPose:
        # Both are relative to the start of the gesture, not to the last event.
        factor = max(float(event.get("factor", 1.0)), 1e-3)
        right, up = (float(v) for v in event.get("translation", (0.0, 0.0)))
        before, self._gesture = self._gesture, (factor, right, up)
        return pan(zoom(pose, factor / before[0]), (right - before[1]) / size[1], (up - before[2]) / size[1])


def _from_middle(event: Mapping[str, Any], size: tuple[int, int]) -> tuple[float, float]:
    """Return an event's position relative to the middle of the picture, as shares of its height."""
    if "x" not in event:
        return 0.0, 0.0
    return (float(event["x"]) - size[0] / 2) / size[1], (float(event["y"]) - size[1] / 2) / size[1]


def _vector(v: np.ndarray[Any, np.dtype[np.float64]]) -> Vector:
    return float(v[0]), float(v[1]), float(v[2])
