"""Captures on a cluster, compared with the same captures by one process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")

import zarr

from nnviz3d.apps.worker import run_capture
from nnviz3d.cluster.capture_job import capture_on_cluster
from nnviz3d.cluster.connection import MODELS, ClusterOptions, check_workers, connected
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.records import RANKINGS
from nnviz3d.data.request import CaptureRequest, Event, Insights, Progress
from nnviz3d.errors import UserError
from tests.support.dask_cluster import RunningCluster, running_cluster
from tests.support.processes import descendants, not_ignoring_interrupts
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    # Not imported here: other tests of this process draw.
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]

DIGITS = str(bundled("digits.keras"))
INPUT = "digits:0-99"
SAMPLES = 100
EXPLAINED = Insights(gradients=True, attributions=("grad_cam",))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """The capture by one process."""
    out = tmp_path_factory.mktemp("alone") / "run.zarr"
    run_capture(CaptureRequest(model=DIGITS, inputs=(INPUT,), out=out, insights=EXPLAINED))
    return open_capture(out)


def capture(cluster: RunningCluster, out: Path, report=lambda event: None, **fields) -> Capture:
    request = CaptureRequest(model=DIGITS, inputs=(INPUT,), out=out, **fields)
    with connected(ClusterOptions(cluster.address), MODELS) as found:
        done = capture_on_cluster(request, found, report)
    assert done.samples == SAMPLES
    return open_capture(out)


def arrays(capture: Capture) -> dict[str, np.ndarray]:
    members = zarr.open_group(capture.path, mode="r").members(max_depth=None)
    return {path: one[...] for path, one in members if isinstance(one, zarr.Array)}


def assert_equal(spread: Capture, alone: Capture) -> None:
    """Compare two captures bit for bit; records of connections may be filled up to another length."""
    assert spread.graph == alone.graph
    assert spread.classes == alone.classes
    assert spread.committed == alone.committed
    assert spread.complete
    mine, its = spread.provenance.to_json(), alone.provenance.to_json()
    assert {**mine, "created": ""} == {**its, "created": ""}
    found, expected = arrays(spread), arrays(alone)
    assert set(found) == set(expected)
    for path, values in expected.items():
        if path.startswith(("attributions/", "gradients/", "gradient_flow", "targets/")):
            # Gradients run in batches of their own, which round differently in parts of 32 samples.
            scale = np.abs(np.nan_to_num(values)).max(initial=0) or 1
            assert np.allclose(found[path] / scale, values / scale, atol=1e-5, equal_nan=True), path
        elif not path.startswith("connections/"):
            assert found[path].dtype == values.dtype, path
            assert np.array_equal(found[path], values, equal_nan=values.dtype.kind == "f"), path
    for edge in alone.graph.edges:
        for ranking in RANKINGS:
            for sample in range(0, SAMPLES, 7):
                pairs = [one.connections(edge.source, edge.target, ranking, sample) for one in (spread, alone)]
                assert (pairs[0] is None) == (pairs[1] is None)
                if pairs[0] is not None and pairs[1] is not None:
                    assert pairs[0].total == pairs[1].total
                    for name in ("index", "weight", "contribution"):
                        assert np.array_equal(getattr(pairs[0], name), getattr(pairs[1], name))


def test_capture_by_two_workers_equals_that_by_one_process_and_survives_the_loss_of_a_worker(
    cluster: RunningCluster, alone: Capture, tmp_path: Path
):
    killed = []
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.stage == "forward" and not killed:
            killed.append(cluster.start_worker())
            cluster.workers[0].kill()

    assert_equal(capture(cluster, tmp_path / "run.zarr", hear, insights=EXPLAINED), alone)
    assert killed
    counted = [event.done for event in events if isinstance(event, Progress) and event.stage == "forward"]
    assert counted == sorted(counted)
    assert counted[-1] == SAMPLES


def test_interrupted_capture_ends_on_the_workers_too_and_leaves_nothing(cluster: RunningCluster, tmp_path: Path):
    words = ("capture", DIGITS, "--input", "digits:0-799", "-o", "run.zarr", "--cluster", cluster.address)
    command = subprocess.Popen(
        [sys.executable, "-m", "nnviz3d", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        preexec_fn=not_ignoring_interrupts,
    )
    written = lambda: any(tmp_path.glob(".run.zarr.*/capture/activations"))  # noqa: E731
    wait_until(written, "the first part is written", patience=120, pause=0.1)
    command.send_signal(signal.SIGINT)
    printed = command.communicate(timeout=60)[1]
    assert command.returncode == 130, printed
    assert b"Traceback" not in printed
    assert list(tmp_path.iterdir()) == []
    children = lambda: [child for worker in cluster.workers for child in descendants(worker.pid)]  # noqa: E731
    wait_until(lambda: children() == [], "the workers' processes end", patience=60, pause=0.1)


def test_refusal_of_a_worker_is_one_sentence_and_leaves_nothing(cluster: RunningCluster, tmp_path: Path):
    with pytest.raises(UserError, match="nowhere"):
        capture(cluster, tmp_path / "run.zarr", insights=Insights(attributions=("grad_cam",), layers=("nowhere",)))
    assert list(tmp_path.iterdir()) == []


def test_workers_are_counted_by_the_scheduler_not_by_what_the_client_remembers(cluster: RunningCluster):
    with connected(ClusterOptions(cluster.address), MODELS) as found:

        async def forget(n_workers: int = 0) -> None:  # as the client does every two seconds, at any moment
            found.client._scheduler_identity["workers"] = {}

        found.client._update_scheduler_info = forget
        assert found.threads == 2


@pytest.mark.parametrize(
    ("without", "version", "sentence"),
    [
        (["tensorflow"], "", "needs tensorflow, which the worker"),
        (["nnviz3d"], "", "has no nnviz3d"),
        ([], "0.0.9", r"has nnviz3d 0\.0\.9, and this program .*; install one version everywhere"),
    ],
)
def test_worker_that_lacks_a_package_or_has_another_version_is_named_before_any_work(
    cluster: RunningCluster, without: list[str], version: str, sentence: str
):
    with connected(ClusterOptions(cluster.address), MODELS) as found:
        before = found.threads
        worker = cluster.start_worker(*without, version=version)
        try:
            wait_until(lambda: found.threads > before, "the worker joins", patience=60, pause=0.2)
            with pytest.raises(UserError, match=sentence):
                check_workers(found, MODELS)
        finally:
            worker.kill()
            wait_until(lambda: found.threads == before, "the worker is gone", patience=60, pause=0.2)


def test_workers_keep_and_round_chosen_layers_as_one_process_does(
    cluster: RunningCluster, alone: Capture, tmp_path: Path
):
    part = capture(cluster, tmp_path / "part.zarr", keep=("conv2d_1", "dense"), float16=True)
    for node in alone.graph:
        assert part.has_activations(node.id) == (node.id in ("input", "conv2d_1", "dense", "dense_1"))
        if part.has_activations(node.id):
            its = alone.activations(node.id).values.astype(np.float16)
            assert np.array_equal(part.activations(node.id).values, its)
    assert "Numbers of 4 of 9 layers were kept: inputs, outputs, conv2d_1, dense." in part.provenance.notes
    assert part.provenance.kept == ("conv2d_1", "dense")
