"""Keyframes that a user adds: their times, their order, and the film that flies them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.keyframes import Keyframes
from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import orbit, zoom
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose, between
from nnviz3d.scene.look import PoseSpec
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import MOST_KEYFRAMES, default_scene, parse_scene
from nnviz3d.scene.tours.make_tour import make_tour, usual_tour

ASPECT = 1.6


@pytest.fixture
def session(small_capture) -> Session:
    return Session(Scene.build(default_scene(), small_capture), SimpleNamespace(size=(160, 100)))


def times(session: Session) -> list[float]:
    return [frame.at for frame in session.keyframes.all]


def test_keyframes_at_one_time_follow_each_other_and_the_clock_goes_on(session):
    pose, end = session.own_pose(ASPECT), session.scene.duration
    for _ in range(3):
        said = session.keyframes.add(pose, ASPECT)
    assert times(session) == [end, end + 3, end + 6]
    assert session.clock.t == session.scene.duration == end + 6
    assert f"{end + 6:g} s" in said


def test_keyframe_at_the_time_of_an_earlier_one_replaces_it(session):
    pose = session.own_pose(ASPECT)
    session.keyframes.add(pose, ASPECT)
    session.keyframes.add(pose, ASPECT)
    first, last = times(session)
    session.clock.seek(first)
    turned = orbit(pose, 40, 0)
    assert "replaced" in session.keyframes.add(turned, ASPECT)
    assert times(session) == [first, last]
    assert session.scene.camera(0, aspect=ASPECT) == turned


def test_removing_keyframes_restores_the_scene(session):
    pose, end, before = session.own_pose(ASPECT), session.scene.duration, session.scene.spec
    session.keyframes.add(pose, ASPECT)
    session.keyframes.add(pose, ASPECT)
    session.keyframes.remove()
    session.keyframes.remove(0)
    assert session.scene.spec == before
    assert session.scene.duration == session.clock.t == end
    with pytest.raises(UserError, match="k adds one"):
        session.keyframes.remove()


def test_number_and_time_of_keyframes_are_limited(session):
    pose = session.own_pose(ASPECT)
    for _ in range(MOST_KEYFRAMES):
        session.keyframes.add(pose, ASPECT)
    with pytest.raises(UserError, match=f"{MOST_KEYFRAMES}"):
        session.keyframes.add(pose, ASPECT)
    assert len(session.keyframes.all) <= MOST_KEYFRAMES
    assert parse_scene({"format": 1, "camera": session.scene.spec.camera.model_dump()}).camera


def test_film_flies_the_keyframes_through_all_poses(session):
    whole = session.own_pose(ASPECT)
    poses = [whole, zoom(orbit(whole, 170, 20), 2.0), orbit(whole, -90, 40)]
    session.clock.seek(0)
    for pose in poses:
        session.keyframes.add(pose, ASPECT)
    scene = session.scene
    assert usual_tour(scene) == "scene"
    tour = make_tour(scene, ASPECT)
    assert tour.seconds == scene.duration
    for t, pose in zip(times(session), poses, strict=True):
        assert tour.at(t)[1].position == pytest.approx(pose.position)
        assert tour.at(t)[1].target == pytest.approx(pose.target)
    for tau in np.linspace(0, tour.seconds, 200):
        pose = tour.at(tau)[1]
        assert np.isfinite([*pose.position, *pose.target]).all()
        assert np.linalg.norm(np.subtract(pose.position, pose.target)) > 0.45 * np.linalg.norm(
            np.subtract(whole.position, whole.target)
        ), "the eye goes around the scene, not through it"


def test_pictures_of_the_scene_are_the_same_objects_with_other_keyframes(session):
    before = session.scene.at(1.0).primitives
    session.keyframes.add(session.own_pose(ASPECT), ASPECT)
    after = session.scene.at(1.0).primitives
    arrays = [[one.values for one in drawn if isinstance(one, Voxels)] for drawn in (before, after)]
    assert arrays[0]
    assert all(a is b for a, b in zip(*arrays, strict=True))


@pytest.mark.parametrize("turn", [180.0, 179.0, 150.0])
def test_way_between_opposite_directions_keeps_its_distance(turn):
    a = CameraPose((0.0, 0.0, 5.0), (0.0, 0.0, 0.0))
    b = orbit(a, turn, 0)
    for share in np.linspace(0, 1, 11):
        assert np.linalg.norm(between(a, b, float(share)).position) == pytest.approx(5)
    middle = between(a, b, 0.5)
    assert abs(middle.position[0]) == pytest.approx(5 * np.sin(np.radians(turn / 2)))


def test_pose_steps_back_in_a_narrower_picture_only():
    spec = PoseSpec(position=(0, 0, 10), target=(0, 0, 2), aspect=1.6)
    assert spec.pose(1.6).position == spec.pose(2.5).position == (0, 0, 10)
    assert spec.pose(0.8).position == pytest.approx((0, 0, 18))


def test_keyframes_of_a_scene_file_keep_their_order_when_one_is_added(small_capture):
    spec = parse_scene({"format": 1, "camera": {"keyframes": [{"at": 1.0}, {"at": 4.0, "azimuth": 30.0}]}})
    session = Session(Scene.build(spec, small_capture), SimpleNamespace(size=(160, 100)))
    session.clock.seek(2.0)
    session.keyframes.add(session.own_pose(ASPECT), ASPECT)
    assert times(session) == [1.0, 2.0, 4.0]
    assert isinstance(session.keyframes, Keyframes)
