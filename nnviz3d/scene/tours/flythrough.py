"""The tour along the layers while they light up one after another.

The film is planned as one shot for each rank, framed by `fit`. One number, the depth, varies over the film: 0 is the
pose that shows the whole network, 1 is the shot. If the film would exceed the speed limits of `motion`, the depth is
reduced, so that the camera is farther away. At depth 0 nothing moves, so there is a solution for every length of film.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import FIELD_OF_VIEW, Margins, fit
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.tours.motion import ease, haste, lost, smooth, within_limits
from nnviz3d.scene.tours.track import RATE, Floats, Framing, Tour, Track

_DARK, _DIVE, _READ, _RISE, _HOLD = 0.7, 1.7, 0.5, 1.7, 1.2
"""Seconds: the dark network, the way to the input, the prediction seen near, the way back, the network with prediction.

The input lights up while the camera still approaches it, which leaves a little more time for the last part.
"""
_RETURN = 1.5
"""Seconds from the end of a row to the beginning of the next."""
_DWELL = 0.52
"""Seconds in which a block lights up, if there are few blocks."""
_PAUSE = 0.3
"""Minimum of these seconds for the first and the last block of a row, where the camera turns."""
_FLIGHT = 15.0
"""Seconds in which all blocks light up, if there are many blocks."""
_LEAST_FLIGHT, _HURRY = 0.5, 1.25
"""Minimum share of the flight in a short film, and the factor by which the flight may be faster than usual."""
_PAN = 0.8
"""Picture heights a second along a row, as planned; the limits leave room for easing."""
_DEEPEST, _SHALLOWEST = 3.0, 1.25
"""Factors by which the camera is nearer than for the whole network: the maximum, and the minimum if time allows."""
_LOOSE = 1.15
"""Factor by which a shot is larger than its blocks."""
_SWAY = (-8.0, 4.0)
"""Degrees that are added to the azimuth at a row's beginning and at its end; negative is the input's side."""
_DIP = 2.0
"""Degrees that are added to the elevation during the flight."""
_STEEPEST = 89.0
_SOFT = 0.4
"""Seconds (a standard deviation) over which the path is smoothed."""
_SHOT_MARGINS = Margins(left=0.08, right=0.08, top=0.17, bottom=0.2)
_FLIGHT_MARGINS = Margins(left=0.09, right=0.09, top=0.15, bottom=0.18)
_WATCH, _LEAST_WATCH = 4.5, 0.3
"""Seconds of the forward pass before the camera follows the backward pass; its maximum share of a film."""
_TURN_AT = 0.8
"""End of the forward pass, as a share of this part of the film."""
_SETTLE, _LEAST_TRAINING = 2.4, 0.35
"""Seconds before and after a training, together; the maximum share of a training in a film."""
_SPREAD = 0.3
"""Seconds over which a reduction of the depth is spread."""


@dataclass(frozen=True, eq=False)
class _Shots:
    """The framings of all ranks, in order: ``(r,)`` and ``(r, 3)``.

    Attributes
    ----------
    boxes
        ``(r, 8, 3)``: corners of the box around each rank's blocks.
    all_target, all_distance
        The framing that shows everything from the same direction.
    """

    boxes: Floats
    target: Floats
    distance: Floats
    all_target: Floats
    all_distance: Floats
    azimuth: Floats
    elevation: float
    rows: NDArray[np.int64]

    def not_nearer(self, zoom: float) -> _Shots:
        """Limit distance and angles of the shots so that none shows more than the overview."""
        further = np.maximum(self.distance, self.all_distance / zoom)
        room = np.maximum(self.all_distance - self.distance, 1e-9)
        share = np.clip((self.all_distance - further) / room, 0, 1)[:, np.newaxis]
        return replace(self, distance=further, target=self.all_target + share * (self.target - self.all_target))

    def reversed(self) -> _Shots:
        """Reverse the order of the ranks."""
        turned = {f: getattr(self, f)[::-1] for f in _OF_RANKS}
        return replace(self, **turned)

    def durations(self) -> Floats:
        """Return the seconds for each rank: enough to light up, and to move there from the previous rank."""
        dwell = np.full(len(self.rows), min(_DWELL, _FLIGHT * 0.45 / len(self.rows)))
        turning = np.diff(self.rows, prepend=-1, append=-1) != 0
        dwell[turning[1:] | turning[:-1]] = np.maximum(dwell[0], _PAUSE)
        steps = np.linalg.norm(np.diff(self.target, axis=0), axis=1)
        steps[np.diff(self.rows) != 0] = 0.0
        reach = 2 * math.tan(math.radians(FIELD_OF_VIEW / 2)) * (self.distance[1:] + self.distance[:-1]) / 2
        way = np.concatenate([[0.0], steps / reach / _PAN, [0.0]])
        return np.asarray(np.maximum(dwell, (way[:-1] + way[1:]) / 2))


_OF_RANKS = ("boxes", "target", "distance", "all_target", "all_distance", "azimuth", "rows")


def fly_through(scene: Scene, aspect: float, seconds: float | None = None) -> Tour:
    """Plan a film from the dark network to the input, along all layers, and back to the whole with the prediction.

    Parameters
    ----------
    seconds
        By default 10 to 30, by the number of layers and rows.
    """
    whole = Framing.of(scene.overview(aspect=aspect))
    trains = 0.0 if scene.timeline.backward is not None else _training(scene, seconds)
    rest = None if seconds is None else seconds - trains
    track, length = _planned(scene, whole, _shots(scene, whole, aspect), aspect, rest, _moments)
    return _trained(scene, track, length, trains)


def fly_back(scene: Scene, aspect: float, seconds: float | None = None) -> Tour:
    """Plan a film of a backward pass: the forward pass seen from a distance, then a flight along the gradient.

    Parameters
    ----------
    seconds
        By default 14 to 34, by the number of layers and rows.
    """
    whole = Framing.of(scene.overview(aspect=aspect))
    watch = _WATCH if seconds is None else min(_WATCH, _LEAST_WATCH * seconds)
    trains = _training(scene, seconds)
    rest = None if seconds is None else seconds - watch - trains
    track, length = _planned(scene, whole, _shots(scene, whole, aspect).reversed(), aspect, rest, _moments_back)
    n = max(2, round(watch * len(track.t) / length))
    line = scene.timeline
    forward = sum(line.forward)
    before = np.interp(np.linspace(0, 1, n, endpoint=False), [0, _TURN_AT, 1], [0, forward, track.t[0]])
    return _trained(scene, track.after(before), length + watch, trains)


def _training(scene: Scene, seconds: float | None) -> float:
    """Return the seconds that a recorded training takes in a film; 0 if the scene shows none."""
    line = scene.timeline
    if line.training is None:
        return 0.0
    natural = line.training[1] + _SETTLE
    return natural if seconds is None else min(natural, _LEAST_TRAINING * seconds)


def _trained(scene: Scene, track: Track, length: float, trains: float) -> Tour:
    """Append a training to a film, seen from the camera's last pose."""
    if trains <= 0:
        return track.tour(length, loops=False)
    n = max(2, round(trains * len(track.t) / length))
    line = scene.timeline
    begins = line.training[0] if line.training is not None else 0.0
    settled = _SETTLE / (sum(line.training or (0.0, 0.0)) - begins + _SETTLE)
    moments = np.interp(
        np.linspace(0, 1, n),
        [0, settled / 2, 1 - settled / 2, 1],
        [track.t[-1], begins, scene.duration, scene.duration],
    )
    return track.then(moments).tour(length + trains, loops=False)


