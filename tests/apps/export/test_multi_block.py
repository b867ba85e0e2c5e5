"""Tests of PyVista's data: bits of the numbers, places in the world, names, and what reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv

import nnviz3d
from nnviz3d.apps.export import ExportJob, export
from nnviz3d.apps.open_target import Opened
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import read_embedding
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support import captures, command_line
from tests.support.graphs import chain

pytestmark = pytest.mark.usefixtures("no_tensorflow")

REPOSITORY = Path(__file__).resolve().parents[3]


def numbers_of(image: pv.ImageData, name: str) -> np.ndarray:
    """Return the cells of an image as ``(X, Y, Z)``."""
    x, y, z = image.dimensions
    return image.cell_data[name].reshape(z - 1, y - 1, x - 1).transpose(2, 1, 0)


@pytest.fixture(scope="module")
def blocks(small_capture, no_tensorflow) -> pv.MultiBlock:
    return nnviz3d.to_pyvista(small_capture, sample=1)


def test_layers_hold_the_stored_bits_at_their_places(small_capture, blocks):
    plan = Scene.build(default_scene(), small_capture).context.plan
    assert blocks["layers"].keys() == [node.id for node in small_capture.graph]
    for node in small_capture.graph:
        image, stored = blocks["layers"][node.id], small_capture.activation(node.id, 1)
        placement = plan.placements[node.id]
        cells = placement.grid.cells(np.arange(stored.size))
        found = numbers_of(image, "activation")[tuple(cells.T)]
        assert found.dtype == np.float32
        assert found.tobytes() == stored.tobytes()
        assert image.origin == pytest.approx(placement.origin)
        assert image.spacing == pytest.approx(placement.cell)
        assert tuple(image.field_data["axes"]) == node.axes
        assert tuple(image.field_data["shape"]) == stored.shape


def test_spare_cells_are_hidden(tmp_path):
    graph = chain([("input", "InputLayer", (4,)), ("dense", "Dense", (37,)), ("scores", "Dense", (2,))])
    values = {node.id: np.ones((1, *node.shape), dtype=np.float32) for node in graph}
    capture = captures.write(tmp_path / "run.zarr", graph, values)
    image = nnviz3d.to_pyvista(capture)["layers"]["dense"]
    assert image.n_cells > 37
    shown = image.threshold(0.5, scalars="activation")
    assert shown.n_cells == 37
    assert np.isnan(image.cell_data["activation"]).sum() == image.n_cells - 37


def test_odd_numbers_and_names_survive(tmp_path):
    name = '<b>naïve</b> & "層"'
    graph = chain([("input", "InputLayer", (2, 3, 1)), (name, "Conv2D", (2, 3, 2)), ("scores", "Dense", (2,))])
    values = {node.id: np.zeros((1, *node.shape), dtype=np.float32) for node in graph}
    values[name].flat[:4] = [np.nan, np.inf, -np.inf, -0.0]
    capture = captures.write(tmp_path / "run.zarr", graph, values)
    export(ExportJob(Opened(default_scene(), capture, 0), Selection(), tmp_path / "net.vtm"))
    image = pv.read(tmp_path / "net.vtm")["layers"][name]
    assert image.field_data["layer"][0] == name
    assert np.isnan(image.cell_data["activation"]).sum() == 1
    assert np.isinf(image.cell_data["activation"]).sum() == 2


def test_edges_and_connections_have_names_and_weights(small_capture, blocks):
    edges = blocks["edges"]
    pairs = zip(edges.cell_data["source"], edges.cell_data["target"], strict=True)
    assert sorted(pairs) == sorted((edge.source, edge.target) for edge in small_capture.graph.edges)
    stored = small_capture.connections("flatten", "dense", "weight", 1)
    lines = blocks["connections"]["flatten -> dense"]
    found = {
        (int(a), int(b)): weight
        for a, b, weight in zip(*(lines.cell_data[k] for k in ("source_index", "target_index", "weight")), strict=True)
    }
    assert found == {tuple(map(int, ends)): weight for ends, weight in zip(stored.index, stored.weight, strict=True)}
    # Each line begins in the middle of the cell of its source.
    first = lines.cell_data["source_index"][0]
    source = blocks["layers"]["flatten"]
    cell = source.find_containing_cell(lines.get_cell(0).points[0] - (1e-3, 0, 0))
    assert source.cell_data["activation"][cell] == small_capture.activation("flatten", 1)[first]


def test_points_have_labels_and_their_own_coordinates():
    capture = open_capture(bundled("embedding.zarr.zip"))
    cloud = nnviz3d.to_pyvista("embedding")["points"]["dense"]
    embedding = read_embedding(capture.stored, "dense")
    assert np.array_equal(cloud.point_data["e1"], embedding.points[:, 0])
    assert np.array_equal(cloud.point_data["label"], embedding.labels)
    assert tuple(cloud.point_data["sample"]) == embedding.names


def test_input_picture_is_upright(digits):
    image = nnviz3d.to_pyvista(digits, sample=7)["pictures"]["input"]
    pixels = digits.picture("input", 7)
    assert np.array_equal(image.cell_data["rgb"].reshape(*pixels.shape)[::-1], pixels)


def test_quantity_names_the_numbers(explained_capture):
    layer = nnviz3d.to_pyvista(explained_capture, quantity="gradient")["layers"]["dense"]
    assert layer.cell_data.keys()[0] == "gradient"
    with pytest.raises(UserError, match="there is no sample 9"):
        nnviz3d.to_pyvista(explained_capture, sample=9)


def test_step_is_that_of_the_numbers(recorded_capture):
    first, last = (int(recorded_capture.training.steps[k]) for k in (0, -1))
    found = {step: nnviz3d.to_pyvista(recorded_capture, step=step) for step in (first, last)}
    assert {step: list(blocks.field_data["step"]) for step, blocks in found.items()} == {
        first: [str(first)],
        last: [str(last)],
    }
    numbers = [numbers_of(blocks["layers"]["dense"], "activation") for blocks in found.values()]
    assert not np.array_equal(*numbers)


@pytest.mark.slow
def test_export_reads_back_equal(small_capture, blocks, tmp_path):
    nnviz3d.export(small_capture, tmp_path / "net.vtm", sample=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "net.vtm"]
    found = pv.read(tmp_path / "net.vtm")
    assert found.keys() == blocks.keys()
    for name in blocks["layers"].keys():  # noqa: SIM118 - a MultiBlock iterates over its blocks
        assert found["layers"][name].cell_data["activation"].tobytes() == (
            blocks["layers"][name].cell_data["activation"].tobytes()
        )
    assert found.field_data["sample"][0] == small_capture.sample_name(1)


@pytest.mark.slow
def test_export_never_touches_a_folder_of_others(digits, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "thesis.txt").write_text("all of it")
    done = command_line.run("export", "digits", "-o", "net.vtm", cwd=tmp_path)
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["net", "thesis.txt"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Refuse files of more than two kilobytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def refused_whole(capture, out: Path, capfd) -> None:
    """Check that an export is refused in one sentence and leaves nothing."""
    with pytest.raises(UserError, match=r"could not write all data sets; .*long\.$"):
        export(ExportJob(Opened(default_scene(), capture, 0), Selection(), out))
    assert list(out.parent.iterdir()) == []
    assert "ERR" not in capfd.readouterr().err


def test_name_that_is_too_long_for_the_parts_leaves_nothing(small_capture, tmp_path, capfd):
    refused_whole(small_capture, tmp_path / f"{'x' * 249}.vtm", capfd)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_leaves_nothing(small_capture, tmp_path, capfd):
    refused_whole(small_capture, tmp_path / "x.vtm", capfd)


def run(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_pyvista_finds_the_reader(small_capture, tmp_path):
    # The entry points of the source tree, whether or not they are those of the installed package.
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"]["pyvista.readers"]
    info = tmp_path / "site" / "nnviz3d_of_the_tree-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nnviz3d-of-the-tree\nVersion: 0\n")
    lines = [f"{ending} = {value}" for ending, value in declared.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pyvista.readers]", *lines, ""]))
    (tmp_path / "other.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    code = f"""
