"""Pictures of points: where they are, that they never overlap, how they look, and that they are picked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.apps.turntable import zoom
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import pick
from nnviz3d.render.point_pictures import SIZES, PlacedPicture, place_pictures
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.hits import PointHit
from nnviz3d.scene.primitives import DrawList, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import PointFilter, Selection
from nnviz3d.scene.spec import parse_scene
from tests.support import pinhole

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def scene() -> Scene:
    spec = parse_scene({"format": 1, "views": [{"kind": "embedding"}]})
    return Scene.build(spec, open_capture(bundled("embedding.zarr.zip")))


def cloud_of(scene: Scene, **chosen: object) -> Points:
    drawn = scene.at(scene.duration, Selection(**chosen)).primitives  # type: ignore[arg-type]
    return next(p for p in drawn if isinstance(p, Points))


def near(scene: Scene, factor: float) -> CameraPose:
    return zoom(scene.overview(aspect=16 / 9), factor, (0.1, -0.05))


def placed(cloud: Points, pose: CameraPose) -> list[PlacedPicture]:
    eye = Eye.of(pose, SIZE)
    places, depth = eye.project(cloud.points.astype(np.float64))
    return place_pictures(cloud, places, depth, eye.pixel, SIZE, 1.0)


def test_pictures_are_seen_on_zooming_in_and_never_overlap(scene):
    cloud = cloud_of(scene)
    counts = []
    for factor in (1, 2.5, 4, 10):
        found = placed(cloud, near(scene, factor))
        counts.append(len(found))
        boxes = np.array([(one.left, one.top, one.left + one.width, one.top + one.height) for one in found])
        for k, box in enumerate(boxes):
            others = np.delete(boxes, k, axis=0)
            apart = (others[:, :2] >= box[2:]).any(axis=1) | (others[:, 2:] <= box[:2]).any(axis=1)
            assert apart.all()
        heights = [one.height for one in found]
        assert heights == sorted(heights, reverse=True)
        assert set(heights) <= {round(size) for size in SIZES}
        # Each is at its point.
        places = (
            pinhole.to_pixels(cloud.points[[one.number for one in found]], near(scene, factor), SIZE) if found else []
        )
        for one, place in zip(found, places, strict=True):
            assert abs(one.left + one.width / 2 - place[0]) <= 1
            assert abs(one.top + one.height / 2 - place[1]) <= 1
    assert counts[0] == 0, "the overview shows balls"
    assert counts[1] > 15
    assert all(count > 2 for count in counts[2:])


def test_same_points_keep_their_pictures_while_the_camera_moves(scene):
    cloud = cloud_of(scene)
    pose = near(scene, 4)
    moved = replace(pose, position=tuple(v + 0.05 for v in pose.position), target=tuple(v + 0.05 for v in pose.target))
    before, after = ({one.number for one in placed(cloud, one)} for one in (pose, moved))
    assert len(before & after) > 0.8 * len(before)


def test_only_points_that_are_searched_for_have_pictures(scene):
    wanted = cloud_of(scene, points=PointFilter(of_class=9))
    labels = scene.context.capture.embedding("dense").labels
    found = placed(wanted, near(scene, 4))
    assert found
    assert all(labels[one.number] == 9 for one in found)


def test_picture_is_drawn_in_a_frame_of_its_colour_and_is_picked(scene):
    studio = Offscreen(SIZE, antialias=False)
    pose, cloud = near(scene, 4), cloud_of(scene)
    alone = DrawList((cloud,))
    drawn = studio.picture(alone, pose)
    studio.close()
    found = placed(cloud, pose)
    for one in found:
        inside = slice(one.top, one.top + one.height), slice(one.left, one.left + one.width)
        shown = drawn[inside][: SIZE[1] - one.top, : SIZE[0] - one.left]
        if shown.shape[:2] != (one.height, one.width) or one.left < 0 or one.top < 0:
            continue
        assert cloud.rings is not None
        if cloud.rings[one.number, 3] > 0:
            continue
        np.testing.assert_allclose(shown[0, 0], np.round(cloud.colors[one.number, :3] * 255), atol=1)
        small = np.asarray(cloud.pictures[one.number], dtype=float).mean()
        assert abs(shown[2:-2, 2:-2].mean() - small) < 0.25 * small + 6
    corner = found[0]
    at = (corner.left + 1.5, corner.top + corner.height - 1.5)
    hit = pick(alone, pose, SIZE, at)
    assert hit == PointHit(cloud, corner.number)


def test_wrong_prediction_has_both_colours_around_its_picture(scene):
    cloud = cloud_of(scene, points=PointFilter(wrong=True))
    assert cloud.rings is not None
    wrong = int(np.flatnonzero(cloud.rings[:, 3])[0])
    x, y, z = (float(v) for v in cloud.points[wrong])
    pose = CameraPose((x, y, z + 2.0), (x, y, z), (0.0, 1.0, 0.0))
    one = next(one for one in placed(cloud, pose) if one.number == wrong)
    studio = Offscreen(SIZE, antialias=False)
    drawn = studio.picture(DrawList((cloud,)), pose)
    studio.close()
    np.testing.assert_allclose(drawn[one.top, one.left], np.round(cloud.rings[wrong, :3] * 255), atol=1)
    np.testing.assert_allclose(drawn[one.top + 2, one.left + 2], np.round(cloud.colors[wrong, :3] * 255), atol=1)