_Moments = Callable[[Scene, Floats, Floats], Floats]


def _planned(
    scene: Scene, whole: Framing, near: _Shots, aspect: float, seconds: float | None, moments: _Moments
) -> tuple[Track, float]:
    """Plan a film that approaches all shots in order; also returns its length in seconds."""
    returns = int(np.count_nonzero(np.diff(near.rows)))
    still = _DARK + _DIVE + _READ + _RISE + _HOLD + _RETURN * returns
    depths = np.geomspace(_DEEPEST, _SHALLOWEST, 24)
    # The nearest shots for which the time of the flight is enough.
    usual = min(_FLIGHT, 1.2 + 0.65 * len(near.rows))
    budget = usual if seconds is None else max(seconds - still, _LEAST_FLIGHT * seconds) * _HURRY
    shots = next(
        (s for s in map(near.not_nearer, depths) if s.durations().sum() <= budget), near.not_nearer(_SHALLOWEST)
    )
    natural = still + float(shots.durations().sum())
    length = natural if seconds is None else seconds
    # In a longer film only the flight is slower; in a shorter one all parts are faster.
    flight = max(length - still, _LEAST_FLIGHT * length)
    pace = (length - flight) / still
    schedule = _Schedule.of(shots, pace, flight)
    return _film(scene, whole, shots, schedule, length, aspect, moments), length


