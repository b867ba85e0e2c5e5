"""Requests of the user to the training that is followed: wait, make one step, go on."""

from __future__ import annotations

from typing import Literal

from nnviz3d.apps.training_follower import TrainingFollower
from nnviz3d.data.training_control import ControlFile, ControlRequest
from nnviz3d.errors import UserError

State = Literal["none", "running", "pausing", "paused"]


class TrainingControl:
    """Asks the recorder of a followed training, if it was made with ``control=True``.

    Parameters
    ----------
    follower
        Follows the training; `None` if none is followed.
    """

    def __init__(self, follower: TrainingFollower | None) -> None:
        self._follower = follower
        self._request = ControlRequest(pause=False)

    @property
    def state(self) -> State:
        """State of the training: ``none`` if it cannot be asked; ``pausing`` if it was asked and has not stopped yet."""
        training = None if self._follower is None else self._follower.training
        if training is None or not training.control or training.finished:
            return "none"
        if training.paused:
            return "paused"
        return "pausing" if self._request.pause else "running"

    def pause(self) -> None:
        """Ask the training to wait after its next step."""
        self._ask(ControlRequest(pause=True, steps=self._request.steps))

    def step(self) -> None:
        """Ask a waiting training to make one step."""
        self._ask(ControlRequest(pause=True, steps=self._request.steps + 1))

    def go_on(self) -> None:
        """Let the training go on."""
        self._ask(ControlRequest(pause=False))

    def renew(self) -> None:
        """Keep the request good; without this the training goes on."""
        if self._follower is not None and self._request.pause:
            ControlFile(self._follower.path).renew()

    def _ask(self, request: ControlRequest) -> None:
        if self._follower is None or self.state == "none":
            raise UserError("No training can be asked to wait; record one with TrainingRecorder(..., control=True).")
        try:
            ControlFile(self._follower.path).ask(request)
        except OSError as error:
            raise UserError(f"{self._follower.path.name} cannot be written: {error.strerror}.") from error
        self._request = request
        self._follower.expect_news()
