"""Recorded trainings: only complete steps are read, during the training and after the writer ended or was killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_embedded, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.data.training_embedding import EmbeddedSamples, EmbeddingTrajectory, write_trajectory
from nnviz3d.errors import CaptureError
from tests.support import captures

GRAPH = captures.small_graph()
L, K = len(GRAPH), len(STATISTICS)
CHANNELS = Packing((("conv", "", (4,)), ("dense", "", (20,))))
ACTIVATIONS = Packing(tuple((node.id, "0", (2, *node.shape)) for node in GRAPH))
WEIGHTS = Packing((("conv", "kernel", (3, 3, 1, 4)), ("conv", "bias", (4,))))


def begin(path, probes=2, embedded=None):
    provenance = Provenance("hand", samples=tuple(f"probe {i}" for i in range(probes)))
    with CaptureWriter(path, graph=GRAPH, provenance=provenance, samples=probes, growing=True) as writer:
        writer.commit(probes)
        announce_training(
            writer,
            GRAPH,
            metrics=("loss", "accuracy"),
            probes=probes,
            channels=CHANNELS,
            activations=ACTIVATIONS,
            gradients=ACTIVATIONS,
            weights=WEIGHTS,
        )
        if embedded is not None:
            announce_embedded(writer, embedded)
    return TrainingWriter(path)


def add(writer, step):
    """Write a step; all of its numbers equal the step."""
    writer.step(
        {"step": step, "epoch": step // 10, "loss": step / 2, "learning_rate": 0.1},
        {"loss": step / 3, "accuracy": step / 4},
        np.full((L, K), step, np.float32),
        np.full(CHANNELS.width, step, np.float32),
    )


def probe(writer, step):
    writer.probe(step, np.full(ACTIVATIONS.width, step, np.float32), np.full(ACTIVATIONS.width, -step, np.float32))
    writer.weights(step, np.full(WEIGHTS.width, step, np.float32))


def test_training_is_read_as_it_was_written(tmp_path):
    writer = begin(tmp_path / "run.zarr")
    rng = np.random.default_rng(1)
    series, channels = rng.normal(size=(3, L, K)).astype("f4"), rng.normal(size=(3, 24)).astype("f4")
    tensors, weights = rng.normal(size=(2, ACTIVATIONS.width)).astype("f4"), rng.normal(size=40).astype("f4")
    for i, step in enumerate((1, 10, 20)):
        if step == 10:
            writer.probe(step, *tensors)
            writer.weights(step, weights)
        scalars = {"step": step, "epoch": i, "loss": 0.1, "learning_rate": 1e-3}
        writer.step(scalars, {"accuracy": 0.5}, series[i], channels[i])
    writer.finish()
    capture = open_capture(tmp_path / "run.zarr")
    training = capture.training
    assert training.finished
    assert capture.complete
    assert len(training) == 3
    assert training.steps.tolist() == [1, 10, 20]
    assert training.epochs.tolist() == [0, 1, 2]
    assert training.loss.tolist() == [0.1] * 3
    assert training.learning_rate.tolist() == [1e-3] * 3
    assert training.metrics["accuracy"].tolist() == [0.5] * 3
    assert np.isnan(training.metrics["loss"]).all(), "the metric was not given"
    assert training.layers == tuple(node.id for node in GRAPH)
    assert np.array_equal(training.series, series)
    assert np.array_equal(training.statistic("update_ratio"), series[:, :, 2])
    assert training.channel_layers == ("conv", "dense")
    assert np.array_equal(training.channel_gradients("dense"), channels[:, 4:])
    assert training.probe_steps.tolist() == training.weight_steps.tolist() == [10]
    where, shape = ACTIVATIONS.span("conv", "0")
    assert np.array_equal(training.activation("conv"), tensors[0, where].reshape(shape))
    assert np.array_equal(training.gradient("conv", 0), tensors[1, where].reshape(shape))
    assert np.array_equal(training.weights("conv")["bias"], weights[36:])
    assert np.array_equal(capture.weights("conv")["kernel"], weights[:36].reshape(3, 3, 1, 4))
    assert np.array_equal(capture.activation("conv", 1), training.activation("conv")[1]), "as for any capture"
    assert capture.activation_shape("conv") == shape[1:]
    with pytest.raises(CaptureError, match="1 were recorded"):
        training.activation("conv", 1)
    with pytest.raises(CaptureError, match="samples 0 to 1"):
        capture.activation("conv", 2)


def test_embedded_outputs_are_read_after_the_step_that_commits_them(tmp_path):
    path = tmp_path / "run.zarr"
    known = EmbeddedSamples(
        layer="dense",
        width=3,
        pooled=False,
        names=("a", "b"),
        labels=np.array([4, 2]),
        thumbnails=np.zeros((2, 1, 1, 3), np.uint8),
        predicts=True,
        probable=False,
    )
    writer = begin(path, embedded=known)
    assert open_capture(path).training.embedded.steps.shape == (0,)
    vectors = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    for k, step in enumerate((1, 10)):
        writer.embedded(step, vectors[k], np.array([k, 4]), np.empty(0, np.float32))
        assert len(open_capture(path).training.embedded) == k, "it is committed with its step"
        add(writer, step)
    writer.finish()
    embedded = open_capture(path).training.embedded
    assert embedded.steps.tolist() == [1, 10]
    assert np.array_equal(embedded.vectors(0), vectors[0])
    assert np.array_equal(embedded.vectors(), vectors[1])
    assert embedded.predictions(1).tolist() == [1, 4]
    assert embedded.probabilities().shape == (0,)
    assert (embedded.samples.layer, embedded.samples.names, embedded.samples.labels.tolist()) == (
        "dense",
        ("a", "b"),
        [4, 2],
    )
    with pytest.raises(CaptureError, match="2 were recorded"):
        embedded.vectors(2)
    assert embedded.trajectory is None
    course = EmbeddingTrajectory(np.ones((2, 2, 3), np.float32), ({"kl": 0.5}, {}), {"seed": 1}, ("x", "y"))
    write_trajectory(path, course)
    read = open_capture(path).training.embedded.trajectory
    assert np.array_equal(read.points, course.points)
    assert (read.quality, read.settings, read.keys) == (course.quality, course.settings, course.keys)
    assert open_capture(path).complete


def test_training_before_its_first_step_is_empty(tmp_path):
    begin(tmp_path / "run.zarr", probes=0)
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.graph == GRAPH
    assert not capture.complete
    training = capture.training
    assert training.series.shape == (0, L, K)
    assert training.channel_gradients("conv").shape == (0, 4)
    assert training.loss.shape == training.steps.shape == training.probe_steps.shape == (0,)
    assert not training.has_activation("conv")
    assert training.weights("conv") == {}
    assert training.embedded is None


def test_capture_without_a_training_has_none(small_capture):
    assert small_capture.training is None


def test_refreshed_training_has_the_new_steps(tmp_path):
    writer = begin(tmp_path / "run.zarr")
    add(writer, 1)
    first = open_capture(tmp_path / "run.zarr").training
    assert first.refreshed() is first
    probe(writer, 2)
    assert first.refreshed() is first, "uncommitted steps are not read"
    add(writer, 2)
    second = first.refreshed()
    assert (len(first), len(second)) == (1, 2)
    assert first.series.shape[0] == 1, "the earlier reader does not change"
    assert second.probe_steps.tolist() == [2]
    writer.finish()
    assert second.refreshed().finished
    add(writer, 3)
    third = second.refreshed()
    assert (len(third), third.finished) == (3, False)
    assert not open_capture(tmp_path / "run.zarr").complete


def test_damaged_training_is_refused(tmp_path):
    add(begin(tmp_path / "run.zarr"), 1)
    file = tmp_path / "run.zarr" / "training" / "zarr.json"
    data = json.loads(file.read_text())
    del data["attributes"]["layers"]
    file.write_text(json.dumps(data))
    with pytest.raises(CaptureError, match="damaged"):
        _ = open_capture(tmp_path / "run.zarr").training


CHILD = """
import sys
from pathlib import Path
from tests.data.test_training import add, begin, probe
writer = begin(Path(sys.argv[1]))
for step in range(1, int(sys.argv[2]) + 1):
    if step % 10 == 0:
        probe(writer, step)
    add(writer, step)
    if step == 1:
        print("begun", flush=True)