def _shots(scene: Scene, whole: Framing, aspect: float) -> _Shots:
    plan = scene.context.plan
    placements = sorted(plan.placements.values(), key=lambda p: p.rank)
    ranks = range(scene.context.ranks)
    nodes = [[p.node for p in placements if p.rank == rank] for rank in ranks]
    around = [np.concatenate([scene.around(name) for name in names]) for names in nodes]
    # A view that fills the picture has no rows, and may show no layers.
    boxes = np.array([_box(points if len(points) else scene.extent()) for points in around])
    rows = np.array([plan.placements[names[0]].row if scene.blocks else 0 for names in nodes])
    left, right = plan.bounds_x if scene.blocks else (boxes[..., 0].min(), boxes[..., 0].max())
    framings, alls, azimuths = [], [], []
    elevation = min(whole.elevation + _DIP, _STEEPEST)
    for points in boxes:
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        along = float(np.clip((middle[0] - left) / max(right - left, 1e-9), 0, 1))
        azimuth = whole.azimuth + _SWAY[0] + along * (_SWAY[1] - _SWAY[0])
        pose = fit(middle + (points - middle) * _LOOSE, azimuth, elevation, aspect=aspect, margins=_SHOT_MARGINS)
        azimuths.append(azimuth)
        framings.append(Framing.of(pose))
        alls.append(Framing.of(fit(scene.extent(), azimuth, elevation, aspect=aspect, margins=_FLIGHT_MARGINS)))
    return _Shots(
        boxes,
        np.array([f.target for f in framings]),
        np.minimum([f.distance for f in framings], [f.distance for f in alls]),
        np.array([f.target for f in alls]),
        np.array([f.distance for f in alls]),
        np.array(azimuths),
        elevation,
        rows,
    )


