"""Tests of 3D models (.glb), read back by trimesh."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps.export import ExportJob, export
from nnviz3d.apps.export.faces import LIGHT, drawn_cells, first_faces
from nnviz3d.apps.export.reduced import equal_share, within
from nnviz3d.apps.export.sizes import read_size, size_text
from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.target import ModelOptions, resolve
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, colormap
from nnviz3d.scene.primitives import Image, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec, default_scene
from tests.support import captures, command_line
from tests.support.faces import visible_faces
from tests.support.graphs import chain

trimesh = pytest.importorskip("trimesh")


def write(capture, out: Path, selection: Selection = Selection(), spec: SceneSpec | None = None) -> Path:  # noqa: B008
    """Export a capture in this process."""
    found = Opened(spec or default_scene(), capture, selection.sample)
    export(ExportJob(found, selection, out))
    return out


def block(values: np.ndarray, **changes: object) -> Voxels:
    options = {"threshold": 0.5, **changes}
    return Voxels("a", values.astype(np.float32), (1, 2, 3), (0.5, 1, 2), colormap("inferno"), (0.0, 1.0), **options)


def neighbours(drawn: np.ndarray) -> set[tuple[int, int, int, int]]:
    """Return cell and side of each face that no drawn cell covers, one cell after the other."""
    found = set()
    for cell in np.argwhere(drawn):
        for side in range(6):
            beside = cell.copy()
            beside[side // 2] += 1 if side % 2 else -1
            inside = (beside >= 0).all() and (beside < drawn.shape).all()
            if not inside or not drawn[tuple(beside)]:
                found.add((*map(int, cell), side))
    return found


def set_of(faces) -> set[tuple[int, int, int, int]]:
    return {(*map(int, cell), int(side)) for cell, side in zip(faces.cells, faces.side, strict=True)}


def geometry_of(scene, layer: str) -> list:
    """Return the meshes under the node of a layer."""
    found = [scene.geometry[scene.graph[node][1]] for node in scene.graph.nodes_geometry if node == layer]
    parts = [node for node in scene.graph.nodes_geometry if scene.graph.transforms.parents.get(node) == layer]
    return found + [scene.geometry[scene.graph[node][1]] for node in parts]


def colors_of(mesh) -> np.ndarray:
    """Return the colours that the texture has at the vertices, ``(n, 3)`` uint8."""
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    height, width = image.shape[:2]
    u, v = mesh.visual.uv.T  # trimesh's v runs up
    return image[((1 - v) * height).astype(int), (u * width).astype(int)]


def test_visible_faces_are_those_without_neighbour():
    drawn = np.random.default_rng(0).random((5, 4, 6)) < 0.6
    assert set_of(visible_faces(drawn)) == neighbours(drawn)


def test_first_faces_are_seen_along_the_axes():
    drawn = np.random.default_rng(1).random((5, 4, 6)) < 0.3
    for side, first in enumerate(first_faces(drawn)):
        axis, up = divmod(side, 2)
        for cell in np.argwhere(drawn):
            line = np.take(np.moveaxis(drawn, axis, 0), range(drawn.shape[axis]), axis=0)
            others = tuple(np.delete(cell, axis))
            ahead = line[(slice(cell[axis] + 1, None) if up else slice(0, cell[axis]), *others)]
            assert first[tuple(cell)] == (not ahead.any())


def test_drawn_cells_follow_threshold_spare_cells_and_odd_numbers():
    values = np.array([[[0.4], [0.5]], [[-0.6], [np.nan]]])
    assert drawn_cells(block(values))[..., 0].tolist() == [[False, True], [True, True]]
    # The cell with the number 3 is spare: numbers run along x from the top row on.
    assert drawn_cells(block(values, count=3))[..., 0].tolist() == [[False, True], [False, True]]


def test_large_layers_share_what_small_layers_leave():
    assert equal_share([10, 100, 200], 310) >= 200
    assert equal_share([10, 100, 200], 110) == 50
    random = np.random.default_rng(2)
    small, large = block(random.random((2, 2, 2))), block(random.random((12, 12, 12)))
    first, second = within([small, large], 1500)
    assert first.note is None
    assert len(first.faces) + len(second.faces) == 1500
    assert second.note == f"a {len(second.faces):,} of {second.visible:,}"
    assert set_of(second.faces) < neighbours(drawn_cells(large))
    # From outside the block looks whole: all faces that are seen first are there.
    shown = set_of(second.faces)
    assert all(
        (*map(int, cell), side) in shown
        for side, found in enumerate(first_faces(drawn_cells(large)))
        for cell in np.argwhere(found)
    )


@pytest.fixture(scope="module")
def exported(small_capture, tmp_path_factory) -> Path:
    return write(small_capture, tmp_path_factory.mktemp("glb") / "net.glb", Selection(1, threshold=0.4))


def test_quads_are_the_faces_of_the_visible_cells_in_the_colours_of_the_map(small_capture, exported):
    model = trimesh.load(exported)
    scene = Scene.build(default_scene(), small_capture)
    selection = Selection(1, threshold=0.4)
    blocks = [one for one in scene.at(scene.duration, selection).primitives if isinstance(one, Voxels)]
    assert {one.name for one in blocks} == {"conv", "pool", "flatten", "dense", "scores"}
    for one in blocks:
        expected = neighbours(drawn_cells(one))
        meshes = geometry_of(model, one.name)
        assert sum(len(mesh.faces) for mesh in meshes) == 2 * len(expected)
        found = set()
        for mesh in meshes:
            corners = mesh.vertices[mesh.faces].reshape(-1, 6, 3)
            middle = (corners.min(axis=1) + corners.max(axis=1)) / 2
            normals = mesh.face_normals[::2]
            cells = np.floor((middle - normals * 1e-3 - one.origin) / one.cell).astype(int)
            sides = 2 * np.abs(normals).argmax(axis=1) + (normals.sum(axis=1) > 0)
            found |= {(*map(int, cell), int(side)) for cell, side in zip(cells, sides, strict=True)}
            low, high = one.limits
            share = (one.values[tuple(cells.T)].astype(np.float64) - low) / (high - low)
            light = np.array(LIGHT)[sides][:, np.newaxis]
            wanted = np.round(one.colormap.at(share) * light * 255)
            assert np.array_equal(colors_of(mesh)[mesh.faces[::2, 0]], wanted)
        assert found == expected  # the normals point outwards, else the cells would be others


def test_odd_numbers_have_their_own_colours(tmp_path):
    name = '<img src=x onerror="alert(1)">'
    graph = chain([("input", "InputLayer", (2, 2, 1)), (name, "Conv2D", (2, 2, 1)), ("scores", "Dense", (2,))])
    values = {node.id: np.zeros((1, *node.shape), dtype=np.float32) for node in graph}
    values[name].flat = [np.nan, np.inf, -np.inf, 0]
    out = write(captures.write(tmp_path / "run.zarr", graph, values), tmp_path / "net.glb")
    (mesh,) = geometry_of(trimesh.load(out), name)
    front = colors_of(mesh)[mesh.faces[mesh.face_normals[:, 2] > 0.5][:, 0]]
    expected = [tuple(np.round(np.array(color) * 255).astype(int)) for color in (NAN_COLOR, INF_COLOR)]
    assert set(map(tuple, front.tolist())) == set(expected)


def test_input_picture_is_an_upright_texture(digits, tmp_path):
    model = trimesh.load(write(digits, tmp_path / "net.glb", Selection(7)))
    scene = Scene.build(default_scene(), digits)
    selection = Selection(7)
    image = next(one for one in scene.at(scene.duration, selection).primitives if isinstance(one, Image))
    (mesh,) = geometry_of(model, "input")
    assert np.array_equal(np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")), image.pixels)
    assert mesh.bounds[0] == pytest.approx(image.origin)
    top = mesh.vertices[:, 1] > mesh.vertices[:, 1].mean()
    assert (mesh.visual.uv[top, 1] > 0.5).all()
    assert (mesh.face_normals[:, 2] > 0.99).all()


def test_lines_names_and_camera_are_there(exported):
    model = trimesh.load(exported)
    assert any(name.startswith("flatten -> dense") for name in model.geometry)
    assert "names" in model.graph.nodes
    data = exported.read_bytes()
    content = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert len(data) == int.from_bytes(data[8:12], "little")
    assert content["cameras"][0]["perspective"]["yfov"] == pytest.approx(np.deg2rad(26))
    assert content["asset"]["extras"]["sample"] == "sample 1"


@pytest.mark.slow
def test_limit_is_kept_and_what_is_left_out_is_named(tmp_path):
    done = command_line.run("export", "digits", "-o", "net.glb", "--max-size", "1.1MB", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "net.glb").stat().st_size <= 1_100_000
    assert "net.glb keeps to 1.1 MB" in done.stderr
    assert "conv2d_1 " in done.stderr
    assert "dense " not in done.stderr  # small layers are whole
    done = command_line.run("export", "digits", "-o", "less.glb", "--max-size", "10kB", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.glb"]


@pytest.mark.parametrize("scene", ["landscape", "embedding", "history", "features", "nodes", "structure"])
def test_every_kind_of_primitive_is_exported(scene, tmp_path):
    found = resolve(scene, None, ModelOptions())
    model = trimesh.load(write(open_capture(found.capture), tmp_path / "net.glb", spec=found.spec))
    assert len(model.geometry) > 2
    assert np.isfinite(model.bounds).all()


def test_sizes_are_read_and_written():
    assert [read_size(text) for text in ("50MB", "1.5 gb", "820k", "77")] == [50_000_000, 1_500_000_000, 820_000, 77]
    assert [read_size(text) for text in ("2MiB", " 1 kib ", "3b")] == [2**21, 2**10, 3]
    sizes = (1_500_000_000, 999_900_000, 50_000_000, 1_254_000, 820_001, 77)
    assert [size_text(n) for n in sizes] == ["1.5 GB", "1 GB", "50 MB", "1.25 MB", "821 kB", "1 kB"]
    for text in ("", "much", "-3MB", "0", "0.4", "nan", "1e9", "5 Mb b", "5TB"):
        with pytest.raises(UserError, match="--max-size is a size such as 50MB"):
            read_size(text)
