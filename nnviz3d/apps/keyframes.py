"""The camera's keyframes that a user adds while the scene is shown."""

from __future__ import annotations

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import PoseSpec
from nnviz3d.scene.spec import MOST_KEYFRAMES, Keyframe
from nnviz3d.scene.view_spec import LONGEST

_STEP = 3.0
"""Seconds from a keyframe to the next one if both are added at the same time of the scene."""
_SAME = 0.05
"""Seconds; keyframes that differ by less are at the same time."""


class Keyframes:
    """Adds and removes keyframes of a frame's scene; a film flies from one to the next.

    Parameters
    ----------
    frame
        The frame whose scene gets other keyframes.
    """

    def __init__(self, frame: FrameState) -> None:
        self._frame = frame

    @property
    def all(self) -> tuple[Keyframe, ...]:
        """All keyframes in order of time, those of the scene file too."""
        return self._frame.scene.spec.camera.keyframes

    def add(self, pose: CameraPose, aspect: float) -> str:
        """Add a pose at the current time; returns a sentence about it.

        At the time of the last keyframe the new one follows some seconds later, and the scene's time goes on to it. At
        the time of an earlier one it takes its place.

        Parameters
        ----------
        aspect
            Width over height of the picture that the pose shows.

        Raises
        ------
        UserError
            If there are too many keyframes, or the scene is too long.
        """
        frames, t = list(self.all), self._frame.t
        near = next((i for i, frame in enumerate(frames) if abs(frame.at - t) < _SAME), None)
        if near is not None and near == len(frames) - 1:
            t, near = frames[-1].at + _STEP, None
        if t > LONGEST or (near is None and len(frames) == MOST_KEYFRAMES):
            raise UserError(
                f"The camera takes at most {MOST_KEYFRAMES} keyframes in {LONGEST:,.0f} seconds; remove some of them."
            )
        added = Keyframe(at=frames[near].at if near is not None else t, pose=PoseSpec.of(pose, aspect))
        kept = frames if near is None else [*frames[:near], *frames[near + 1 :]]
        self._set(tuple(sorted([*kept, added], key=lambda frame: frame.at)))
        self._frame.t = added.at
        return self._words("added" if near is None else "replaced")

    def remove(self, number: int = -1) -> str:
        """Remove a keyframe, by default the last one; returns a sentence about it.

        Raises
        ------
        UserError
            If there is no such keyframe.
        """
        frames = list(self.all)
        if not -len(frames) <= number < len(frames):
            raise UserError("There is no camera keyframe to remove; k adds one.")
        del frames[number]
        self._set(tuple(frames))
        self._frame.t = min(self._frame.t, self._frame.scene.duration)
        return self._words("removed")

    def _set(self, frames: tuple[Keyframe, ...]) -> None:
        self._frame.scene = self._frame.scene.with_keyframes(frames)

    def _words(self, done: str) -> str:
        times = [f"{frame.at:g}" for frame in self.all]
        if not times:
            return f"keyframe {done}: the camera has none"
        listed = ", ".join(times if len(times) <= 6 else [*times[:2], "…", *times[-3:]])
        more = "" if len(times) > 1 else "; a second one makes a flight"
        return f"keyframe {done}; the camera has {len(times)}, at {listed} s{more}"
