"""Two recorded trainings that are compared: at each step the numbers of both that were recorded last up to it."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.comparison import joined
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.compared import counterpart_activation, counterpart_of
from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.scene.derived.differences import differences_of
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support import trainings

NAMES = ("run1.zarr", "run2.zarr", "run2.zarr")


def second_run(path):
    """Write another training of the same network, whose probe samples were recorded after steps 1, 5 and 25."""
    network, random = trainings.graph(), np.random.default_rng(17)
    tensors = Packing(tuple((node.id, "0", (2, *node.shape)) for node in network))
    weights = Packing((("dense", "kernel", (36, 20)),))
    provenance = Provenance("hand", samples=("probe 0", "probe 1"))
    with CaptureWriter(path, graph=network, provenance=provenance, samples=2, growing=True) as capture:
        capture.commit(2)
        announce_training(capture, network, metrics=(), probes=2, activations=tensors, weights=weights)
    writer = TrainingWriter(path)
    for step in (1, 5, 25):
        writer.probe(step, tensors.pack([random.normal(size=(2, *n.shape)) for n in network]), np.empty(0, np.float32))
        writer.weights(step, random.normal(size=weights.width).astype(np.float32))
        scalars = {"step": step, "epoch": 0, "loss": 2.0 / step, "learning_rate": 0.1}
        writer.step(scalars, {}, np.zeros((len(network), len(STATISTICS)), np.float32), np.empty(0, np.float32))
    writer.finish()
    return open_capture(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return trainings.small_training(folder / "run1.zarr"), second_run(folder / "run2.zarr")


@pytest.mark.parametrize(("step", "probed"), [(1, 1), (15, 1), (20, 5), (50, 25)])
def test_both_runs_are_read_at_the_same_step(runs, step, probed):
    one, two = runs
    series = at_step(joined([one], [two], NAMES), step)
    assert counterpart_of(series).capture.step_records.probe_step == probed, (
        "the last record of the second run up to it"
    )
    # The second run is read at the step of what is shown of the first one: its record of step 20 is shown at step 40, too.
    at = [one.training.probe_steps.tolist().index({1: 1, 15: 1, 20: 20, 50: 50}[step])]
    at.append(two.training.probe_steps.tolist().index(probed))
    for node in ("conv", "dense"):
        assert np.array_equal(series.activation(node, 0), one.training.activation(node, at[0])[0])
        assert np.array_equal(counterpart_activation(series, node, 0), two.training.activation(node, at[1])[0])
    weights = counterpart_of(series).weights(series.graph.node("dense"))
    assert weights.keys() == at_step(two, step).weights("dense").keys()


def test_numbers_of_a_step_do_not_depend_on_the_steps_before_it(runs):
    scene = Scene.build(default_scene(), joined([runs[0]], [runs[1]], NAMES))
    chosen = Selection(quantity="difference", step=20)
    first = scene.as_of(0, chosen).context.difference("dense", chosen)
    scene.at(0, Selection(quantity="difference", step=50))
    at = [run.training.probe_steps.tolist().index(step) for run, step in zip(runs, (20, 5), strict=True)]
    expected = np.subtract(*(run.training.activation("dense", k)[0] for run, k in zip(runs, at, strict=True)))
    assert np.array_equal(first, expected)
    assert np.array_equal(scene.as_of(0, chosen).context.difference("dense", chosen), expected)
    context = scene.as_of(0, chosen).context
    assert context.compared_names(chosen) == ("run1.zarr", "run2.zarr (step 5)")
    places = differences_of(context, chosen)
    assert "dense" in [place.layer for place in places.layers]