writer.finish()
"""


def start(path, steps):
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert child.stdout.readline() == "begun\n"
    return child


def check(training):
    """Check that all numbers of every step equal the step."""
    steps = np.arange(1, len(training) + 1)
    assert np.array_equal(training.steps, steps)
    assert np.array_equal(training.loss, steps / 2)
    assert np.array_equal(training.metrics["accuracy"], steps / 4)
    assert np.array_equal(training.series, np.broadcast_to(steps[:, None, None], (len(steps), L, K)))
    assert np.array_equal(training.channel_gradients("dense"), np.broadcast_to(steps[:, None], (len(steps), 20)))
    probed = training.probe_steps
    assert np.array_equal(probed, training.weight_steps)
    assert len(probed) >= len(steps) // 10
    if len(probed):
        assert np.all(training.activation("conv") == probed[-1])
        assert np.all(training.gradient("dense") == -probed[-1])
        assert np.all(training.weights("conv")["kernel"] == probed[-1])


def test_another_process_reads_only_complete_steps(tmp_path):
    child = start(tmp_path / "run.zarr", 1000)
    training = open_capture(tmp_path / "run.zarr").training
    lengths = set()
    while not training.finished:
        training = training.refreshed()
        check(training)
        lengths.add(len(training))
    assert child.wait() == 0
    assert len(training) == 1000
    assert len(lengths) > 10, "the training was read while it was written"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_committed_steps_are_read_after_the_writer_was_killed(tmp_path):
    child = start(tmp_path / "run.zarr", 100_000)
    training = open_capture(tmp_path / "run.zarr").training
    while len(training) < 60:
        training = training.refreshed()
    child.kill()
    assert child.wait() == -signal.SIGKILL
    capture = open_capture(tmp_path / "run.zarr")
    assert not capture.complete
    assert len(capture.training) >= 60
    check(capture.training)


def test_ends_of_epochs_are_committed_with_the_next_step_or_the_end(tmp_path):
    writer = begin(tmp_path / "run.zarr")
    add(writer, 1)
    training = open_capture(tmp_path / "run.zarr").training
    assert len(training.epoch_ends) == 0
    assert training.epoch_ends.validation == {}
    writer.epoch_end(4, 0, {"loss": 0.5, "val_loss": 0.75})
    assert training.refreshed() is training
    add(writer, 10)
    longer = training.refreshed()
    assert longer.epoch_ends.steps.tolist() == [4]
    assert longer.epoch_ends.metrics["val_loss"].tolist() == [0.75]
    writer.epoch_end(8, 1, {"val_loss": 0.5, "another": 1.0})
    for step in range(12, 20_000, 4):
        writer.epoch_end(step, step // 4 - 1, {"loss": step, "val_loss": step / 2})
    writer.finish()
    ends = longer.refreshed().epoch_ends
    assert ends.steps.tolist() == list(range(4, 20_000, 4))
    assert ends.epochs.tolist() == list(range(len(ends)))
    assert set(ends.metrics) == {"loss", "val_loss"}
    assert np.isnan(ends.metrics["loss"][1])
    assert ends.validation["val_loss"][1:3].tolist() == [0.5, 6.0]
    assert ends.validation["val_loss"][-1] == 19_996 / 2


def test_recordings_of_versions_without_ends_of_epochs_are_read(tmp_path):
    writer = begin(tmp_path / "run.zarr")
    add(writer, 1)
    writer.finish()
    path = tmp_path / "run.zarr" / "training" / "zarr.json"
    described = json.loads(path.read_text())
    del described["attributes"]["committed"]["epochs"]
    path.write_text(json.dumps(described))
    training = open_capture(tmp_path / "run.zarr").training
    assert training.steps.tolist() == [1]
    assert len(training.epoch_ends) == 0
