"""Live models of Keras 2 are captured through a copy in Keras 3 whose numbers are those of the original."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nnviz3d
from nnviz3d.capture.loading.live_copy import check_copy, loaded_from
from nnviz3d.capture.programs.flat_program import expected_inputs
from nnviz3d.errors import ModelError

tf_keras = pytest.importorskip("tf_keras")
kinds = tf_keras.layers


def doubled(x):
    return tf.nn.relu(x) * 2


class Own(kinds.Layer):
    def call(self, x):
        return x * 2


class Net(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = kinds.Dense(2)

    def call(self, x):
        return self.dense(x)


def perturbed(model):
    rng = np.random.default_rng(0)
    model.set_weights([array + 0.1 * rng.random(array.shape).astype(array.dtype) for array in model.get_weights()])
    return model


def two_inputs(as_dict):
    left, right = tf_keras.Input((3,), name="left"), tf_keras.Input((2,), name="right")
    made = kinds.Dense(2)(kinds.Concatenate()([left, right]))
    return tf_keras.Model({"right": right, "left": left} if as_dict else [left, right], made)


def numbers(*shape):
    return np.random.default_rng(1).random((3, *shape)).astype(np.float32)


def convolution():
    first = kinds.Conv2D(3, 3, input_shape=(8, 8, 1))
    return tf_keras.Sequential([first, kinds.BatchNormalization(), kinds.Flatten(), kinds.Dense(2, "softmax")])


def text():
    vectorize = kinds.TextVectorization(output_sequence_length=4)
    vectorize.adapt(["hello world", "how are you"])
    layered = [vectorize, kinds.Embedding(20, 4), kinds.GlobalAveragePooling1D(), kinds.Dense(2)]
    return tf_keras.Sequential([tf_keras.Input((1,), dtype="string"), *layered])


MODELS = {
    "convolution": (convolution, lambda: numbers(8, 8, 1)),
    "two inputs": (lambda: two_inputs(False), lambda: [numbers(3), numbers(2)]),
    "a dictionary": (lambda: two_inputs(True), lambda: {"left": numbers(3), "right": numbers(2)}),
    "recurrent": (
        lambda: tf_keras.Sequential([tf_keras.Input((6, 3)), kinds.GRU(4, return_sequences=True), kinds.LSTM(2)]),
        lambda: numbers(6, 3),
    ),
    "lambda": (
        lambda: tf_keras.Sequential([tf_keras.Input((5,)), kinds.Lambda(lambda t: t * 3.0), kinds.Dense(2)]),
        lambda: numbers(5),
    ),
    "function": (
        lambda: tf_keras.Sequential([tf_keras.Input((5,)), kinds.Dense(2, activation=doubled)]),
        lambda: numbers(5),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_capture_of_a_model_of_keras_2_holds_its_numbers(name, tmp_path):
    model, x = (make() for make in MODELS[name])
    run = nnviz3d.capture(perturbed(model), x, out=tmp_path / "run.zarr")
    last = list(run.graph)[-1].id
    assert np.allclose(run.activation(last, sample=1), np.asarray(model(x))[1], atol=1e-6)
    assert run.provenance.model == f"{type(model).__name__} {model.name!r}"
    assert run.provenance.notes[0] == "The model is of Keras 2; a copy of it was run with Keras 3."


def test_model_of_text_of_keras_2_is_captured(tmp_path):
    model = text()
    sentences = ["hello you", "how"]
    run = nnviz3d.capture(model, sentences, out=tmp_path / "run.zarr")
    truth = np.asarray(model(tf.constant([[one] for one in sentences])))
    assert np.allclose(run.activation(list(run.graph)[-1].id, sample=0), truth[0], atol=1e-6)


def built_net():
    model = Net()
    model(numbers(3))
    return model


def ragged():
    row = tf_keras.Input((4,))
    return tf_keras.Model(row, tf.RaggedTensor.from_tensor(row).to_tensor())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tf_keras.Sequential([kinds.Dense(2)]), "was never built; call it once on data, model(x), before"),
        (
            lambda: tf_keras.Sequential([tf_keras.Input((3,)), Own()]),
            "with classes of its own, Own, which Keras 3 cannot",
        ),
        (built_net, "with classes of its own, Net, which Keras 3 cannot run. Let their modules import keras"),
        (ragged, "(ClassMethod)"),
    ],
)
def test_model_that_keras_3_cannot_run_is_refused_with_a_way(make, said):
    with pytest.raises(ModelError) as caught:
        loaded_from(make())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--trust" not in str(caught.value)


def test_copy_that_computes_other_numbers_is_refused():
    original = perturbed(convolution())
    copy = loaded_from(original).model
    inputs, x = expected_inputs(copy), [numbers(8, 8, 1)]
    check_copy(original, copy, inputs, x)
    copy.set_weights([array * 1.1 for array in copy.get_weights()])
    with pytest.raises(ModelError, match="Keras 3 computes other numbers at its output 0"):
        check_copy(original, copy, inputs, x)


def test_random_model_of_keras_2_is_not_compared():
    noise = kinds.Lambda(lambda t: t + tf.random.normal((1, 3)))
    original = tf_keras.Sequential([tf_keras.Input((3,)), noise])
    copy = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    check_copy(original, copy, expected_inputs(copy), [numbers(3)])


def test_training_of_a_model_of_keras_2_is_not_recorded(tmp_path):
    with pytest.raises(ModelError, match="is a model of Keras 2"):
        nnviz3d.TrainingRecorder(tmp_path / "run.zarr").set_model(convolution())
