"""Tours: path of the camera, its speed limits, and the blocks that stay in the frame."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import SceneSpec, default_scene, parse_scene
from nnviz3d.scene.tours.make_tour import make_tour, usual_tour
from nnviz3d.scene.tours.motion import MOST_MOTION, MOST_TURN, MOST_ZOOM
from nnviz3d.scene.tours.orbit import MOST_TURN as MOST_ORBIT
from nnviz3d.scene.tours.track import Tour
from tests.support import graphs
from tests.support.captures import write
from tests.support.pinhole import to_frame

ASPECT = 16 / 9
FPS = 60
STRUCTURE = {"format": 1, "views": [{"kind": "structure"}]}
OPEN = default_scene().model_copy(update={"groups": "open"})
"""The default scene, with all nodes of a large network."""


@pytest.fixture(scope="module")
def scene(digits: Capture) -> Scene:
    return Scene.build(default_scene(), digits, aspect=ASPECT)


@pytest.fixture(scope="module")
def long_scene(long_capture: Capture) -> Scene:
    found = Scene.build(OPEN, long_capture, aspect=ASPECT)
    assert len(found.context.graph) > 150
    assert len(found.context.plan.rows) >= 3
    return found


def moving(capture: Capture, **more: object) -> Scene:
    """A scene with keyframes over four seconds."""
    frames = [{"at": 0.0}, {"at": 2.0, "target": "layer:conv", "distance": 2.0}, {"at": 4.0, "azimuth": 30.0}]
    spec = {"format": 1, "views": [{"kind": "structure"}], "camera": {"keyframes": frames}, **more}
    return Scene.build(parse_scene(spec), capture, aspect=ASPECT)


def poses(tour: Tour) -> tuple[float, list[float], list[CameraPose]]:
    """The seconds between two moments, the scene's times, and the poses."""
    moments = np.linspace(0, tour.seconds, max(2, round(tour.seconds * FPS)) + 1)
    times, found = zip(*map(tour.at, moments), strict=True)
    return float(moments[1]), list(times), list(found)


def arm(pose: CameraPose) -> np.ndarray:
    return np.subtract(pose.position, pose.target)


def speeds(tour: Tour) -> tuple[float, float, float]:
    """The fastest motion in picture heights a second, zoom as a factor a second, and turn in degrees a second."""
    step, _, found = poses(tour)
    motion, zoom, turn = [], [], []
    for before, after in pairwise(found):
        back = arm(after) / np.linalg.norm(arm(after))
        moved = np.subtract(after.target, before.target)
        height = 2 * math.tan(math.radians(after.field_of_view / 2)) * np.linalg.norm(arm(after))
        motion.append(np.linalg.norm(moved - (moved @ back) * back) / height / step)
        zoom.append(abs(math.log(np.linalg.norm(arm(after)) / np.linalg.norm(arm(before)))) / step)
        cosine = back @ arm(before) / np.linalg.norm(arm(before))
        turn.append(math.degrees(math.acos(min(1.0, cosine))) / step)
    return max(motion), math.exp(max(zoom)), max(turn)


def reach(pose: CameraPose, points: np.ndarray) -> float:
    """The reach of points towards the edges of the frame; 1 is the nearest edge."""
    return float(np.abs(to_frame(points, pose, ASPECT)).max())


def same(one: CameraPose, other: CameraPose) -> bool:
    return all(np.allclose(getattr(one, k), getattr(other, k), atol=1e-6) for k in ("position", "up"))


def blocks_of_rank(scene: Scene, rank: int) -> np.ndarray:
    plan = scene.context.plan
    return plan.corners([p.node for p in plan.placements.values() if p.rank == rank])


LENGTHS = (None, 0.3, 1.0, 3.0, 8.0, 45.0)


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("name", ["scene", "long_scene"])
class TestFlythrough:
    def test_flythrough_stays_within_the_speed_limits(self, request, name, seconds):
        motion, zoom, turn = speeds(make_tour(request.getfixturevalue(name), ASPECT, "flythrough", seconds))
        assert motion <= MOST_MOTION * 1.01
        assert zoom <= MOST_ZOOM * 1.01
        assert turn <= MOST_TURN * 1.01

    def test_flythrough_begins_dark_and_ends_with_everything_in_the_frame(self, request, name, seconds):
        scene = request.getfixturevalue(name)
        tour = make_tour(scene, ASPECT, "flythrough", seconds)
        (start, first), (end, last) = tour.at(0), tour.at(tour.seconds)
        assert (start, end) == (0.0, scene.duration)
        whole = scene.camera(scene.duration, aspect=ASPECT)
        assert same(first, whole)
        assert same(last, whole)
        times = poses(tour)[1]
        assert times == sorted(times)
        if seconds is not None:
            assert tour.seconds == seconds

    def test_lighting_blocks_are_in_the_frame(self, request, name, seconds):
        scene = request.getfixturevalue(name)
        tour = make_tour(scene, ASPECT, "flythrough", seconds)
        _, times, found = poses(tour)
        ranks = scene.context.ranks
        seen = set()
        for (t, pose), (later, _) in pairwise(zip(times, found, strict=True)):
            if later > t + 1e-9:
                rank = int(t / scene.duration * ranks + 1e-9)
                seen.add(rank)
                assert reach(pose, blocks_of_rank(scene, rank)) < 1
        if seconds is None:
            assert seen == set(range(ranks))


