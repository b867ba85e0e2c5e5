"""An order for a page of a session's samples, which lie in several captures on disk."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.export.html.order import PageOrder
from nnviz3d.apps.export.html.write import packed_page, write_page
from nnviz3d.apps.web.exports import _StoredSamples, _talk
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.targets import Target
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import UserError
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene
from tests.support.captures import write
from tests.support.exported import ExportedPage
from tests.support.gallery import SPECS
from tests.support.graphs import chain


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three captures of one model; every number is different."""
    folder, random = tmp_path_factory.mktemp("captures"), np.random.default_rng(3)
    graph = chain([("in", "InputLayer", (4, 4, 1)), ("conv", "Conv2D", (4, 4, 2)), ("out", "Dense", (3,))])

    def capture(name, samples):
        values = {node.id: random.random((samples, *node.shape), dtype=np.float32) for node in graph}
        return write(folder / name, graph, values)

    return capture("run.zarr", 2), capture("live-1.zarr.zip", 1), capture("live-2.zarr.zip", 1)


def test_samples_of_later_captures_are_exported_even_if_the_session_removes_them(made, tmp_path):
    first, removed, later = made
    own = shutil.copyfile(later.path, tmp_path / "live-2.zarr.zip")
    series = CaptureSeries.of(first).plus(removed).plus(open_capture(own)).without(2)
    places = _StoredSamples(series)
    (tmp_path / "kept").mkdir()
    files = places.files(tmp_path / "kept")
    own.unlink()
    order = PageOrder(
        files,
        default_scene(),
        Selection(sample=3, against=0, quantity="difference"),
        (places.of(3), places.of(0), places.of(1)),
        tmp_path / "x.html",
        against=places.of(0),
    )
    order = PageOrder.from_json(order.to_json())  # as the process gets it
    job = order.job()
    assert (job.found.capture.committed, job.selection.sample, job.selection.against) == (3, 2, 0)
    steps = []
    write_page(packed_page(job, lambda done, total: steps.append((done, total))), order.out)
    held = ExportedPage(order.out)
    assert [one["name"] for one in held.words["samples"]] == [later.sample_name(0), "sample 0", "sample 1"]
    found = held.values(("wide", 2, "difference"), "conv")
    expected = later.activation("conv") - first.activation("conv")
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(expected, axis=None))
    assert steps[0] == (0, 6)
    assert steps[-1] == (6, 6)


def test_changed_run_of_a_session_is_exported_even_if_the_session_replaces_it(made, tmp_path):
    first, _, later = made
    muted = Intervention("conv", unit=1)

    def also(writer):
        write_interventions(writer, (muted,))
        write_changed(writer, "out", 0, 0, np.full((1, 3), 7, np.float32))

    run = write(tmp_path / "changed.zarr.zip", first.graph, {"out": np.zeros((1, 3), np.float32)}, also=(also,))
    places = _StoredSamples(CaptureSeries.of(first).plus(later).with_changed_run(2, run).with_changed_run(0, None))
    (tmp_path / "kept").mkdir()
    order = PageOrder(
        places.files(tmp_path / "kept"),
        default_scene(),
        Selection(sample=2, quantity="change"),
        (places.of(2), places.of(0)),
        tmp_path / "x.html",
        changed=places.changed(tmp_path / "kept"),
    )
    run.path.unlink()
    found = PageOrder.from_json(order.to_json()).job().found.capture
    assert [found.explanations(k).interventions for k in (2, 0)] == [(muted,), ()]
    assert found.explanations(2).changed("out").tolist() == [7, 7, 7]


def test_process_that_ends_before_it_reads_its_order_tells_nothing(made, tmp_path):
    order = PageOrder((made[0].path,) * 50_000, default_scene(), Selection(), ((0, 0),), tmp_path / "x.html")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    assert _talk(subprocess.Popen([sys.executable, "-c", ""], **pipes), order, print) == {}


def test_capture_that_is_gone_is_one_sentence(made, tmp_path):
    order = PageOrder((tmp_path / "gone.zarr",), default_scene(), Selection(), ((0, 0),), tmp_path / "x.html")
    with pytest.raises(UserError, match=r"gone\.zarr"):
        order.job()


@pytest.mark.parametrize("pick", [None, LayerPick("conv"), CellPick("conv", (1, 2, 0))], ids=str)
def test_order_is_the_same_after_its_way_to_the_process(tmp_path, pick):
    selection = Selection(2, "conv", 0.25, target=Target("out", 1), against=1, quantity="difference", pick=pick)
    for spec in SPECS.values():
        order = PageOrder((tmp_path / "odd\udcff.zarr",), spec, selection, ((0, 2), (1, 0)), tmp_path / "x", (0, 1))
        assert PageOrder.from_json(order.to_json()) == order


def test_points_of_a_training_are_the_same_after_their_way_to_the_process(tmp_path):
    points = np.random.default_rng(0).random((3, 5, 3), dtype=np.float32)
    quality = ({"kl": 0.1, "variance": float("nan")}, {}, {"kl": 1 / 3})
    given = EmbeddingTrajectory(points, quality, {"seed": 3, "method": "tsne"}, ("a", "b", "c"))
    order = PageOrder((), default_scene(), Selection(), (), tmp_path, trajectory=given)
    found = PageOrder.from_json(order.to_json()).trajectory
    assert found.points.tobytes() == points.tobytes()
    assert repr(found.quality) == repr(quality)
    assert (found.settings, found.keys) == (given.settings, given.keys)
