"""The tour of a story: stops with captions from the input to the decision, for a film or for a walk that the user leads."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from nnviz3d.scene.camera import MARGINS, CameraPose, Margins, between, fit
from nnviz3d.scene.panel_rows import TextRow, text_height
from nnviz3d.scene.primitives import Panel, vector
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.tours.motion import ease, haste
from nnviz3d.scene.tours.track import Floats, Framing, Tour, Track

_SHORTEST = 1.2
"""Minimum seconds of a flight from stop to stop; a long way takes longer, within the speed limits of `motion`."""
_DEEPEST = 6.0
"""Maximum factor by which the camera is nearer than for the whole network."""
_LOOSE = 1.1
"""Factor by which the visible region is larger than the layers of a stop."""
_SWAY = (-8.0, 4.0)
"""Degrees that are added to the azimuth at the input and at the end of the network; negative is the input's side."""
_LIT = 0.9
"""Seconds after the arrival until the layers of a stop are lit."""
_LIFTS, _CALM = (0.0, 0.3, 0.6, 0.9, 1.2, 1.6), 0.15
"""Lifts of a flight that are compared, and the share by which a flight with lift 1 must be shorter than one without."""
_SAMPLES = 64
"""Samples of a flight that are compared with the speed limits."""
_WIDE, _EDGES = 740.0, 40.0
"""Width of a caption's text, and height of its edges and of the gap below it, in pixels of a picture 720 high."""
_MOST_BELOW = 0.5
"""Maximum share of a picture's height that is kept free below the layers of a stop."""


@dataclass(frozen=True)
class _Flight:
    """A flight between two poses; on a long way the camera first moves away from the network, then back to it.

    Attributes
    ----------
    lift
        Logarithm of the factor by which the camera is farther away in the middle of the flight.
    seconds
        Its duration within the speed limits.
    """

    start: CameraPose
    end: CameraPose
    lift: float
    seconds: float

    @staticmethod
    def of(start: CameraPose, end: CameraPose) -> _Flight:
        """Choose the lift with which the flight is shortest."""
        flights = (_Flight(start, end, lift, 0.0) for lift in _LIFTS)
        timed = [replace(flight, seconds=max(_SHORTEST, flight._least())) for flight in flights]
        # A lower flight that takes hardly longer is calmer.
        return min(timed, key=lambda flight: flight.seconds * (1 + _CALM * flight.lift))

    def at(self, share: float) -> CameraPose:
        """Return the pose after a share of the way, from 0 to 1."""
        pose = between(self.start, self.end, share)
        if not self.lift:
            return pose
        arm = np.subtract(pose.position, pose.target) * math.exp(self.lift * math.sin(math.pi * share) ** 2)
        return replace(pose, position=vector(np.array(pose.target) + arm))

    def _least(self) -> float:
        """Return the least seconds within the speed limits."""
        shares = ease(np.linspace(0, 1, _SAMPLES + 1), 0.0, 1.0)
        framings = [Framing.of(self.at(float(share))) for share in shares]

        def values(name: str) -> Floats:
            return np.array([getattr(framing, name) for framing in framings])

        azimuth = np.degrees(np.unwrap(np.radians(values("azimuth"))))
        track = Track(np.zeros(len(framings)), values("target"), values("distance"), azimuth, values("elevation"))
        excess = float(haste(track, 1 / _SAMPLES).max())
        return excess if math.isfinite(excess) else 0.0


@dataclass(frozen=True, eq=False)
class Walk:
    """The stops of a story in one scene, for pictures of one shape.

    Attributes
    ----------
    stops
        As `story_of` returns them.
    poses
        The camera at each stop.
    times
        Time of the scene in seconds at each stop.
    selections
        The selection at each stop.
    longest
        Maximum seconds of a flight; a longer one is faster than the speed limits allow.
    """

    stops: tuple[StoryStop, ...]
    poses: tuple[CameraPose, ...]
    times: tuple[float, ...]
    selections: tuple[Selection, ...]
    longest: float = math.inf
    _flights: dict[tuple[int, int], _Flight] = field(default_factory=dict)

    @staticmethod
    def of(
        scene: Scene, aspect: float, selection: Selection, stops: Sequence[StoryStop], *, captioned: bool = True
    ) -> Walk:
        """Plan the walk for a picture with an aspect, width over height.

        Parameters
        ----------
        captioned
            Whether the captions stand in the picture, so that the layers of each stop leave room for them.
        """
        return Walk(
            tuple(stops),
            tuple(_pose(scene, stop, aspect, _margins(stop, aspect) if captioned else MARGINS) for stop in stops),
            tuple(_time(scene, stop, last=stop is stops[-1]) for stop in stops),
            tuple(_selected(scene, stop, selection) for stop in stops),
        )

    def flight(self, origin: int, index: int) -> float:
        """Return the seconds of the flight between two stops; 0 if they are one."""
        return 0.0 if origin == index else min(self._flight(origin, index).seconds, self.longest)

    def _flight(self, origin: int, index: int) -> _Flight:
        if (origin, index) not in self._flights:
            self._flights[origin, index] = _Flight.of(self.poses[origin], self.poses[index])
        return self._flights[origin, index]

    def settled(self, origin: int, index: int) -> float:
        """Return the seconds after which nothing moves at a stop, counted from the start of the flight to it."""
        return self.flight(origin, index) + _LIT

    def lasts(self, origin: int, index: int) -> float:
        """Return the seconds of a stop, with the flight to it."""
        return self.flight(origin, index) + self.stops[index].seconds

    def at(self, origin: int, index: int, since: float, flight: float | None = None) -> tuple[float, CameraPose]:
        """Return the scene's time and the camera's pose.

        Parameters
        ----------
        origin, index
            The stop from which the camera comes, and the one to which it goes.
        since
            Seconds since it left.
        flight
            Seconds of the flight; by default those of `flight`.
        """
        flight = self.flight(origin, index) if flight is None else flight
        share = 1.0 if since >= flight else float(ease(np.array(since), 0.0, flight))
        pose = self.poses[index] if share >= 1 else self._flight(origin, index).at(share)
        # The next layers light up while the camera arrives.
        lit = min(max((since - flight / 2) / (flight / 2 + _LIT), 0.0), 1.0)
        before, after = self.times[origin], self.times[index]
        return (after if lit == 1 else before + (after - before) * lit), pose


