"""The timeline of a scene: the forward pass, the backward pass and the training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nnviz3d.data.training import Training
from nnviz3d.scene.view_spec import Phase, ViewSpec

_TURN = 0.6
"""Seconds in which the picture of the forward pass is dimmed before the backward pass."""
_GAP = 1.0
"""Seconds between the two passes, unless a scene says otherwise."""
_AFTERGLOW = 0.9
"""Seconds after which the light of a layer has fallen to a third, counted from the passing of the gradient."""

_LEAST = 0.5
"""Minimum number of seconds that the gradient takes from layer to layer."""

_SAME = 1e-6
"""Tolerance for equal times, in seconds."""


@dataclass(frozen=True)
class Timeline:
    """The start and duration of each phase of a scene, in seconds; make one with `Timeline.of`.

    Attributes
    ----------
    ranks
        Number of ranks, that is, positions along the flow.
    forward
        Start and duration of the forward pass.
    backward
        The same for the backward pass, if the scene shows one.
    training
        The same for a recorded training.
    """

    ranks: int
    forward: tuple[float, float]
    backward: tuple[float, float] | None = None
    training: tuple[float, float] | None = None

    @staticmethod
    def of(views: Iterable[ViewSpec], ranks: int) -> Timeline:
        """Arrange the phases of the views of a scene one after the other."""
        phases: dict[str, Phase] = {}
        for view in views:
            if view.phase is not None:
                phases.setdefault(view.phase.kind, view.phase)
        first = phases.get("forward", Phase("forward", 0.0, 0.0))
        forward = (first.start or 0.0, first.duration)
        back = phases.get("backward")
        passes = Timeline(ranks, forward)
        if back is not None:
            start = sum(forward) + _GAP if back.start is None else back.start
            passes = Timeline(ranks, forward, (start, back.duration))
        training = phases.get("training")
        if training is None:
            return passes
        after = passes.duration + _GAP if passes.duration > 0 else 0.0
        return replace(passes, training=(after if training.start is None else training.start, training.duration))

    @property
    def duration(self) -> float:
        """Seconds after which nothing changes."""
        return self.passed if self.training is None else max(self.passed, sum(self.training))

    @property
    def passed(self) -> float:
        """Seconds until the forward and the backward pass have ended."""
        if self.backward is None:
            return sum(self.forward)
        # All light has faded by then, so that a still picture has the colours of its scale.
        return sum(self.backward) + 4 * _AFTERGLOW

    @property
    def stops(self) -> tuple[float, ...]:
        """The times between layers in both passes, and the start and end of each phase, ascending."""
        passes = [self.forward] if self.backward is None else [self.forward, self.backward]
        moving = [one for one in passes if one[1] > 0]
        found = [start + duration * k / self.ranks for start, duration in moving for k in range(self.ranks + 1)]
        return tuple(sorted(found if self.training is None else [*found, self.training[0], sum(self.training)]))

    def stop(self, t: float, by: int) -> float | None:
        """Return the last stop before `t` (`by` -1) or the next one after it (1); `None` if nothing moves."""
        if not self.stops:
            return None
        if by > 0:
            return next((stop for stop in self.stops if stop > t + _SAME), self.stops[-1])
        return next((stop for stop in reversed(self.stops) if stop < t - _SAME), self.stops[0])

    def phase(self, t: float) -> str:
        """Describe the phase at `t` seconds and its progress; empty if nothing moves."""
        if self.training is not None and t >= self.training[0] - _SAME:
            return f"training: {self.trained(t):.0%}"
        for name, part in (("backward", self.backward), ("forward", self.forward)):
            if part is not None and part[1] > 0 and (name == "forward" or t >= part[0] - _SAME):
                done = int(_clip((t - part[0]) / part[1] + _SAME) * self.ranks)
                return f"{name}: {done} of {self.ranks} stages"
        return ""

    def trained(self, t: float) -> float:
        """Return the share of the training at `t` seconds, from 0 to 1."""
        if self.training is None:
            return 1.0
        start, duration = self.training
        return _clip((t - start) / duration) if duration > 0 else float(t >= start)

    def recorded_index(self, training: Training, t: float, step: int | None) -> int | None:
        """Return the recorded index that is shown, 0 to S - 1; `None` while nothing is recorded.

        Parameters
        ----------
        step
            The selected training step; by default the clock's.
        """
        if not len(training):
            return None
        if step is not None:
            return training.recorded_index(step)
        return min(int(self.trained(t) * len(training)), len(training) - 1)

    def _still_back(self, t: float) -> float:
        """Return the visible share of the backward pass, which fades from 1 to 0 before a training begins."""
        return 1.0 if self.training is None else _clip((self.training[0] - t) / _TURN)

    def revealed(self, rank: float, t: float) -> float:
        """Return the share of a rank that the forward pass has revealed, from 0 to 1."""
        start, duration = self.forward
        if duration <= 0:
            return 1.0
        return _clip((t - start) / duration * self.ranks - rank)

    def ranks_revealed(self, t: float) -> float:
        """Return the number of ranks that the forward pass has revealed, including a fraction of the current one."""
        start, duration = self.forward
        if duration <= 0:
            return float(self.ranks)
        return _clip((t - start) / duration) * self.ranks

    def turned(self, t: float) -> float:
        """Return how far the picture has changed from the forward to the backward pass, from 0 to 1."""
        if self.backward is None:
            return 0.0
        return min(_clip((t - self.backward[0]) / _TURN + 1), self._still_back(t))

    def arrives(self, rank: float) -> float:
        """Return the time at which the gradient reaches a rank; it passes the rank in `seconds_per_rank`."""
        if self.backward is None:
            return float("inf")
        return self.backward[0] + (self.ranks - 1 - rank) * self.seconds_per_rank

    @property
    def seconds_per_rank(self) -> float:
        """Seconds that the gradient takes to pass a rank."""
        return 0.0 if self.backward is None else self.backward[1] / self.ranks

    def returned(self, rank: float, t: float) -> float:
        """Return the share of a rank that the gradient has passed, from 0 to 1, counted from the end of the rank."""
        since = t - self.arrives(rank)
        if self.seconds_per_rank <= 0:
            return min(float(since >= 0), self._still_back(t))
        return min(_clip(since / self.seconds_per_rank), self._still_back(t))

    def between(self, end: float, begin: float, t: float) -> float:
        """Return the share of the way back to an earlier rank that the gradient has finished, from 0 to 1."""
        leaves, comes = self.way(end, begin)
        return min(_clip((t - leaves) / (comes - leaves)), self._still_back(t))

    def way(self, end: float, begin: float) -> tuple[float, float]:
        """Return the time at which the gradient leaves a rank, and the time at which it reaches an earlier one.

        Between neighbouring ranks both times are equal. Nobody could see this, so the way begins a little earlier.
        """
        leaves, comes = self.arrives(end) + self.seconds_per_rank, self.arrives(begin)
        spare = max(_LEAST - (comes - leaves), 0.0) / 2
        return leaves - spare, comes + spare

    def afterglow(self, rank: float, t: float) -> float:
        """Return the brightness of a rank's light from the gradient, from 0 to 1."""
        since = t - self.arrives(rank)
        if self.backward is None or since <= 0 or t >= self.passed:
            return 0.0
        return float(3.0 ** (-max(since - self.seconds_per_rank, 0.0) / _AFTERGLOW)) * self._still_back(t)


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)
