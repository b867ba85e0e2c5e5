"""Captures of ONNX files: graph, values of all tensors against ONNX's reference evaluator, and refusals."""

import sys

import numpy as np
import pytest

from nnviz3d.capture import model_cache
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel, ModelCache
from nnviz3d.data.bundled import digits
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.errors import ModelError, UserError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator

from tests.capture import onnx_models


def captured(tmp_path, model, *inputs, **options):
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    kept = CachedModel(load_model(str(path)))
    request = CaptureRequest(model=str(path), inputs=inputs, out=tmp_path / "run.zarr", **options)
    kept.answer(request, lambda event: None)
    return open_capture(tmp_path / "run.zarr")


def reference(model, feeds):
    """Values of all tensors, by ONNX's own evaluator in Python."""
    every = onnx.ModelProto()
    every.CopyFrom(model)
    names = [name for one in model.graph.node for name in one.output]
    del every.graph.output[:]
    every.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return dict(zip(names, ReferenceEvaluator(every).run(None, feeds), strict=True))


NODES = {
    "conv1": "c1",
    "act1": "r1",
    "pool1": "p1",
    "block/conv2": "c2",
    "block/bn2": "n2",
    "block/act2": "r2",
    "Reshape": "flat",
    "fc": "logits",
    "Softmax": "probabilities",
}
"""Nodes of the convolutional network, and the tensor of each."""


@pytest.fixture(scope="module")
def cnn():
    return onnx_models.cnn()


@pytest.fixture(scope="module")
def run(cnn, tmp_path_factory):
    return captured(tmp_path_factory.mktemp("onnx"), cnn, "digits:3-4", all_weights=True)


def test_graph_of_an_onnx_file_has_a_node_for_each_operation_on_values(run):
    assert [node.id for node in run.graph] == ["image", *NODES]
    edges = [(edge.source, edge.target) for edge in run.graph.edges]
    assert edges == list(zip(["image", *NODES], NODES, strict=False))
    assert run.graph.outputs == ("Softmax",)
    kinds = [node.kind for node in run.graph]
    assert kinds[:5] == ["Input", "Conv", "Relu", "MaxPool", "Conv"]
    assert run.graph.node("block/conv2").details["kernel_size"] == [3, 3]
    counts = {node.id: node.parameters for node in run.graph if node.parameters}
    assert counts == {"conv1": 40, "block/conv2": 108, "block/bn2": 24, "fc": 8650}
    assert any("4 of 13 operations are not drawn" in note for note in run.provenance.notes)


def test_values_of_all_nodes_equal_those_of_the_reference_evaluator(cnn, run):
    pixels = digits()[0][3:5, None].astype(np.float32) / 255
    for sample in range(2):
        expected = reference(cnn, {"image": pixels[sample : sample + 1]})
        for node_id, tensor in NODES.items():
            found = run.activation(node_id, sample)
            np.testing.assert_allclose(found, expected[tensor][0], rtol=1e-4, atol=1e-5, err_msg=node_id)
    assert np.array_equal(run.picture("image", 1)[..., 0], digits()[0][4])


def test_channels_are_first_until_the_maps_are_flattened(run):
    for name in ("image", "conv1", "act1", "pool1", "block/bn2"):
        assert run.graph.node(name).axes == ("channel", "row", "column"), name
    assert run.graph.node("Reshape").axes == ("channel",)


def test_kernels_are_arranged_as_in_keras(cnn, run):
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in cnn.graph.initializer}
    assert np.array_equal(run.weights("conv1")["kernel"], stored["w1"].transpose(2, 3, 1, 0))
    assert np.array_equal(run.weights("fc")["kernel"], stored["fw"].T)
    assert set(run.weights("block/bn2")) == {"gamma", "beta", "moving_mean", "moving_variance"}


def test_connections_into_a_cell_and_its_bias_sum_to_its_value(cnn, tmp_path):
    run = captured(tmp_path, cnn, "digits:3", top_k=10**6)
    for source, target in (("image", "conv1"), ("pool1", "block/conv2"), ("Reshape", "fc")):
        found = run.connections(source, target, "contribution", 0)
        values, (cell,) = run.activation(target, 0).ravel(), np.unique(found.index[:1, 1])
        channel = np.unravel_index(cell, run.activation(target, 0).shape)[0]
        bias = run.weights(target).get("bias", np.zeros(10))[channel]
        into = found.index[:, 1] == cell
        assert found.contribution[into].sum() + bias == pytest.approx(values[cell], rel=1e-4), target