import pyvista
for path in {[str(small_capture.path), str(bundled("digits.zarr.zip"))]!r}:
    print(*pyvista.read(path)["layers"].keys())
try:
    pyvista.read("other.zip")
except Exception as error:
    print(type(error).__name__, error)
"""
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    done = run(code, tmp_path, PYTHONPATH=path)
    first, second, third = done.stdout.splitlines() or [done.stderr] * 3
    assert first == "input conv pool flatten dense scores"
    assert second.startswith("input conv2d")
    assert third.startswith("CaptureError")
    assert "is not a capture of nnviz3d" in third


@pytest.mark.slow
def test_process_with_tensorflow_is_refused(tmp_path):
    # The name of the module decides; loading all of TensorFlow would take seconds.
    code = """
import sys, types
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
import nnviz3d
try:
    nnviz3d.to_pyvista("digits")
except nnviz3d.UserError as error:
    print(error)
print("pyvista" in sys.modules or "vtkmodules" in sys.modules)
"""
    done = run(code, tmp_path)
    said, loaded = done.stdout.splitlines()
    assert "holds TensorFlow" in said
    assert 'nnviz3d.export(model, "net.vtm", x)' in said
    assert loaded == "False"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_model_file_is_run_in_another_process(tmp_path):
    code = f"""
import sys, numpy as np, nnviz3d
blocks = nnviz3d.to_pyvista({str(bundled("digits.keras"))!r}, np.zeros((1, 28, 28, 1), dtype="float32"))
print(len(blocks["layers"]), "tensorflow" in sys.modules)
"""
    done = run(code, tmp_path)
    assert done.stdout.split() == ["9", "False"], done.stderr
