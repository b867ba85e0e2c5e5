"""Captures of trusted SavedModel folders: layers, values and gradients against the model that wrote the folder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.live_model import capture as capture_live
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.capabilities.landscape import LandscapeOptions, read_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights

pytestmark = pytest.mark.slow


def captured(folder, source, *inputs, **options):
    kept = CachedModel(load_model(str(source), trust=True))
    request = CaptureRequest(model=str(source), inputs=inputs, out=folder / "saved.zarr", **options)
    kept.answer(request, lambda event: None)
    return open_capture(folder / "saved.zarr")


def convolutional():
    keras.utils.set_random_seed(1)
    given = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="first")(given)
    y = layers.BatchNormalization(name="norm")(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = layers.MaxPooling2D(name="pool")(layers.Add(name="sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(5, 3, strides=2, name="second")(x))
    net = keras.Model(given, layers.Dense(10, activation="softmax", name="head")(x), name="net")
    rng = np.random.default_rng(2)
    for variable in net.get_layer("norm").weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return net


@pytest.fixture(scope="module")
def model():
    return convolutional()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved_model")


@pytest.fixture(scope="module")
def run(model, folder):
    model.export(folder / "net", verbose=False)
    wanted = Insights(gradients=True)
    return captured(folder, folder / "net", "digits:3-4", all_weights=True, insights=wanted)


@pytest.fixture(scope="module")
def own(model, folder):
    """The capture of the Keras model itself."""
    return capture_live(model, ["digits:3-4"], out=folder / "own.zarr", insights=Insights(gradients=True))


def paired(run, own):
    """Pairs of nodes of the two captures, in the order of the graph."""
    assert len(run.graph) == len(own.graph)
    return list(zip(run.graph, own.graph, strict=True))


def test_layers_of_a_saved_model_are_those_of_the_model_that_wrote_it(run, own):
    pairs = paired(run, own)
    for found, expected in pairs:
        assert (found.shape, found.parameters) == (expected.shape, expected.parameters), found.id
        assert (found.activation or "linear") == (expected.activation or "linear"), found.id
        assert found.name.startswith(expected.name), found.id
    names = {found.id: expected.id for found, expected in pairs}
    assert {(names[e.source], names[e.target]) for e in run.graph.edges} == {
        (e.source, e.target) for e in own.graph.edges
    }
    kinds = [node.kind for node in run.graph]
    assert kinds[:6] == ["InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "Add", "MaxPooling2D"]
    assert run.graph.node(pairs[-3][0].id).details["strides"] == [2, 2]


def test_values_and_weights_of_all_layers_equal_those_of_the_model(run, own):
    for found, expected in paired(run, own):
        for sample in range(2):
            given = run.activation(found.id, sample), own.activation(expected.id, sample)
            np.testing.assert_allclose(*given, rtol=1e-5, atol=1e-6, err_msg=found.id)
        weights = own.weights(expected.path)
        for name, values in run.weights(found.path).items():
            assert np.array_equal(values, weights[name]), (found.id, name)


def test_connections_of_all_pairs_equal_those_of_the_model(run, own):
    names = {expected.id: found.id for found, expected in paired(run, own)}
    for source, target in (("image", "first"), ("first", "depthwise"), ("pool", "second"), ("mean", "head")):
        found = run.connections(names[source], names[target], "contribution", 0)
        expected = own.connections(source, target, "contribution", 0)
        assert (found.rule, found.total) == (expected.rule, expected.total)
        np.testing.assert_allclose(found.contribution, expected.contribution, rtol=1e-4, atol=1e-6)


def test_gradients_of_all_layers_equal_those_of_the_model(run, own):
    given, expected = run.explanations(0), own.explanations(0)
    assert given.targets[0].score == pytest.approx(expected.targets[0].score, rel=1e-5)
    for found, other in paired(run, own)[:-1]:
        pair = given.gradient(found.id), expected.gradient(other.id)
        np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-6, err_msg=found.id)


def test_saved_model_with_one_output_is_called_like_a_keras_model(run, folder, model):
    loaded = load_model(str(folder / "net"), trust=True).model
    x = np.random.default_rng(4).uniform(size=(2, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-6)


def test_loss_landscape_equals_that_of_the_model(run, folder, model, tmp_path):
    wanted = Insights(landscape=True, dataset=("digits:0-9",), landscape_options=LandscapeOptions(resolution=5))
    found = captured(tmp_path, folder / "net", "digits:3", insights=wanted)
    own = capture_live(model, ["digits:3"], out=tmp_path / "own.zarr", insights=wanted)
    np.testing.assert_allclose(
        read_landscape(found.stored).values, read_landscape(own.stored).values, rtol=1e-5, atol=1e-6
    )


def test_text_model_is_run_on_sentences_of_different_lengths(tmp_path):
    words = layers.TextVectorization(max_tokens=20, output_sequence_length=6)
    words.adapt(["a good film", "a bad film", "so good so bad"])
    score = layers.Dense(1, activation="sigmoid", name="score")
    pooled = layers.GlobalAveragePooling1D(name="mean")
    text = keras.Sequential(
        [keras.Input((), dtype="string"), words, layers.Embedding(20, 4, name="embed"), pooled, score]
    )
    text.export(tmp_path / "text", verbose=False)
    (tmp_path / "x.txt").write_text("so good so bad\na film\n", encoding="utf-8")
    run = captured(tmp_path, tmp_path / "text", str(tmp_path / "x.txt"))
    assert [node.kind for node in run.graph][1:3] == ["TextVectorization", "Embedding"]
    sentences = tf.constant(["so good so bad", "a film"])
    assert np.array_equal(run.activations(run.graph.nodes[1].id).values, words(sentences))
    np.testing.assert_allclose(run.activations(run.graph.outputs[0]).values, text(sentences), rtol=1e-5)


class Module(tf.Module):
    """A network of plain TensorFlow, with a loop and a scope of two matrices."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.second, self.third = (
            tf.Variable(rng.normal(size=shape).astype(np.float32), name=name)
            for name, shape in (("first", (4, 8)), ("second", (8, 8)), ("third", (8, 3)))
        )

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def serve(self, x):
        hidden = tf.nn.relu(x @ self.first)
        with tf.name_scope("both"):
            hidden = tf.tanh(hidden @ self.second) @ tf.transpose(self.second)
        total = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.sin(h) + h), (0, hidden))[1]
        return {"scores": tf.nn.softmax(total @ self.third), "hidden": hidden}


