"""The view of alarms: frames, labels and list at the shown step, and short texts for many layers."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.analysis.health import alarms
from nnviz3d.data.capture import Capture
from nnviz3d.data.training import STATISTICS
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Box, DrawList, Labels, Lines, Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.health import GRAVE, SERIOUS
from tests.support.pinhole import to_pixels
from tests.support.trainings import faulty_training, training_of

WELL, DEAD, BROKEN = 1, 10, 20


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return faulty_training(tmp_path_factory.mktemp("faulty") / "run.zarr")


@pytest.fixture(scope="module")
def scene(capture: Capture) -> Scene:
    return Scene.build(default_scene(), capture)


def marks(picture: DrawList) -> dict[type, object]:
    return {type(p): p for p in picture.primitives if getattr(p, "name", "") == "health"}


def shown_texts(picture: DrawList) -> list[str]:
    panel = marks(picture)[Panel]
    return [row.text if isinstance(row, TextRow) else row.swatches[0][1] for row in panel.rows]


def test_nothing_is_marked_without_alarms(scene: Scene):
    assert marks(scene.at(0, Selection(step=WELL))) == {}


def test_last_step_is_shown_by_default(scene: Scene):
    assert shown_texts(scene.at(scene.duration))[0] == f"alarms at training step {BROKEN}"


def test_layer_with_an_alarm_is_framed_labelled_and_listed(scene: Scene):
    found = marks(scene.at(0, Selection(step=DEAD)))
    place = scene.context.placement("dense")
    points = found[Lines].points.reshape(-1, 3)
    assert found[Lines].points.shape == (12, 2, 3)
    for axis in range(3):
        low, high = points[:, axis].min(), points[:, axis].max()
        assert low == pytest.approx(place.origin[axis], abs=0.2)
        assert low < place.origin[axis]
        assert high > place.origin[axis] + place.size[axis]
    assert np.allclose(found[Lines].colors[:, :3], GRAVE)
    (label,) = found[Labels].labels
    assert label.lines == ("dead units", "95%")
    assert label.anchor == pytest.approx(points.min(axis=0))
    assert shown_texts(scene.at(0, Selection(step=DEAD))) == [
        "alarms at training step 10",
        "dead units in dense",
        "95% give 0 for every probe sample (alarm from 90%)",
    ]
    assert scene.at(0, Selection(step=DEAD)).primitives[-1] is scene.at(1, Selection(step=DEAD)).primitives[-1]


def test_gravest_alarm_of_a_layer_sets_its_colour(scene: Scene):
    found = marks(scene.at(0, Selection(step=BROKEN)))
    assert np.allclose(found[Lines].colors.reshape(-1, 12, 4)[:, 0, :3], [SERIOUS, GRAVE])
    rows = shown_texts(scene.at(0, Selection(step=BROKEN)))
    assert rows[1] == "NaN or infinite in scores"
    assert rows[3] == "update ratio out of range in conv"


def test_picture_has_a_red_frame_around_the_block_with_the_alarm(scene: Scene):
    size = (640, 360)
    studio = Offscreen(size, antialias=False)
    pose = scene.overview(aspect=16 / 9)
    red_ones = []
    for step in (WELL, DEAD):
        shown = tuple(p for p in scene.at(0, Selection(step=step)).primitives if isinstance(p, Lines | Box))
        red, green, blue = np.moveaxis(studio.picture(DrawList(shown), pose).astype(int), -1, 0)
        red_ones.append(np.argwhere((red > 140) & (green < 0.5 * red) & (blue < 0.5 * red))[:, ::-1])
    studio.close()
    assert len(red_ones[0]) == 0
    assert len(red_ones[1]) > 100
    corners = to_pixels(scene.context.plan.corners(["dense"]), pose, size)
    assert np.abs(red_ones[1].min(axis=0) - corners.min(axis=0)).max() < 8
    assert np.abs(red_ones[1].max(axis=0) - corners.max(axis=0)).max() < 8


def test_scene_sets_the_maximum_number_of_labels(tmp_path):
    capture = faulty_training(tmp_path / "long.zarr", layers=8)
    for most, first in ((5, "vanishing gradient in 6 layers"), (6, "vanishing gradient")):
        spec = parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "health", "labels": most}]})
        labels = marks(Scene.build(spec, capture).at(0))[Labels].labels
        assert [label.lines[0] for label in labels] == [first] * (6 if most == 6 else 1)


def test_many_layers_with_the_same_alarm_share_a_label_and_a_row(tmp_path):
    capture = faulty_training(tmp_path / "long.zarr", layers=40)
    found = alarms(capture.training, capture.graph)
    assert len(found) == 30
    picture = Scene.build(default_scene(), capture).at(0)
    assert len(marks(picture)[Lines].points) == 30 * 12
    assert [label.lines for label in marks(picture)[Labels].labels] == [
        ("vanishing gradient in 30 layers", "1.0e−9 of the largest")
    ]
    assert len(shown_texts(picture)) == 3
    assert shown_texts(picture)[1] == "vanishing gradient in 30 layers, dense_0 … dense_29"


def test_list_names_the_layer_where_nan_began(tmp_path):
    steps = np.array([1, 2])
    series = np.zeros((2, 6, len(STATISTICS)), np.float32)
    series[1, 1:, STATISTICS.index("nonfinite_weights")] = 9
    series[1, 4, STATISTICS.index("nonfinite_before")] = 1
    capture = training_of(tmp_path / "nan.zarr", steps, series)
    spec = parse_scene({"format": 1, "views": [{"kind": "structure"}]})
    assert shown_texts(Scene.build(spec, capture).at(0))[1:] == [
        "NaN or infinite in 5 layers, conv … scores",
        "it began in dense: 1 of its weights (already before the step; alarm above 0)",
    ]


def test_view_draws_nothing_without_a_training(small_capture: Capture):
    spec = parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "health"}]})
    assert marks(Scene.build(spec, small_capture).at(0)) == {}
    assert "health" not in [view.kind for view in Scene.build(default_scene(), small_capture).spec.views]


def test_frame_is_around_the_balls_of_a_node_link_graph(capture: Capture):
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "nodes"}]}), capture)
    found = marks(scene.at(scene.duration, Selection(step=DEAD)))
    neurons, frame = scene.around("dense"), found[Lines].points.reshape(-1, 3)
    assert len(neurons) == 20
    assert (frame.min(axis=0) < neurons.min(axis=0)).all()
    assert frame.min(axis=0) == pytest.approx(neurons.min(axis=0), abs=0.35)
    assert frame.max(axis=0) == pytest.approx(neurons.max(axis=0), abs=0.35)
    assert found[Labels].labels[0].lines[0] == "dead units"


def test_scene_with_the_view_of_alarms_is_unchanged():
    once = default_scene().with_automatic()
    assert once.with_automatic() is once
