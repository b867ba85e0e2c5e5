"""A picked weight tells what the last recorded step did to it."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.training_updates import WeightUpdate
from nnviz3d.scene.derived.kernels import KernelPick
from nnviz3d.scene.derived.weight_updates import update_parts
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from tests.support.number_words import read_number
from tests.support.trainings import histogrammed_training, small_training

SPEC = parse_scene({"format": 1, "views": [{"kind": "kernels", "layer": "dense"}]})


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene.build(SPEC, histogrammed_training(tmp_path_factory.mktemp("updates") / "run.zarr"))


@pytest.mark.parametrize(("shown", "step"), [(1, 1), (40, 1), (50, 50)])
def test_weight_before_gradient_update_and_weight_after_are_the_recorded_ones(scene, shown, step):
    selection = Selection(step=shown)
    found = scene.as_of(scene.duration, selection).describe(KernelPick("dense", (7, 11)), selection)
    recorded = scene.capture.training.update("dense", "kernel", shown)
    assert [name for name, _ in found.parts] == [f"before step {step}", "gradient of its batch", "update", "after"]
    before, gradient, update, after = (np.float32(read_number(number)) for _, number in found.parts)
    assert (before, gradient, after) == (recorded.before[7, 11], recorded.gradient[7, 11], recorded.after[7, 11])
    assert found.value == str(after)
    assert update == np.float32(np.float64(after) - np.float64(before))


def update(monkeypatch, scene, before, gradient, after, rate=0.25):
    """Return the words about an update of a weight by these numbers."""
    numbers = [np.full((36, 20), number, np.float32) for number in (before, gradient, after)]
    made = WeightUpdate(50, rate, *numbers)
    monkeypatch.setattr(type(scene.capture.training), "update", lambda *_: made)
    return dict(update_parts(scene.context, "dense", "kernel", (0, 0)))


def test_an_update_by_gradient_descent_says_so_and_others_do_not(monkeypatch, scene):
    before, gradient = np.float32(0.3), np.float32(0.7)
    after = np.float32(before - np.float32(0.25) * gradient)
    assert update(monkeypatch, scene, before, gradient, after)["update"].endswith(" = −learning rate × gradient")
    assert "learning" not in update(monkeypatch, scene, before, gradient, after * np.float32(1.001))["update"]
    assert "learning" not in update(monkeypatch, scene, before, gradient, after, rate=np.nan)["update"]
    tiny = np.float32(1e-9)  # the weight cannot change by so little, whatever the rule
    assert update(monkeypatch, scene, before, tiny, before)["update"] == "0.0"


def test_a_step_without_known_weights_before_it_tells_nothing(monkeypatch, scene):
    assert update(monkeypatch, scene, np.nan, 1.0, 1.0) == {}


def test_trainings_without_recorded_updates_tell_nothing(tmp_path):
    old = Scene.build(SPEC, small_training(tmp_path / "old.zarr"))
    assert old.as_of(old.duration, Selection()).describe(KernelPick("dense", (0, 0)), Selection()).parts == ()
