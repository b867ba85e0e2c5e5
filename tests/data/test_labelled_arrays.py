"""Tests of arrays with named axes: of xarray, and of the store itself."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import zarr

import nnviz3d
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.errors import UserError
from tests.support import captures

xarray = pytest.importorskip("xarray")


def test_layers_are_datasets_with_named_axes_and_the_stored_numbers(small_capture):
    tree = nnviz3d.to_xarray(small_capture)
    for node in small_capture.graph:
        array = tree[node.id].activation
        assert array.dims == ("sample", *node.axes)
        assert array.values.tobytes() == small_capture.activations(node.id).values.tobytes()
    assert tree["conv"].activation.sel(sample="sample 1").shape == (6, 7, 4)
    assert tree["scores"].activation.channel.values.tolist() == list(captures.CLASSES)
    assert tree["scores"].activation.sel(channel="bee").label.values.tolist() == small_capture.labels.tolist()


def test_layers_are_chosen_and_a_nested_model_is_a_branch(tmp_path, small_capture):
    assert list(nnviz3d.to_xarray(small_capture.path, ["conv", "dense"]).children) == ["conv", "dense"]
    with pytest.raises(UserError, match="No layer matches 'konv'"):
        nnviz3d.to_xarray(small_capture, "konv")
    shapes = {"a": (5, 5, 1), "a/b": (3, 3, 2), "c": (2,)}
    nodes = tuple(LayerNode(name, 0, "Conv2D", (shape,)) for name, shape in shapes.items())
    graph = ModelGraph("m", nodes, (Edge("a", "a/b"), Edge("a/b", "c")), ("a",), ("c",))
    values = {name: np.ones((2, *shape), dtype=np.float32) for name, shape in shapes.items()}
    tree = nnviz3d.to_xarray(captures.write(tmp_path / "run.zarr", graph, values))
    assert tree["a/@"].activation.shape == (2, 5, 5, 1)
    assert tree["a/b"].activation.shape == (2, 3, 3, 2)


@pytest.mark.parametrize(("name", "transient"), [("run.zarr", False), ("run.zarr.zip", False), ("run.zarr.zip", True)])
def test_store_names_the_axes(tmp_path, name, transient):
    values = captures.small_values()
    pictures = {"input": np.zeros((3, 8, 9, 3), dtype=np.uint8)}
    path = tmp_path / name
    captures.write(path, captures.small_graph(), values, pictures=pictures, transient=transient)
    root = zarr.open_group(zarr.storage.ZipStore(path) if name.endswith("zip") else path, mode="r")
    named = {
        "activations/conv/@0/0": ("sample", "row", "column", "channel"),
        "activations/dense/@0/0": ("sample", "channel"),
        "pictures/input": ("sample", "row", "column", "color"),
    }
    assert {path: root[path].metadata.dimension_names for path in named} == named


def test_xarray_opens_the_store_itself(tmp_path):
    capture = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values())
    found = xarray.open_zarr(tmp_path / "run.zarr", group="activations/conv/@0", consolidated=False, chunks=None)
    assert found["0"].dims == ("sample", "row", "column", "channel")
    assert np.array_equal(found["0"].isel(sample=2).values, capture.activation("conv", 2))


def test_store_without_names_is_read(tmp_path):
    path = tmp_path / "run.zarr"
    capture = captures.write(path, captures.small_graph(), captures.small_values())
    for file in path.rglob("zarr.json"):
        description = json.loads(file.read_text())
        description.pop("dimension_names", None)
        file.write_text(json.dumps(description))
    old = nnviz3d.open_capture(path)
    assert np.array_equal(old.activation("conv", 1), capture.activation("conv", 1))
    assert nnviz3d.to_xarray(old)["conv"].activation.dims == ("sample", "row", "column", "channel")


def test_missing_xarray_is_one_sentence(small_capture, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(UserError, match="pip install xarray"):
        nnviz3d.to_xarray(small_capture)