def jolts(tour: Tour) -> float:
    """The largest change of the eye's velocity from one frame to the next, per second, in lengths of its arm."""
    step, _, found = poses(tour)
    eyes = np.array([pose.position for pose in found])
    arms = np.array([np.linalg.norm(arm(pose)) for pose in found])
    return float((np.linalg.norm(np.diff(eyes, 2, axis=0), axis=1) / arms[1:-1]).max() / step**2)


def test_flythrough_comes_near_and_rests_at_both_ends(scene):
    tour = make_tour(scene, ASPECT, "flythrough")
    assert 10 <= tour.seconds <= 16
    whole = np.linalg.norm(arm(tour.at(0)[1]))
    assert min(np.linalg.norm(arm(pose)) for pose in poses(tour)[2]) < whole / 2
    assert same(tour.at(tour.seconds - 1.4)[1], tour.at(tour.seconds)[1])
    assert same(tour.at(0.5)[1], tour.at(0)[1])


def test_flythrough_of_a_long_network_takes_at_most_30_seconds(long_scene):
    tour = make_tour(long_scene, ASPECT, "flythrough")
    assert 18 <= tour.seconds <= 30
    whole = np.linalg.norm(arm(tour.at(0)[1]))
    assert min(np.linalg.norm(arm(pose)) for pose in poses(tour)[2]) < whole / 1.6


@pytest.mark.parametrize("kind", ["flythrough", "orbit"])
@pytest.mark.parametrize("name", ["scene", "long_scene"])
def test_camera_changes_its_velocity_smoothly(request, name, kind):
    """The second difference of the eye's position stays far below that of a jump."""
    assert jolts(make_tour(request.getfixturevalue(name), ASPECT, kind)) < 6


@pytest.mark.parametrize(
    "graph",
    [graphs.inception(), graphs.two_inputs_two_outputs(), graphs.unet(), graphs.chain([("x", "InputLayer", (5,))])],
    ids=["inception", "two inputs", "u-net", "one layer"],
)
@pytest.mark.parametrize("kind", ["flythrough", "orbit"])
def test_every_network_has_a_tour(tmp_path: Path, graph, kind):
    name = graph.outputs[0]
    capture = write(tmp_path / "x.zarr", graph, {name: np.zeros((1, *graph.node(name).shape), np.float32)})
    for spec in (default_scene(), parse_scene(STRUCTURE)):
        scene = Scene.build(spec, capture, aspect=0.75)
        tour = make_tour(scene, 0.75, kind)
        assert all(np.isfinite(pose.position).all() for pose in poses(tour)[2])
        assert tour.at(tour.seconds)[0] == scene.duration


def test_camera_from_behind_stays_within_the_speed_limit(small_capture):
    """Angles are not computed from directions, in which 180 and -180 degrees are the same."""
    spec = {**STRUCTURE, "camera": {"azimuth": 178.0, "elevation": 88.0}}
    scene = Scene.build(parse_scene(spec), small_capture, aspect=ASPECT)
    for kind in ("flythrough", "orbit"):
        tour = make_tour(scene, ASPECT, kind)
        assert speeds(tour)[2] <= MOST_ORBIT * 1.01
        assert all(np.isfinite(pose.position).all() for pose in poses(tour)[2])


class TestOrbit:
    @pytest.mark.parametrize("seconds", [None, 0.5, 6.0, 40.0])
    @pytest.mark.parametrize("name", ["scene", "long_scene"])
    def test_orbit_is_a_loop_with_everything_in_the_frame(self, request, name, seconds):
        scene = request.getfixturevalue(name)
        tour = make_tour(scene, ASPECT, "orbit", seconds)
        assert tour.loops
        _, times, found = poses(tour)
        assert set(times) == {scene.duration}
        assert same(found[0], found[-1])
        points = scene.extent()
        assert max(reach(pose, points) for pose in found) < 1
        assert speeds(tour)[2] <= MOST_ORBIT * 1.01

    def test_long_orbit_turns_and_short_orbit_swings(self, scene):
        def turned(seconds: float) -> np.ndarray:
            arms = np.array([arm(pose) for pose in poses(make_tour(scene, ASPECT, "orbit", seconds))[2]])
            return np.degrees(np.unwrap(np.arctan2(arms[:, 0], arms[:, 2])))

        whole, swing = turned(16.0), turned(4.0)
        assert whole[-1] - whole[0] == pytest.approx(360)
        assert (np.diff(whole) > 0).all()
        assert swing[-1] == pytest.approx(swing[0])
        assert 20 < np.ptp(swing) < 90

    def test_frames_of_an_orbit_leave_out_the_repeated_last_one(self, scene):
        moments = make_tour(scene, ASPECT, "orbit", 2.0).frames(10)
        assert np.allclose(moments, np.arange(20) / 10)


