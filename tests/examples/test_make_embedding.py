"""Test of the example that embeds digits: its points are the principal components of the layer's activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled, digits
from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_points_are_the_principal_components_of_the_activations(tmp_path: Path):
    done = run(EXAMPLES / "make_embedding.py", "--method", "pca", "--dataset", "digits:0-59", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, quality, last = done.stdout.splitlines()
    assert first.startswith("60 points by pca of dense; ")
    assert "trustworthiness 0.9" in quality
    assert last == "To see the points: nnviz3d serve embedding.zarr"
    found = open_capture(tmp_path / "embedding.zarr").embedding("dense")
    assert np.array_equal(found.labels, digits()[1][:60])
    assert f"; {np.mean(found.labels == found.predictions):.1%} are classified correctly." in first
    centred = found.vectors - found.vectors.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(found.points), np.abs(u[:, :3] * s[:3]), atol=1e-3)
    shipped = open_capture(bundled("embedding.zarr.zip")).embedding("dense")
    assert np.array_equal(shipped.names[:60], found.names)
    assert np.array_equal(shipped.predictions[:60], found.predictions)
