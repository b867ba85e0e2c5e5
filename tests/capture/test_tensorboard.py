"""Event files for TensorBoard hold the recorded numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nnviz3d import TrainingRecorder
from nnviz3d.data.capture import open_capture
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.data.training_histograms import BINS
from nnviz3d.errors import UserError
from tests.support import captures
from tests.support.recorder import Recorder
from tests.support.trainings import VALIDATED, histogrammed_training, small_training

pytestmark = pytest.mark.tensorflow


def events(folder):
    """Read a run by TensorFlow's own reader: by tag, ``{step: number}``, or ``{step: bins}`` of a histogram."""
    found = {}
    (file,) = folder.glob("*tfevents*")
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            number = tf.make_ndarray(value.tensor)
            assert value.metadata.plugin_data.plugin_name == ("histograms" if number.ndim else "scalars")
            found.setdefault(value.tag, {})[event.step] = number if number.ndim else number.item()
    return found


def test_event_files_hold_all_scalars_of_the_training_and_its_validation(tmp_path):
    training = small_training(tmp_path / "run.zarr", validated=True).training
    other = tmp_path / "logs" / "train" / "events.out.tfevents.other"
    other.parent.mkdir(parents=True)
    other.touch()
    recorder = TrainingRecorder(tmp_path / "run.zarr")
    for _ in range(2):  # the second call replaces the files of the first one
        assert recorder.to_tensorboard(tmp_path / "logs") == tmp_path / "logs"
    assert other.exists()
    other.unlink()
    train, validation = (events(tmp_path / "logs" / name) for name in ("train", "validation"))
    known = np.isfinite(training.loss)
    assert list(train["batch/loss"]) == training.steps[known].tolist()
    assert list(train["batch/loss"].values()) == pytest.approx(training.loss[known].tolist())
    assert list(train["batch/accuracy"].values()) == pytest.approx([k / 10 for k in range(6)])
    assert train["epoch/loss"] == pytest.approx({step: 1 / step for step in VALIDATED})
    norms = training.statistic("gradient_norm")[:, training.layers.index("dense")]
    assert list(train["gradient_norm/dense"].values()) == norms.tolist()
    assert validation["epoch/loss"] == {step: loss for step, (loss, _) in VALIDATED.items()}
    assert validation["epoch/accuracy"] == pytest.approx({step: share for step, (_, share) in VALIDATED.items()})


def test_event_files_mark_where_a_training_diverged(tmp_path):
    """From the third epoch on all losses are NaN; the loss of the first step was not recorded."""
    graph = captures.small_graph()
    with CaptureWriter(
        tmp_path / "run.zarr", graph=graph, provenance=Provenance("hand"), samples=0, growing=True
    ) as capture:
        announce_training(capture, graph, metrics=("loss",))
        capture.commit(0)
    writer = TrainingWriter(tmp_path / "run.zarr")
    for step, loss in ((1, np.nan), (10, 2.0), (20, 1.0), (30, np.nan), (40, np.nan), (50, np.nan), (60, np.nan)):
        scalars = {"step": step, "epoch": step // 10 - 1, "loss": loss, "learning_rate": np.nan}
        layers = np.full((len(graph), len(STATISTICS)), np.nan, np.float32)
        writer.step(scalars, {"loss": loss}, layers, np.empty(0, np.float32))
    for epoch, loss in enumerate([2.0, 1.0, *4 * [np.nan]]):
        writer.epoch_end(10 * (epoch + 1), epoch, {"loss": loss, "val_loss": loss / 2, "val_mae": loss})
    writer.finish()
    TrainingRecorder(tmp_path / "run.zarr").to_tensorboard(tmp_path / "logs")
    train, validation = (events(tmp_path / "logs" / name) for name in ("train", "validation"))
    nan = pytest.approx(np.nan, nan_ok=True)
    diverged = {30: nan, 40: nan, 50: nan, 60: nan}
    assert train["batch/loss"] == {10: 2.0, 20: 1.0, **diverged}
    assert train["epoch/loss"] == {10: 2.0, 20: 1.0, **diverged}
    assert "batch/learning_rate" not in train
    assert validation == {"epoch/loss": {10: 1.0, 20: 0.5, **diverged}, "epoch/mae": {10: 2.0, 20: 1.0}}


def test_event_files_hold_the_histograms(tmp_path):
    histograms = histogrammed_training(tmp_path / "run.zarr").training.histograms
    TrainingRecorder(tmp_path / "run.zarr").to_tensorboard(tmp_path / "logs")
    bins = events(tmp_path / "logs" / "train")["gradients/dense"]
    recorded = histograms.of("dense", "gradients")
    assert list(bins) == histograms.steps.tolist()
    for found, limits, counts in zip(bins.values(), recorded.limits, recorded.counts, strict=True):
        left, right, count = found.T
        assert count.tolist() == counts.tolist()
        assert (left[0], right[0], left[-1], right[-1]) == (limits[0], limits[0], limits[1], limits[1])
        assert right[:-1] == pytest.approx(left[1:])
        assert right[1:-1] - left[1:-1] == pytest.approx((limits[1] - limits[0]) / BINS)


def test_a_training_without_validation_has_one_run_and_no_numbers_that_were_not_recorded(tmp_path):
    recorded = Recorder(tmp_path / "run.zarr")
    recorder = TrainingRecorder(tmp_path / "other.zarr")
    with pytest.raises(UserError, match="other"):
        recorder.to_tensorboard(tmp_path / "logs")
    recorder.path = tmp_path / "run.zarr"
    with pytest.raises(UserError, match="No step of the training has been recorded yet"):
        recorder.to_tensorboard(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
    recorded.go_on(3)
    recorder.to_tensorboard(tmp_path / "logs")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["train"]
    assert set(events(tmp_path / "logs" / "train")) == {
        "batch/loss",
        "batch/learning_rate",
        "batch/mean loss of the epoch",
    }
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file; give a folder"):
        recorder.to_tensorboard(tmp_path / "file")
    assert open_capture(tmp_path / "run.zarr").training.committed == 3