class TestOwn:
    def test_tour_of_a_scene_follows_the_keyframes(self, small_capture):
        scene = moving(small_capture)
        assert usual_tour(scene) == "scene"
        tour = make_tour(scene, ASPECT)
        assert (tour.seconds, tour.loops) == (4.0, False)
        for tau in (0.0, 1.3, 2.0, 4.0):
            assert tour.at(tau) == (tau, scene.camera(tau, aspect=ASPECT))
        assert tour.frames(10)[-1] == 4.0

    def test_length_of_a_film_changes_the_speed_of_keyframes(self, small_capture):
        scene = moving(small_capture)
        tour = make_tour(scene, ASPECT, "scene", 8.0)
        assert tour.at(5.0) == (2.5, scene.camera(2.5, aspect=ASPECT))

    def test_flythrough_ends_with_everything_whatever_the_keyframes(self, small_capture):
        scene = moving(small_capture)
        plain = Scene.build(SceneSpec.model_validate(STRUCTURE), small_capture, aspect=ASPECT)
        tour = make_tour(scene, ASPECT, "flythrough")
        assert same(tour.at(tour.seconds)[1], plain.camera(0, aspect=ASPECT))

    def test_scene_without_keyframes_has_no_tour_of_its_own(self, scene):
        assert usual_tour(scene) == "flythrough"
        with pytest.raises(UserError, match=r"no camera keyframes .* --tour orbit or flythrough\.$"):
            make_tour(scene, ASPECT, "scene")


class TestBackward:
    """The forward pass seen from a distance, then a flight with the gradient from the last layer to the first."""

    @pytest.fixture(scope="class", params=["digits", "long"])
    @classmethod
    def there(cls, request, digits, long_capture):
        capture = digits if request.param == "digits" else long_capture
        return Scene.build(OPEN.with_view("backward"), capture, aspect=ASPECT)

    @pytest.mark.parametrize("seconds", [None, 3.0, 40.0])
    def test_backward_tour_has_the_requested_length_and_stays_within_the_speed_limits(self, there, seconds):
        tour = make_tour(there, ASPECT, "backward", seconds)
        if seconds is not None:
            assert tour.seconds == pytest.approx(seconds)
        motion, zoom, turn = speeds(tour)
        assert motion <= MOST_MOTION * 1.05
        assert zoom <= MOST_ZOOM * 1.05
        assert turn <= MOST_TURN * 1.05

    def test_time_of_a_backward_tour_covers_both_passes(self, there):
        _, times, _ = poses(make_tour(there, ASPECT, "backward"))
        assert times == sorted(times)
        assert times[0] == 0
        assert times[-1] == there.duration

    def test_backward_tour_begins_and_ends_with_everything_in_the_frame(self, there):
        _, _, found = poses(make_tour(there, ASPECT, "backward"))
        whole = there.overview(aspect=ASPECT)
        for pose in (found[0], found[-1]):
            assert pose.position == pytest.approx(whole.position, rel=1e-3, abs=1e-2)

    def test_camera_looks_at_the_layers_that_the_gradient_passes(self, there):
        line, plan = there.timeline, there.context.plan
        tour = make_tour(there, ASPECT, "backward")
        _, times, found = poses(tour)
        for rank in (line.ranks - 1, line.ranks // 2, 0):
            t = line.arrives(rank) + line.seconds_per_rank / 2
            pose = found[int(np.argmin(np.abs(np.subtract(times, t))))]
            corners = plan.corners([name for name, place in plan.placements.items() if place.rank == rank])
            assert reach(pose, corners) <= 1.05

    def test_backward_tour_is_the_default_of_a_scene_with_a_backward_pass(self, there, scene):
        assert usual_tour(there) == "backward"
        assert usual_tour(scene) == "flythrough"

    def test_scene_without_a_backward_pass_has_no_backward_tour(self, scene):
        with pytest.raises(UserError, match="backward"):
            make_tour(scene, ASPECT, "backward")

    def test_flythrough_ends_with_the_forward_pass(self, there):
        _, times, _ = poses(make_tour(there, ASPECT, "flythrough"))
        assert times[-1] == sum(there.timeline.forward)

    def test_backward_view_is_added_once_and_refused_by_a_cloud_of_points(self):
        spec = default_scene().with_view("backward")
        assert spec.with_view("backward") is spec
        assert spec.needs().gradients
        cloud = parse_scene({"format": 1, "views": [{"kind": "embedding"}]})
        with pytest.raises(SceneError, match="backward pass"):
            cloud.with_view("backward")