def _box(points: Floats) -> Floats:
    """Return the eight corners of the box around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]] for i, j, k in np.ndindex(2, 2, 2)])


@dataclass(frozen=True, eq=False)
class _Schedule:
    """A piecewise linear schedule: film seconds and the values at them.

    Attributes
    ----------
    light
        ``(n, 2)``: seconds, and the number of lit ranks.
    camera
        ``(n, 2)``: seconds, and the rank that the camera looks at.
    dive
        Film seconds at which the camera starts to approach, has arrived, starts to leave, and has left.
    """

    light: Floats
    camera: Floats
    dive: tuple[float, float, float, float]

    @staticmethod
    def of(shots: _Shots, pace: float, flight: float) -> _Schedule:
        durations = shots.durations()
        durations *= flight / durations.sum()
        ranks = len(durations)
        now = (_DARK + _DIVE * 0.8) * pace
        light, camera = [(now, 0.0)], [(now, 0.0)]
        for rank, lasts in enumerate(durations):
            first = rank == 0 or shots.rows[rank] != shots.rows[rank - 1]
            final = rank == ranks - 1 or shots.rows[rank] != shots.rows[rank + 1]
            if first and rank:
                now += _RETURN * pace
                light.append((now - 0.1 * pace, rank))
                camera.append((now - 0.2 * pace, rank))
            if not final:
                camera.append((now + lasts / 2, rank))
            now += lasts
            light.append((now, rank + 1.0))
            if final:
                camera.append((now, rank))
        read = now + _READ * pace
        dive = (_DARK * pace, (_DARK + _DIVE) * pace, read, read + _RISE * pace)
        return _Schedule(np.array(light), np.array(camera), dive)


def _film(
    scene: Scene,
    whole: Framing,
    shots: _Shots,
    schedule: _Schedule,
    length: float,
    aspect: float,
    moments_of: _Moments,
) -> Track:
    n = max(2, round(length * RATE)) + 1
    tau = np.linspace(0, length, n)
    step = length / (n - 1)
    looked = np.interp(tau, *schedule.camera.T)
    lit = np.interp(tau, *schedule.light.T)
    order = np.arange(len(shots.rows))

    def path(values: Floats, soft: float = _SOFT) -> Floats:
        return smooth(np.interp(looked, order, values), soft / step)

    def way(points: Floats) -> Floats:
        return np.stack([path(points[:, axis]) for axis in range(3)], axis=1)

    target, all_target = way(shots.target), way(shots.all_target) - whole.target
    all_distance = path(np.log(shots.all_distance / whole.distance))
    zoom = path(np.log(shots.all_distance / shots.distance))
    azimuth = path(shots.azimuth, 2 * _SOFT) - whole.azimuth
    wanted = ease(tau, *schedule.dive[:2]) * (1 - ease(tau, *schedule.dive[2:]))
    moments = moments_of(scene, lit, tau)
    blocks = shots.boxes[np.minimum(lit.astype(int), len(order) - 1)]
    lighting = np.diff(lit, append=lit[-1]) > 0

    def track(depth: Floats) -> Track:
        nearer = depth * zoom
        # A zoom about a fixed point: the frame is inside the frame of the whole, and contains the frame of the shot.
        with np.errstate(invalid="ignore"):
            share = np.where(zoom > 1e-6, np.expm1(-nearer) / np.expm1(-zoom), depth)[:, np.newaxis]
        middle = whole.target + depth[:, np.newaxis] * all_target
        return Track(
            moments,
            middle + share * (target - middle),
            whole.distance * np.exp(depth * all_distance - nearer),
            whole.azimuth + depth * azimuth,
            whole.elevation + depth * (shots.elevation - whole.elevation),
        )

    def excess(depth: Floats) -> Floats:
        found = track(depth)
        # Between rows nothing lights up, so no block has to be in the frame.
        return np.maximum(haste(found, step), np.where(lighting, lost(found, blocks, aspect), 0))

    return track(within_limits(wanted, excess, round(_SPREAD / step)))


def _moments(scene: Scene, lit: Floats, tau: Floats) -> Floats:
    """Return the scene's times at which these numbers of ranks are lit."""
    line = scene.timeline
    still = scene.duration if line.training is None else 0.0
    start, duration = line.forward if line.forward[1] > 0 else (0.0, still)
    end = scene.duration if line.backward is None and line.training is None else sum(line.forward)
    return np.where(lit >= line.ranks, end, np.where(lit > 0, start + duration * lit / line.ranks, 0.0))


def _moments_back(scene: Scene, lit: Floats, tau: Floats) -> Floats:
    """Return the scene's times at which the gradient has passed these numbers of ranks; then its light fades."""
    line = scene.timeline
    start, duration = line.backward or (0.0, scene.duration)
    passed = tau[int(np.argmax(lit >= line.ranks))]
    after = (tau - passed) / (tau[-1] - passed)
    going = start + duration * lit / line.ranks
    end = scene.duration if line.training is None else line.passed
    return np.where(lit >= line.ranks, start + duration + (end - start - duration) * after, going)
