"""Test of the example that records a training that overfits: validation, histograms and event files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_short_training_is_recorded_with_its_validation(tmp_path: Path):
    words = ("--epochs", "2", "--tensorboard", "logs")
    done = run(EXAMPLES / "record_overfitting.py", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    training = open_capture(tmp_path / "histograms.zarr.zip").training
    assert training.epoch_ends.steps.tolist() == [10, 20]
    assert set(training.epoch_ends.validation) == {"val_loss", "val_accuracy"}
    assert training.histograms.steps.tolist() == [1, 20]
    assert "The model does not overfit." in done.stdout
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["train", "validation"]