def test_transformer_with_tokens_positions_and_a_mask_equals_the_reference(tmp_path):
    model = onnx_models.encoder()
    ids, mask = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]]), np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    np.savez(tmp_path / "x.npz", ids=ids, mask=mask)
    run = captured(tmp_path, model, str(tmp_path / "x.npz"))
    tensors = {
        "embed/words": "words",
        "embed/places": "places",
        "layer.0/q/MatMul": "mq",
        "layer.0/k/Transpose": "k",
        "layer.0/Softmax": "scores",
        "layer.0/norm": "norm",
        "layer.0/Add_2": "sequence",
        "head": "classes",
    }
    for sample in range(2):
        expected = reference(model, {"ids": ids[sample : sample + 1], "mask": mask[sample : sample + 1]})
        for node_id, tensor in tensors.items():
            value = expected[tensor] if tensor == "places" else expected[tensor][0]
            np.testing.assert_allclose(run.activation(node_id, sample), value, rtol=1e-4, atol=1e-5, err_msg=node_id)
    assert run.graph.sources("layer.0/Add_2") == ("layer.0/norm", "layer.0/down")
    assert run.graph.sources("embed/places") == ()
    assert set(run.graph.outputs) == {"head", "layer.0/Add_2"}
    assert "Shape" not in {node.kind for node in run.graph}
    assert run.graph.node("layer.0/Softmax").axes == ("channel", "row", "column")  # heads, queries, keys
    assert run.graph.node("layer.0/q/Reshape").axes == ("row", "channel", "column")


def test_random_tokens_are_below_the_size_of_the_table(tmp_path):
    run = captured(tmp_path, onnx_models.encoder(tokens=7), "random")
    assert run.input("ids", 0).max() < 7


def test_fixed_batch_is_filled_with_copies_of_the_sample(tmp_path, cnn):
    fixed = captured(tmp_path, onnx_models_with_batch(cnn, 4), "digits:3")
    pixels = digits()[0][3:4, None].astype(np.float32) / 255
    expected = reference(cnn, {"image": pixels})
    assert fixed.graph.node("conv1").shape == (4, 28, 28)
    np.testing.assert_allclose(fixed.activation("fc", 0), expected["logits"][0], rtol=1e-4, atol=1e-5)


def onnx_models_with_batch(model, batch):
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for value in (*changed.graph.input, *changed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return changed


@pytest.mark.parametrize(
    "insights", [{"gradients": True}, {"attributions": ("vanilla",)}, {"features": ("conv1",)}, {"landscape": True}]
)
def test_request_for_gradients_of_a_foreign_model_is_refused_with_a_way_that_works(tmp_path, cnn, insights):
    with pytest.raises(ModelError, match=r"no gradients in a \.onnx file.*capture the Keras model"):
        captured(tmp_path, cnn, "digits:3", insights=Insights(**insights))
    assert not (tmp_path / "run.zarr").exists()


def test_damaged_file_is_refused_by_name(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"bad\.onnx cannot be opened as ONNX"):
        load_model(str(tmp_path / "bad.onnx"))
    (tmp_path / "keras.onnx").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(
        ModelError, match=r"keras\.onnx is an HDF5 file in spite of its name; rename it to end in \.h5\."
    ):
        load_model(str(tmp_path / "keras.onnx"))


def test_tensors_that_a_branch_takes_from_outside_are_edges(tmp_path):
    model = onnx_models.branching()
    x = np.array([[1, 2, 3, -1], [-1, -2, 1, -3]], np.float32)
    np.save(tmp_path / "x.npy", x)
    run = captured(tmp_path, model, str(tmp_path / "x.npy"))
    assert set(run.graph.sources("if")) == {"x", "relu", "positive"}
    assert np.array_equal(run.activations("if").values, [[1, 4, 9, 0], [1, 2, -1, 3]])
    assert any("inside its branches is not shown" in note for note in run.provenance.notes)


def test_fractions_for_an_input_of_whole_numbers_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", ids=np.full((1, 5), 0.5), mask=np.ones((1, 5)))
    with pytest.raises(UserError, match=r"whole numbers|int64"):
        captured(tmp_path, onnx_models.encoder(), str(tmp_path / "x.npz"))


def test_model_stays_loaded_for_further_samples_and_is_embedded(tmp_path, cnn, monkeypatch):
    onnx.save(cnn, tmp_path / "net.onnx")
    cache, loads = ModelCache(), []
    load = model_cache.load_model
    monkeypatch.setattr(model_cache, "load_model", lambda *given: loads.append(given) or load(*given))
    request = CaptureRequest(model=str(tmp_path / "net.onnx"), inputs=("digits:3",), out=tmp_path / "a.zarr")
    cache.capture(request, lambda event: None)
    further = {"inputs": ("digits:4",), "out": tmp_path / "b.zarr", "transient": True}
    cache.capture(request.model_copy(update=further), lambda event: None)
    assert len(loads) == 1
    assert not np.array_equal(*(open_capture(tmp_path / f"{k}.zarr").activation("fc", 0) for k in "ab"))
    wanted = Insights(embeddings=("fc",), dataset=("digits:0-29",), embedding_options=EmbeddingOptions(method="pca"))
    update = {"out": tmp_path / "c.zarr", "insights": wanted}
    cache.capture(request.model_copy(update=update), lambda event: None)
    found = open_capture(tmp_path / "c.zarr").embedding("fc")
    assert found.points.shape[0] == 30
    assert len(found.predictions) == 30


def test_missing_runtime_is_named_with_the_command_that_installs_it(tmp_path, cnn, monkeypatch):
    onnx.save(cnn, tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "nnviz3d.capture.foreign.onnx_file", raising=False)
    with pytest.raises(ModelError, match=r"needs onnxruntime, which is not installed.*nnviz3d\[onnx\]"):
        load_model(str(tmp_path / "net.onnx"))
