"""Tests of camera flights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.apps.flight import Flight
from nnviz3d.apps.window.camera_flight import FreeFlight
from nnviz3d.scene.camera import CameraPose, between

A = CameraPose((3.0, 4.0, 12.0), (1.0, 2.0, 3.0))
B = CameraPose((-6.0, 1.0, 5.0), (0.0, 0.0, 0.0))
FRAMES = np.arange(0, 1, 1 / 60)


def distance(pose: CameraPose) -> float:
    return float(np.linalg.norm(np.subtract(pose.position, pose.target)))


def test_flight_leads_from_its_start_to_its_end_in_about_0_6_seconds():
    flight = Flight(A, B)
    assert flight.at(0.0)[0].position == pytest.approx(A.position)
    assert flight.at(10.0) == (B, True)
    arrived = [flight.at(float(t))[1] for t in FRAMES]
    assert arrived == sorted(arrived)
    assert 0.5 < FRAMES[arrived.index(True)] < 0.7


def test_flight_is_slow_at_both_ends_and_never_nearer_to_the_target_than_they_are():
    poses = [Flight(A, B).at(float(t))[0] for t in FRAMES[:37]]
    steps = [np.linalg.norm(np.subtract(p.position, q.position)) for p, q in pairwise(poses)]
    assert max(steps) > 3 * steps[0]
    assert max(steps) > 3 * steps[-1]
    assert min(distance(p) for p in poses) >= min(distance(A), distance(B)) - 1e-9


def test_between_returns_both_ends():
    assert between(A, B, 0.0).position == pytest.approx(A.position)
    assert between(A, B, 1.0).target == pytest.approx(B.target)


@pytest.mark.parametrize("wanted", [(0, 1), (0, -1), (1, 0), (-1, 1)])
def test_free_flight_moves_eye_and_target_in_the_wanted_direction_at_any_frame_rate(wanted):
    ends = []
    for step in (1 / 60, 1 / 7):
        flight, pose = FreeFlight(wanted), A
        for _ in range(round(2 / step)):
            pose = flight.advance(pose, step)
        way = np.subtract(pose.position, A.position)
        assert way == pytest.approx(np.subtract(pose.target, A.target))
        ahead = np.subtract(A.target, A.position)
        right = np.cross(ahead, A.up)
        assert np.sign(np.round([way @ right, way @ ahead], 6)).tolist() == list(wanted)
        ends.append(way)
    assert np.linalg.norm(ends[0] - ends[1]) < 0.1 * np.linalg.norm(ends[0])


def test_free_flight_stops_when_no_key_is_held():
    flight, pose = FreeFlight((1, 1)), A
    for _ in range(30):
        pose = flight.advance(pose, 1 / 60)
    flight.wanted = (0, 0)
    assert flight.moving
    for _ in range(120):
        pose = flight.advance(pose, 1 / 60)
    assert not flight.moving
    assert flight.advance(pose, 1 / 60) == pose
