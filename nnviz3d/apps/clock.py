"""The clock of a session: the time of the scene, and the recorded step of a training."""

from __future__ import annotations

from dataclasses import replace

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.unfolding import Unfolding


class Clock:
    """Moves the time of a frame.

    A scene that unfolds layers or goes through a training over time does so again when the time is changed, whatever
    the user chose before.

    Parameters
    ----------
    frame
        The frame whose time is moved.
    unfolding
        The user's unfolding of layers.

    Attributes
    ----------
    playing
        Whether `advance` moves the time.
    speed
        Seconds of the scene that pass in one second.
    """

    def __init__(self, frame: FrameState, unfolding: Unfolding) -> None:
        self._frame = frame
        self._unfolding = unfolding
        self.playing = False
        self.speed = 1.0

    @property
    def t(self) -> float:
        """The current time in seconds."""
        return self._frame.t

    @property
    def recorded_index(self) -> int | None:
        """Position of the current training step among the recorded steps, 0 to S - 1; `None` without a training."""
        frame = self._frame
        training, step = frame.scene.context.capture.training, frame.scene.step(frame.t, frame.selection)
        return None if training is None or step is None else training.recorded_index(step)

    def play(self) -> None:
        """Start the clock, from the beginning if it is at the end."""
        self._follow_scene()
        if self.t >= self._frame.scene.duration:
            self._frame.t = 0.0
        self.playing = True

    def pause(self) -> None:
        """Stop the clock."""
        self.playing = False

    def seek(self, t: float) -> None:
        """Go to a time, in seconds."""
        self._follow_scene()
        self._go(t)

    def show_recorded(self, index: int | None) -> None:
        """Show a recorded step of a training, 0 to S - 1; with `None` the step follows the time.

        Selecting the step that belongs to the current time also lets the step follow the time: selecting the newest
        step again resumes following the training.
        """
        frame = self._frame
        training = frame.scene.context.capture.training
        if training is not None:
            step = None if index is None else int(training.steps[index])
            timed = frame.scene.step(frame.t, replace(frame.selection, step=None))
            frame.select(step=None if step == timed else step)

    def advance(self, seconds: float) -> bool:
        """Move the time on by some real seconds if the clock runs; returns whether it does. It stops at the end."""
        if not self.playing:
            return False
        self._go(self.t + seconds * self.speed)
        if self.t >= self._frame.scene.duration:
            self.playing = False
        return True

    def _go(self, t: float) -> None:
        self._frame.t = min(max(t, 0.0), self._frame.scene.duration)

    def _follow_scene(self) -> None:
        """Drop the user's training step and unfolded layer if the scene changes them over time."""
        if self._frame.scene.timeline.training is not None:
            self._frame.select(step=None)
        self._unfolding.give_way()
