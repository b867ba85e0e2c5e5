"""Tests of the embedding of a training, which is computed with progress before the scene is drawn."""

import io

import numpy as np
import pytest
from rich.console import Console

from nnviz3d.apps import progress
from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import SceneError
from nnviz3d.scene.primitives import Points
from nnviz3d.scene.scene import Scene
from tests.support.parting import LABELS, M, Parting


def shown(scene: Scene) -> Points:
    return next(p for p in scene.at(scene.duration).primitives if isinstance(p, Points))


def test_points_are_placed_when_a_capture_is_opened_and_later_steps_continue(tmp_path):
    path = tmp_path / "run.zarr"
    training = Parting(path)
    training.go_on(2)
    with opened(str(path), "classes_part", ModelOptions(), run=pytest.fail) as found:
        embedded = found.capture.training.embedded
        first = found.trajectory
        assert first.points.shape == (2, M, 3)
        scene = Scene.build(found.spec, found.capture, trajectory=first)
        assert (shown(scene).rings[:, 3] > 0).sum() == (embedded.predictions(-1) != LABELS).sum()
    training.go_on(1)
    training.finish()
    later = open_capture(path)
    told = []
    course = trajectory_of(later, first, lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)
    assert np.array_equal(course.points[:2], first.points)
    on = scene.revised(later, course)
    assert shown(on).points.shape == (M, 3)
    assert not np.array_equal(shown(on).points, shown(scene).points)


def test_progress_of_placing_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_QUIET", 0.0)
    training = Parting(tmp_path / "run.zarr")
    training.go_on(2)
    out = io.StringIO()
    progress.embed_with_progress(
        open_capture(tmp_path / "run.zarr"), console=Console(file=out, force_terminal=True, width=90)
    )
    assert "Placing points" in out.getvalue()
    assert "TensorFlow" not in out.getvalue()


def test_training_without_embedding_is_refused_with_advice(recorded_capture):
    with (
        opened(str(recorded_capture.path), "classes_part", ModelOptions(), run=pytest.fail) as found,
        pytest.raises(SceneError, match="record the training with TrainingRecorder"),
    ):
        Scene.build(found.spec, found.capture)
