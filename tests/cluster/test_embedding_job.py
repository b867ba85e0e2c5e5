"""Embeddings on a cluster, compared with those by one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")

from nnviz3d.analysis.embedding import embed
from nnviz3d.apps.worker import run_capture
from nnviz3d.cluster import embedding_job
from nnviz3d.cluster.capture_job import capture_on_cluster
from nnviz3d.cluster.connection import MODELS, ClusterOptions, Connected, connected
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.request import CaptureRequest, Insights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    # Not imported here: other tests of this process draw.
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]

DIGITS = str(bundled("digits.keras"))
INSIGHTS = Insights(
    embeddings=("conv2d_2",),
    dataset=("digits:0-399",),
    embedding_options=EmbeddingOptions(method="pca"),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Connected]:
    with connected(ClusterOptions(workers=2), MODELS) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """The embedding by one process."""
    out = tmp_path_factory.mktemp("alone") / "run.zarr"
    run_capture(request(out))
    return open_capture(out)


def request(out: Path) -> CaptureRequest:
    return CaptureRequest(model=DIGITS, inputs=("digits:7",), out=out, insights=INSIGHTS)


def test_embedding_that_fits_into_memory_equals_that_by_one_process(cluster: Connected, alone: Capture, tmp_path: Path):
    capture_on_cluster(request(tmp_path / "run.zarr"), cluster)
    found, expected = (one.embedding("conv2d_2") for one in (open_capture(tmp_path / "run.zarr"), alone))
    for name in ("points", "vectors", "labels", "predictions", "probabilities", "thumbnails", "mean", "basis"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.names == expected.names
    assert found.quality == expected.quality
    assert found.key == expected.key


def test_embedding_by_parts_reduces_as_a_pca_of_all_outputs_and_keeps_every_sample(
    cluster: Connected, alone: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedding_job, "MEMORY", 1)
    monkeypatch.setattr(embedding_job, "_ROWS", 128)
    capture_on_cluster(request(tmp_path / "run.zarr"), cluster)
    found, expected = (one.embedding("conv2d_2") for one in (open_capture(tmp_path / "run.zarr"), alone))
    assert found.names == expected.names
    assert np.array_equal(found.predictions, expected.predictions)
    # One process finds the components by a randomized method: the exact ones keep at least as much variance.
    assert np.allclose(found.basis.T @ found.basis, np.eye(50), atol=1e-5)
    assert np.allclose(found.mean, expected.mean, atol=1e-5)
    assert found.quality["variance"] == pytest.approx(expected.quality["variance"], abs=1e-3)
    assert found.quality["variance"] >= expected.quality["variance"] - 1e-6
    # Distances do not depend on the signs of the components.
    for name, share in (("vectors", 5e-3), ("points", 1e-3)):
        mine, its = (distances(getattr(one, name).astype(np.float64)) for one in (found, expected))
        assert np.allclose(mine, its, atol=share * its.max()), name
    assert found.quality["trustworthiness"] == pytest.approx(expected.quality["trustworthiness"], abs=0.01)


def distances(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors[:, np.newaxis] - vectors[np.newaxis], axis=-1)


@pytest.mark.parametrize("layer", ["conv2d_2", "dense"])
def test_workers_place_samples_among_landmarks_as_one_process_places_them(
    cluster: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
):
    monkeypatch.setattr(embedding_job, "MEMORY", 1)
    monkeypatch.setattr(embedding_job, "_ROWS", 128)
    monkeypatch.setattr(embedding_job, "LANDMARKS", 100)
    options = EmbeddingOptions(method="tsne", seed=3)
    insights = Insights(embeddings=(layer,), dataset=("digits:0-399",), embedding_options=options)
    asked = request(tmp_path / "run.zarr").model_copy(update={"insights": insights})
    capture_on_cluster(asked, cluster)
    found = open_capture(tmp_path / "run.zarr").embedding(layer)
    assert found.settings["landmarks"] == 100
    assert found.vectors.shape[0] == 400
    expected = embed(found.vectors, replace(options, landmarks=100))
    assert np.array_equal(found.points, expected.points)
    assert np.array_equal(found.snapshots, expected.snapshots)