def test_operations_of_a_plain_module_are_nodes_and_its_loop_is_named(tmp_path):
    module = Module()
    tf.saved_model.save(module, str(tmp_path / "plain"), signatures={"serving_default": module.serve})
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    run = captured(tmp_path, tmp_path / "plain", str(tmp_path / "x.npy"))
    kinds = [node.kind for node in run.graph]
    assert kinds.count("Dense") == 4
    assert {"Tanh", "ReLU", "Softmax", "While"} <= set(kinds)
    assert sum(node.parameters for node in run.graph) == 4 * 8 + 8 * 8 + 8 * 3
    hidden = np.maximum(x @ module.first.numpy(), 0)
    node = next(node.id for node in run.graph if node.kind == "ReLU")
    np.testing.assert_allclose(run.activations(node).values, hidden, rtol=1e-5, atol=1e-6)
    expected = module.serve(x)["scores"]
    found = next(node.id for node in run.graph if node.kind == "Softmax")
    np.testing.assert_allclose(run.activations(found).values, expected, rtol=1e-5, atol=1e-6)
    assert any("loop or branch is not shown" in note for note in run.provenance.notes)


def test_saved_model_of_keras_2_has_its_layers(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((12,), dtype="int32", name="tokens"),
            tf_keras.layers.Embedding(30, 6, name="embed"),
            tf_keras.layers.LSTM(5, return_sequences=True, name="lstm"),
            tf_keras.layers.LayerNormalization(name="norm"),
            tf_keras.layers.Dense(3, activation="sigmoid", name="scores"),
        ]
    )
    model.save(tmp_path / "keras_2", save_format="tf")
    x = np.random.default_rng(1).integers(0, 30, (2, 12)).astype(np.int32)
    np.save(tmp_path / "x.npy", x)
    run = captured(tmp_path, tmp_path / "keras_2", str(tmp_path / "x.npy"))
    assert [node.id for node in run.graph] == ["tokens", "embed", "lstm", "norm", "scores"]
    for layer in model.layers:
        expected = tf_keras.Model(model.inputs, layer.output)(x)
        np.testing.assert_allclose(run.activations(layer.name).values, expected, rtol=1e-5, atol=1e-6)
        assert run.graph.node(layer.name).parameters == layer.count_params()
