"""The point cloud of a training: computed points at each recorded step, interpolation, trails and picks."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.analysis.embedding_trajectory import class_separation
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import SceneError
from nnviz3d.scene.derived.embedding_trajectory import embedding_of
from nnviz3d.scene.panel_rows import PictureRow, TextRow
from nnviz3d.scene.primitives import Callout, DrawList, Lines, Panel, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.points.samples import PointPick

SECONDS = 23.0


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture(bundled("classes_part.zarr.zip"))


@pytest.fixture(scope="module")
def embedded(capture):
    return capture.training.embedded


@pytest.fixture(scope="module")
def scene(capture) -> Scene:
    return build(capture)


def build(capture: Capture, *others: str, **view: object) -> Scene:
    views = [{"kind": "embedding", **view}, *({"kind": kind, "duration": SECONDS} for kind in others or ["training"])]
    return Scene.build(parse_scene({"format": 1, "views": views}), capture, trajectory=trajectory_of(capture))


def cloud(found: DrawList) -> Points:
    return next(p for p in found.primitives if isinstance(p, Points))


def words(found: DrawList, panel: str = "embedding") -> str:
    rows = next(p.rows for p in found.primitives if isinstance(p, Panel) and p.name == panel)
    return "\n".join(row.text for row in rows if isinstance(row, TextRow))


def distances(points):
    return np.linalg.norm(points[:, np.newaxis] - points, axis=2)


def test_distances_at_every_recorded_step_are_the_computed_ones(scene, capture, embedded):
    course = scene.context.trajectory
    units = []
    for k, step in enumerate(embedded.steps):
        found = scene.at(0.0, Selection(step=int(step)))
        computed, drawn = distances(course.points[k]), distances(cloud(found).points)
        units.append(drawn.sum() / computed.sum())
        assert np.allclose(drawn, units[-1] * computed, atol=1e-3)
        assert f"the points of step {step}" in words(found)
        assert f"{(embedded.predictions(k) != embedded.samples.labels).sum()} wrong" in words(found)
    assert np.allclose(units, units[0], rtol=1e-4), "one unit through all steps"


def test_clock_reaches_each_step_exactly_and_interpolates_in_between(scene, capture, embedded):
    steps = capture.training.steps
    shown = {int(step): cloud(scene.at(0.0, Selection(step=int(step)))).points for step in embedded.steps}
    for place, step in enumerate(steps):
        if step in shown:
            t = SECONDS * place / len(steps)
            assert np.allclose(cloud(scene.at(t)).points, shown[int(step)], atol=1e-3)
            assert scene.step(t + 1e-6, Selection()) == step
    before, after = int(embedded.steps[4]), int(embedded.steps[5])
    first, last = (int(np.searchsorted(steps, step)) for step in (before, after))
    between = scene.at(SECONDS * (first + last) / 2 / len(steps))
    assert f"points between step {before} and step {after}" in words(between)
    middle = (shown[before] + shown[after]) / 2
    assert not np.allclose(cloud(between).points, shown[before], atol=0.05)
    assert np.abs(cloud(between).points - middle).mean() < np.abs(shown[after] - shown[before]).mean() / 2
    assert scene.duration == SECONDS
    assert cloud(scene.at(SECONDS)).points is cloud(scene.at(SECONDS + 5)).points


def test_classes_separate_during_the_training(scene, embedded):
    labels = embedded.samples.labels
    first, last = (cloud(scene.at(t)).points for t in (0.0, SECONDS))
    assert class_separation(last, labels) > 2 * class_separation(first, labels)
    assert f"distance between classes: {class_separation(last, labels):.1f} mean class radii" in words(
        scene.at(SECONDS)
    )


def test_wrong_predictions_of_the_step_have_rings(scene, embedded):
    for k in (0, 8, -1):
        found = cloud(scene.at(0.0, Selection(step=int(embedded.steps[k]))))
        assert np.array_equal(found.rings[:, 3] > 0, embedded.predictions(k) != embedded.samples.labels)


def test_trails_end_at_the_points_and_begin_one_step_before(scene, capture, embedded):
    before, step = (Selection(step=int(embedded.steps[k])) for k in (6, 7))
    found = scene.at(0.0, step)
    trails = next(p for p in found.primitives if isinstance(p, Lines))
    assert np.array_equal(trails.points[:, -1], cloud(found).points)
    assert np.array_equal(trails.points[:, 0], cloud(scene.at(0.0, before)).points)
    assert not any(isinstance(p, Lines) for p in scene.at(0.0).primitives), "there is no way before the first step"
    bare = build(capture, trails=0)
    assert not any(isinstance(p, Lines) for p in bare.at(0.0, step).primitives)


def test_description_of_a_point_has_the_prediction_at_the_step(scene, capture, embedded):
    index = int(np.flatnonzero(embedded.predictions(0) != embedded.samples.labels)[0])
    pick = PointPick("dense", index)
    for k in (0, -1):
        step = int(embedded.steps[k])
        callout = next(p for p in scene.at(0.0, Selection(step=step, pick=pick)).primitives if isinstance(p, Callout))
        told = "\n".join(row.text for row in callout.rows if isinstance(row, TextRow))
        assert f"labelled {embedded.samples.labels[index]}" in told
        assert f"predicted {embedded.predictions(k)[index]}" in told
        picture = next(row for row in callout.rows if isinstance(row, PictureRow))
        assert np.array_equal(picture.pixels, embedded.samples.thumbnails[index])
        known = embedding_of(scene.as_of(0.0, Selection(step=step)).context, "dense")
        assert np.array_equal(known.predictions, embedded.predictions(k))


def test_points_follow_the_animation_of_the_scene_without_a_training_phase(capture, embedded):
    spec = {"format": 1, "views": [{"kind": "embedding", "animate": {"start": 1.0, "duration": 4.0}}]}
    scene = Scene.build(parse_scene(spec), capture)
    assert scene.duration == 5.0
    assert "the points of step 1\n" in words(scene.at(0.5))
    assert f"the points of step {embedded.steps[-1]}" in words(scene.at(5.0))


def test_scene_that_cannot_be_shown_is_refused_in_one_sentence(capture, recorded_capture):
    with pytest.raises(SceneError, match=r"there is no embedding of 'conv2d'; the capture has dense\."):
        build(capture, layer="conv2d")
    with pytest.raises(SceneError, match=r"record the training with TrainingRecorder\(\.\.\., embed='LAYER'"):
        build(recorded_capture)


def test_equal_moments_give_the_same_objects(scene, capture):
    end = scene.at(SECONDS)
    scene.at(0.1)
    assert cloud(scene.at(SECONDS)) is cloud(end)
    again = trajectory_of(open_capture(capture.path))
    assert np.array_equal(again.points, capture.training.embedded.trajectory.points), "they came placed"