def story_film(scene: Scene, aspect: float, seconds: float | None, selection: Selection) -> Tour:
    """Plan a film of the story of a sample.

    Parameters
    ----------
    seconds
        Length of the film; by default the time that it takes to read the captions.

    Raises
    ------
    UserError
        If the scene shows no layers.
    """
    walk = Walk.of(scene, aspect, selection, story_of(scene, selection))
    count = len(walk.stops)
    lengths = [walk.lasts(max(i - 1, 0), i) for i in range(count)]
    starts = [0.0, *accumulate(lengths)]
    pace = 1.0 if seconds is None else starts[-1] / seconds
    captions = [caption_of(stop) for stop in walk.stops]

    def stop_at(tau: float) -> int:
        return min(bisect_right(starts, tau * pace) - 1, count - 1)

    def at(tau: float) -> tuple[float, CameraPose]:
        index = stop_at(tau)
        return walk.at(max(index - 1, 0), index, tau * pace - starts[index])

    def told(tau: float) -> tuple[Panel, Selection]:
        index = stop_at(tau)
        return captions[index], walk.selections[index]

    return Tour(starts[-1] / pace, False, at, told, tuple(stop.text for stop in walk.stops))


def caption_of(stop: StoryStop) -> Panel:
    """Return the caption of a stop as a panel."""
    return Panel("caption", "caption", (TextRow(stop.title, "title"), TextRow(stop.caption, "caption")))


def _pose(scene: Scene, stop: StoryStop, aspect: float, margins: Margins) -> CameraPose:
    """Return the pose that shows the layers of a stop within margins."""
    whole = Framing.of(scene.overview(aspect=aspect))
    extent = scene.extent()
    everything = fit(extent, whole.azimuth, whole.elevation, aspect=aspect, margins=margins)
    shown = [name for name in map(scene.shown, stop.near or stop.layers) if name is not None]
    points = [found for found in map(scene.around, dict.fromkeys(shown)) if len(found)]
    if not points:
        return everything
    corners = np.concatenate(points)
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    left, right = float(extent[:, 0].min()), float(extent[:, 0].max())
    along = float(np.clip((middle[0] - left) / max(right - left, 1e-9), 0, 1))
    azimuth = whole.azimuth + _SWAY[0] + along * (_SWAY[1] - _SWAY[0])
    near = fit(middle + (corners - middle) * _LOOSE, azimuth, whole.elevation, aspect=aspect, margins=margins)
    return _not_nearer(near, Framing.of(everything).distance / _DEEPEST)


def _not_nearer(pose: CameraPose, least: float) -> CameraPose:
    """Move a camera back along its view until it is at least so far from its target."""
    arm = np.subtract(pose.position, pose.target)
    distance = float(np.linalg.norm(arm))
    if distance >= least:
        return pose
    return replace(pose, position=vector(np.array(pose.target) + arm * (least / distance)))


def _margins(stop: StoryStop, aspect: float) -> Margins:
    """Return the usual margins, with room for the caption above the scales."""
    wide = min(_WIDE, 720 * aspect * 0.85)
    high = (
        text_height([TextRow(stop.title, "title")], wide) + text_height([TextRow(stop.text, "caption")], wide) + _EDGES
    )
    return replace(MARGINS, bottom=min(MARGINS.bottom + high / 720, _MOST_BELOW))


def _time(scene: Scene, stop: StoryStop, *, last: bool) -> float:
    """Return the time of the scene at which the layers up to a stop are lit."""
    line = scene.timeline
    start, duration = line.forward
    end = scene.duration if line.training is None else line.passed
    if last or duration <= 0:
        return end
    return start + duration * min(stop.ranks, line.ranks) / line.ranks if stop.ranks else 0.0


def _selected(scene: Scene, stop: StoryStop, selection: Selection) -> Selection:
    """Return the selection at a stop: its layer is highlighted, its number marked, at the training step of the story."""
    pick = stop.pick
    marked = pick is not None and scene.shown(pick.layer) == pick.layer
    step = scene.step(scene.duration, selection)
    return replace(selection, layer=scene.shown(stop.layer), pick=pick if marked else None, step=step)
