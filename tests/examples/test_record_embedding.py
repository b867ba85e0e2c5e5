"""Test of the example that records an embedding: its capture holds classes that separate, with their points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnviz3d.analysis.embedding_trajectory import class_separation
from nnviz3d.data.bundled import digits
from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_short_training_is_recorded_and_embedded(tmp_path: Path):
    done = run(EXAMPLES / "record_embedding.py", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    embedded = open_capture(tmp_path / "classes_part.zarr.zip").training.embedded
    assert embedded.steps.tolist() == [1, 10, 20]
    assert np.array_equal(embedded.samples.labels, digits()[1][700:])
    assert embedded.samples.thumbnails.shape == (300, 28, 28, 3)
    first, last = (class_separation(embedded.trajectory.points[k], embedded.samples.labels) for k in (0, -1))
    assert (
        f"Distance between the classes, in mean radii of a class: {first:.1f} at first, {last:.1f} at last."
        in done.stdout
    )
    assert last > first
