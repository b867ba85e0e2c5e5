"""Files that Keras 2 writes open with the numbers of the models that it wrote."""

import inspect
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from tests.capture.keras_2_functions import CALLS
from tests.capture.keras_2_models import MODELS, lambda_layer, perturb
from tests.capture.old_files import edit

pytestmark = pytest.mark.slow

ENDINGS = ("h5", "keras")
BOTH = pytest.mark.parametrize("ending", ENDINGS)

EXACTLY = 0.0
NORMALIZED = 1e-6
"""Batch and layer normalization: Keras 2 calls a fused operation of TensorFlow, Keras 3 multiplies and adds."""
IN_HALVES = 1e-3
"""Batch normalization of 16-bit numbers, for the same reason."""
OPTIMIZED = 1e-6
"""Nodes of a graph, which TensorFlow optimizes: it multiplies by 1 / 255 where the model divides."""
UNWRITTEN = "not an instance of `tf.Variable` is not supported in h5"
"""Keras 2 writes no .h5 file of a model with a vocabulary."""

EXPECTED = {
    "activations": (EXACTLY, EXACTLY),
    "attention": (EXACTLY, EXACTLY),
    "augmentation": (EXACTLY, EXACTLY),
    "autoencoder_with_losses": (EXACTLY, EXACTLY),
    "bidirectional": (EXACTLY, EXACTLY),
    "conv_lstm": (NORMALIZED, NORMALIZED),
    "convolution_sequential": (NORMALIZED, NORMALIZED),
    "depthwise_and_separable": (EXACTLY, EXACTLY),
    "encoder_decoder": (EXACTLY, EXACTLY),
    "fine_tuned": (NORMALIZED, NORMALIZED),
    "frames": (NORMALIZED, NORMALIZED),
    "initialized": (NORMALIZED, NORMALIZED),
    "locally_connected": (EXACTLY, EXACTLY),
    "mixed_precision": (IN_HALVES, IN_HALVES),
    "mobile_net_v3": (NORMALIZED, NORMALIZED),
    "names_with_slashes": (NORMALIZED, NORMALIZED),
    "nested_model_as_output": (NORMALIZED, NORMALIZED),
    "nested_two_deep": (NORMALIZED, NORMALIZED),
    "one_and_three_dimensions": (EXACTLY, EXACTLY),
    "operators": (EXACTLY, EXACTLY),
    "recurrent": (EXACTLY, EXACTLY),
    "recurrent_cells": (EXACTLY, EXACTLY),
    "residual": (NORMALIZED, NORMALIZED),
    "several_inputs_and_outputs": (EXACTLY, EXACTLY),
    "siamese": (NORMALIZED, NORMALIZED),
    "slicing": (EXACTLY, EXACTLY),
    "stateful": (EXACTLY, EXACTLY),
    "table": (UNWRITTEN, EXACTLY),
    "teachable_machine": (NORMALIZED, NORMALIZED),
    "text": (UNWRITTEN, EXACTLY),
    "transfer_learning": (NORMALIZED, NORMALIZED),
    "transformer": (NORMALIZED, NORMALIZED),
    "u_net": (EXACTLY, EXACTLY),
}
"""What the ``.h5`` and the ``.keras`` file of each model do: the largest difference from the original's numbers, or why
there is no file."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a function that writes a model as both files once, and gives their folder, an input and the outputs."""
    done = {}

    def write(name):
        if name not in done:
            rng = np.random.default_rng(0)
            tf_keras.backend.clear_session()
            model, x = MODELS[name](tf_keras, rng)
            perturb(model, rng)
            folder = tmp_path_factory.mktemp(name)
            unwritten = {ending: _save(model, folder / f"model.{ending}") for ending in ENDINGS}
            done[name] = folder, x, tf.nest.flatten(model(x, training=False)), unwritten
        return done[name]

    return write


