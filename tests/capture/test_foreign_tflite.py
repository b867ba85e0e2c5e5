"""Captures of TFLite files: graph and values against the Keras model that they were converted from, also quantized."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.live_model import capture as capture_live
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.bundled import digits
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.errors import ModelError

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.slow

NODES = {"conv": "conv", "depthwise": "depthwise", "sum": "sum", "pool": "pool", "flat": "flat", "dense": "scores"}
"""Nodes of the capture, and the layer of Keras whose output each has."""


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    given = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", padding="same", name="conv")(given)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="pool")(x))
    scores = layers.Dense(10, name="scores")(x)
    net = keras.Model(given, layers.Softmax(name="softmax")(scores), name="net")
    net.get_layer("conv").bias.assign([0.1, -0.2, 0.3, 0.05])
    return net


@pytest.fixture(scope="module")
def pixels():
    return digits()[0][3:5, ..., None].astype(np.float32) / 255


def captured(model, folder, quantized=False, **options):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantized:
        examples = digits()[0][:50, ..., None].astype(np.float32) / 255
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one[None]] for one in examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path = folder / "net.tflite"
    path.write_bytes(converter.convert())
    request = CaptureRequest(
        model=str(path), inputs=("digits:3-4",), out=folder / "run.zarr", all_weights=True, **options
    )
    CachedModel(load_model(str(path))).answer(request, lambda event: None)
    return open_capture(folder / "run.zarr")


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    return captured(model, tmp_path_factory.mktemp("tflite"))


@pytest.fixture(scope="module")
def quantized(model, tmp_path_factory):
    return captured(model, tmp_path_factory.mktemp("int8"), quantized=True)


def outputs(model, pixels):
    """Outputs of the layers, by independent submodels."""
    return {
        name: np.asarray(keras.Model(model.inputs, model.get_layer(layer).output)(pixels))
        for name, layer in {**NODES, "softmax": "softmax"}.items()
    }


def named(run):
    """The nodes of the capture by the layers that they were converted from."""
    kinds = {"Conv2D": "conv", "DepthwiseConv2D": "depthwise", "Add": "sum", "MaxPool2D": "pool"}
    kinds |= {"Reshape": "flat", "FullyConnected": "dense", "Softmax": "softmax"}
    return {kinds[node.kind]: node for node in run.graph if node.kind in kinds}


def test_graph_of_a_tflite_file_is_that_of_the_keras_model(run):
    nodes = named(run)
    assert [node.kind for node in run.graph] == ["Input", *(node.kind for node in nodes.values())]
    assert run.graph.sources(nodes["sum"].id) == (nodes["conv"].id, nodes["depthwise"].id)
    assert nodes["conv"].activation == "relu"
    assert nodes["conv"].details["kernel_size"] == [3, 3]
    assert nodes["conv"].id.startswith("conv")
    assert nodes["conv"].axes == ("row", "column", "channel")
    assert run.graph.outputs == (nodes["softmax"].id,)
    assert nodes["conv"].parameters == 40
    assert any("fused into the operations before them" in note for note in run.provenance.notes)


def test_values_of_all_nodes_equal_those_of_the_keras_model(run, model, pixels):
    expected = outputs(model, pixels)
    for name, node in named(run).items():
        for sample in range(2):
            found = run.activation(node.id, sample)
            np.testing.assert_allclose(found, expected[name][sample], rtol=1e-4, atol=1e-5, err_msg=name)


def test_kernels_are_arranged_as_in_keras(run, model):
    nodes = named(run)
    for name in ("conv", "depthwise"):
        np.testing.assert_allclose(
            run.weights(nodes[name].path)["kernel"], model.get_layer(name).weights[0].numpy(), rtol=1e-6, err_msg=name
        )
    found = run.weights(nodes["dense"].path)["kernel"]
    np.testing.assert_allclose(found, model.get_layer("scores").kernel.numpy(), rtol=1e-6)


def test_connections_are_those_of_the_keras_model(run, model, tmp_path):
    own = capture_live(model, ["digits:3-4"], out=tmp_path / "own.zarr")
    nodes = named(run)
    for source, target in (("image", "conv"), ("conv", "depthwise"), ("flat", "scores")):
        pair = (
            nodes[source].id if source in nodes else run.graph.inputs[0],
            nodes["dense" if target == "scores" else target].id,
        )
        found = run.connections(*pair, "contribution", 1)
        expected = own.connections(source, target, "contribution", 1)
        assert found.total == expected.total
        np.testing.assert_allclose(found.contribution, expected.contribution, rtol=1e-4, atol=1e-6)


def test_quantized_values_are_the_real_numbers_that_they_stand_for(quantized, model, pixels):
    expected = outputs(model, pixels)
    for name, node in named(quantized).items():
        wide = np.ptp(expected[name])
        found = np.stack([quantized.activation(node.id, sample) for sample in range(2)])
        assert np.abs(found - expected[name]).max() < 0.03 * wide, name
        assert len(np.unique(found)) <= 256, name
    assert any("Weights and activations are quantized" in note for note in quantized.provenance.notes)
    assert quantized.provenance.preprocessing == "unit"
    assert "quantized input holds numbers from 0 to 1" in quantized.provenance.preprocessing_reason


def test_gradients_of_a_tflite_file_are_refused_and_a_damaged_one_too(model, tmp_path):
    with pytest.raises(ModelError, match=r"no gradients in a \.tflite file"):
        captured(model, tmp_path, insights=Insights(gradients=True))
    (tmp_path / "bad.tflite").write_bytes(b"junk" * 10)
    with pytest.raises(ModelError, match=r"bad\.tflite cannot be opened as TFLite"):
        load_model(str(tmp_path / "bad.tflite"))