def _save(model, path):
    """Save a model of Keras 2; return its reason if it cannot, else `None`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises its newer format
        try:
            model.save(path)
        except NotImplementedError as error:
            return str(error)
    return None


def numbers(outputs):
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def same(got, expected, tolerance):
    """Assert that outputs equal others in shape, type and numbers."""
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if tolerance == EXACTLY:
            assert np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        else:
            assert np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max())


def test_the_list_has_33_models():
    assert len(MODELS) == 33
    assert set(EXPECTED) == set(MODELS)


@BOTH
@pytest.mark.parametrize("name", MODELS)
def test_file_of_keras_2_opens_with_its_numbers(written, name, ending):
    folder, x, expected, unwritten = written(name)
    outcome = EXPECTED[name][ENDINGS.index(ending)]
    if isinstance(outcome, str):
        assert outcome in unwritten[ending]
        return
    assert unwritten[ending] is None
    loaded = load_model(str(folder / f"model.{ending}"))
    same(numbers(loaded.model(x, training=False)), [np.asarray(y) for y in expected], outcome)
    assert len(loaded.notes) <= 2


@BOTH
def test_function_of_tensorflow_computes_as_in_keras_2(tmp_path, ending, rng):
    tf_keras.backend.clear_session()
    table, whole = tf_keras.Input((4,)), tf_keras.Input((3,), dtype="int32")
    picture = tf.reshape(table, [-1, 2, 2, 1])
    outputs = tf.nest.flatten([call(table, picture, whole) for call in CALLS])
    model = tf_keras.Model([table, whole], outputs)
    assert _save(model, tmp_path / f"model.{ending}") is None
    x = [tf.constant(rng.standard_normal((3, 4)), tf.float32), tf.constant([[1, 2, 3], [0, 1, 2], [2, 2, 4]])]
    loaded = load_model(str(tmp_path / f"model.{ending}")).model
    same(numbers(loaded(x)), [np.asarray(y) for y in model(x)], EXACTLY)
    assert [tuple(o.shape) for o in loaded.outputs] == [tuple(o.shape) for o in outputs]


@BOTH
def test_lambda_is_refused_without_trust_and_runs_with_it(tmp_path, ending, rng):
    model, x = lambda_layer(tf_keras, rng)
    _save(model, tmp_path / f"model.{ending}")
    with pytest.raises(ModelError, match="carries code of its own: Lambda 'lambda'"):
        load_model(str(tmp_path / f"model.{ending}"))
    loaded = load_model(str(tmp_path / f"model.{ending}"), trust=True).model
    same(numbers(loaded(x)), [np.asarray(model(x))], EXACTLY)


@BOTH
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: tf.einsum("ij,kj->ik", x, x), "'tf.einsum' (TFOpLambda) calls tf.einsum, of whose arguments"),
        (
            lambda x: x == 1.0,
            "(TFOpLambda) calls tf.__operators__.eq, of whose arguments Keras 2 stores only the first",
        ),
        (lambda x: tf.debugging.check_numerics(x, "no"), "calls tf.debugging.check_numerics, which is not among"),
        (lambda x: tf.squeeze(x[:, None]), "the output of its layer 'tf.compat.v1.squeeze' is known only when it runs"),
        (lambda x: tf.RaggedTensor.from_tensor(x).to_tensor(), "(ClassMethod) (and 1 more) is of a class that Keras 3"),
    ],
)
def test_function_that_cannot_be_called_is_named(tmp_path, ending, call, said):
    tf_keras.backend.clear_session()
    row = tf_keras.Input((4,))
    _save(tf_keras.Model(row, call(row)), tmp_path / f"model.{ending}")
    with pytest.raises(ModelError) as caught:
        load_model(str(tmp_path / f"model.{ending}"))
    assert said in str(caught.value)
    assert f"which Keras {tf_keras.__version__} wrote" in str(caught.value)
    assert "model.load_weights(" in str(caught.value)
    assert "--trust" not in str(caught.value)


@BOTH
def test_masks_are_passed_on_as_in_keras_2(tmp_path, ending, rng):
    tf_keras.backend.clear_session()
    layers = tf_keras.layers
    first, second = tf_keras.Input((5,), dtype="int32"), tf_keras.Input((5,), dtype="int32")
    a, b = layers.Embedding(6, 4, mask_zero=True)(first), layers.Embedding(6, 4, mask_zero=True)(second)
    whole = layers.Embedding(6, 4)(second)
    merged = [kind()([a, b]) for kind in (layers.Add, layers.Subtract, layers.Multiply, layers.Minimum)]
    merged += [kind()([a, whole]) for kind in (layers.Average, layers.Maximum, layers.Concatenate)]
    merged += [layers.Concatenate()([a, b]), layers.Concatenate(axis=1)([a, b]), a + b, layers.Identity()(a)]
    merged += [layers.Rescaling(2.0)(a), layers.Normalization(mean=[0.1] * 4, variance=[2.0] * 4)(a)]
    outputs = [*merged, *(layers.GlobalAveragePooling1D()(x) for x in merged), layers.LSTM(3)(merged[2])]
    model = tf_keras.Model([first, second], outputs)
    perturb(model, rng)
    assert _save(model, tmp_path / f"model.{ending}") is None
    x = [tf.constant([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]), tf.constant([[1, 2, 0, 0, 0], [3, 0, 5, 0, 3]])]
    loaded = load_model(str(tmp_path / f"model.{ending}")).model
    same(numbers(loaded(x)), [np.asarray(y) for y in model(x)], NORMALIZED)


@BOTH
@pytest.mark.parametrize(
    "layer",
    [
        lambda k: k.layers.RandomCrop(4, 5),
        lambda k: k.layers.CenterCrop(10, 9),
        lambda k: k.layers.experimental.SyncBatchNormalization(),
        lambda k: k.src.applications.convnext.LayerScale(0.1, 6),
        lambda k: k.layers.TimeDistributed(k.layers.TimeDistributed(k.layers.Dense(2))),
        lambda k: k.layers.LocallyConnected2D(3, (2, 3), strides=2, data_format="channels_first"),
        lambda k: k.layers.LocallyConnected2D(3, (2, 3), implementation=2, padding="same"),
        lambda k: k.layers.LocallyConnected2D(3, (2, 3), implementation=3, data_format="channels_first"),
        lambda k: k.Sequential([k.layers.RandomHeight(0.1), k.layers.RandomWidth(0.1), k.layers.ThresholdedReLU(0.2)]),
    ],
)
def test_layer_that_keras_3_has_not_computes_as_in_keras_2(tmp_path, ending, layer, rng):
    tf_keras.backend.clear_session()
    model = tf_keras.Sequential([tf_keras.Input((7, 8, 6)), layer(tf_keras)])
    perturb(model, rng)
    assert _save(model, tmp_path / f"model.{ending}") is None
    x = tf.constant(rng.standard_normal((2, 7, 8, 6)), tf.float32)
    loaded = load_model(str(tmp_path / f"model.{ending}")).model
    same(numbers(loaded(x, training=False)), [np.asarray(model(x, training=False))], NORMALIZED)


@BOTH
def test_model_inside_takes_and_returns_tensors_by_name(tmp_path, ending, rng):
    tf_keras.backend.clear_session()
    layers = tf_keras.layers
    a, b, x = tf_keras.Input((4,), name="a"), tf_keras.Input((4,), name="b"), tf_keras.Input((4,))
    inner = tf_keras.Model({"a": a, "b": b}, {"sum": layers.Dense(2)(a + b), "a": layers.Dense(3)(a)})
    outputs = inner({"a": x, "b": 2 * x})
    model = tf_keras.Model(x, [outputs["sum"], outputs["a"]])
    assert _save(model, tmp_path / f"model.{ending}") is None
    x = tf.constant(rng.standard_normal((2, 4)), tf.float32)
    loaded = load_model(str(tmp_path / f"model.{ending}")).model
    same(numbers(loaded(x)), [np.asarray(y) for y in model(x)], EXACTLY)


def nodes_of_graphs(k, layer):
    """Return a model with operations as TensorFlow 2.0 to 2.3 records them, each as one node of a graph."""

    def run(name, constants, *tensors, **options):
        graph = tf.Graph()
        with graph.as_default():
            given = [tf.compat.v1.placeholder("float32") for _ in tensors]
            for position, value in constants.items():
                given.insert(position, value)
            names = list(inspect.signature(getattr(tf.raw_ops, name)).parameters)
            given = [given[:2], *given[2:]] if name in {"ConcatV2", "Pack"} else given
            getattr(tf.raw_ops, name)(**dict(zip(names, given, strict=False)), **options)
        node = next(node for node in graph.as_graph_def().node if node.op == name)
        return layer(node.SerializeToString(), node.name, constants=constants)(list(tensors))

    x = k.Input((4, 4, 3))
    scaled = run("Sub", {0: 1.0}, run("RealDiv", {1: 255.0}, x))
    mean = run("Mean", {1: [1, 2]}, run("Relu", {}, scaled), keep_dims=True)
    joined = run("ConcatV2", {2: -1}, scaled, run("Mul", {}, scaled, mean))
    sides = {1: [0, 0, 1], 2: [0, 2, 0], 3: [1, 1, 1]}
    part = run("StridedSlice", sides, joined, begin_mask=1, end_mask=1, shrink_axis_mask=4)
    masks = {"padding": "SAME", "ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1]}
    pooled = run("MaxPool", {}, joined, **masks)
    halves = run("Split", {0: 3}, pooled, num_split=2)
    return k.Model(x, [part, pooled, run("Transpose", {1: [0, 3, 1, 2]}, halves[1]), run("AddV2", {}, *halves)])


@BOTH
def test_node_of_a_tensorflow_graph_computes_as_in_keras_2(tmp_path, ending, rng):
    tf_keras.backend.clear_session()
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    model = nodes_of_graphs(tf_keras, TensorFlowOpLayer)
    assert _save(model, tmp_path / f"model.{ending}") is None
    x = tf.constant(255 * rng.random((2, 4, 4, 3)), tf.float32)
    loaded = load_model(str(tmp_path / f"model.{ending}")).model
    same(numbers(loaded(x)), [np.asarray(y) for y in model(x)], OPTIMIZED)
    kinds = {type(operation).__name__ for operation in loaded.operations}
    assert {"Subtract", "TrueDivide", "Mean", "Concatenate", "Multiply", "GetItem", "Transpose", "Split"} <= kinds


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_layer_of_cudnn_is_refused_with_a_way_that_works(tmp_path, kind, rng):
    tf_keras.backend.clear_session()
    layers = tf_keras.layers
    old = tf_keras.Sequential([tf_keras.Input((5, 3)), getattr(tf_keras.src.layers, f"CuDNN{kind}")(4, name="rnn")])
    perturb(old, rng)
    assert _save(old, tmp_path / "old.h5") is None
    with pytest.raises(ModelError) as caught:
        load_model(str(tmp_path / "old.h5"))
    said = str(caught.value)
    assert (
        f"its layer 'rnn' (CuDNN{kind}) is of a class that Keras 3 does not have. Its numbers are in an order" in said
    )
    assert "model.load_weights('old.h5')" in said
    new = tf_keras.Sequential([tf_keras.Input((5, 3)), getattr(layers, kind)(4)])
    new.load_weights(tmp_path / "old.h5")
    assert _save(new, tmp_path / "model.h5") is None
    x = tf.constant(rng.standard_normal((2, 5, 3)), tf.float32)
    same(numbers(load_model(str(tmp_path / "model.h5")).model(x)), [np.asarray(new(x))], EXACTLY)


def test_bare_list_of_layers_opens_with_the_numbers_of_its_model(tmp_path, rng):
    tf_keras.backend.clear_session()
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Conv2D(3, 3, input_shape=(8, 8, 1)), layers.Flatten(), layers.Dense(4, "tanh")])
    perturb(model, rng)
    assert _save(model, tmp_path / "model.h5") is None

    def change(config):
        config["config"] = config["config"]["layers"][1:]
        config["config"][0]["config"]["batch_input_shape"] = [None, 8, 8, 1]

    x = tf.constant(rng.random((2, 8, 8, 1)), tf.float32)
    loaded = load_model(str(edit(tmp_path / "model.h5", change, "2.1.6")))
    same(numbers(loaded.model(x)), [np.asarray(model(x))], EXACTLY)
    assert "its list of layers was wrapped" in loaded.notes[0]
