"""Tests of the targets that a model explains: their scores, probabilities and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.targets import find_slots
from tests.capture import zoo
from tests.capture.explained import apart, every_gradient, traced
from tests.support.target_words import CLASSES, WORDS

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def test_default_target_is_the_predicted_class_of_each_sample(rng):
    model, x = zoo.digits_like(), zoo.numbers(rng, 40, 28, 28, 1)
    (slot,) = find_slots(traced(model, [x]), [x], (), None)
    answers = model.predict(x, verbose=0)
    assert np.array_equal(slot.index, answers.argmax(1))
    assert apart(slot.probability, answers.max(1)) < 1e-5
    value = x
    for layer in model.layers[:-1]:
        value = layer(value)
    logits = np.asarray(value @ model.layers[-1].kernel + model.layers[-1].bias)
    assert apart(slot.score, logits.max(1)) < 1e-5


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


@pytest.mark.parametrize(
    ("squash", "function"),
    [
        (layers.Softmax(name="end"), softmax),
        (layers.Activation("softmax", name="end"), softmax),
        (layers.Activation("sigmoid", name="end"), sigmoid),
        (layers.Activation("log_softmax", name="end"), lambda scores: np.log(softmax(scores))),
        (layers.Activation(tf.nn.softmax, name="end"), softmax),
        (keras.ops.sigmoid, sigmoid),
        (keras.ops.log_softmax, lambda scores: np.log(softmax(scores))),
    ],
)
def test_scores_are_those_before_softmax_or_sigmoid(squash, function, rng):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, squash(layers.Dense(3, name="dense", bias_initializer="ones")(start)))
    x = zoo.numbers(rng, 5, 4)
    model_ = traced(model, [x])
    (slot,) = find_slots(model_, [x], ("1",), None)
    logits = x @ model.get_layer("dense").kernel.numpy() + 1
    assert slot.output == model_.described.graph.outputs[0] != "dense"
    assert apart(slot.score, logits[:, 1]) < 1e-5
    assert apart(slot.probability, function(logits)[:, 1]) < 1e-5
    found = every_gradient(model_, [x], slot.output, slot.index)
    assert np.array_equal(found["start", 0], np.tile(model.get_layer("dense").kernel.numpy()[:, 1], (5, 1)))


class Squashed(keras.Model):
    """Ends with a softmax of TensorFlow, as in its tutorials."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="dense")

    def call(self, x):
        return tf.nn.softmax(self.dense(x))


@pytest.mark.parametrize("activation", [tf.nn.softmax, layers.Softmax()])
def test_scores_are_those_before_a_softmax_outside_of_keras(activation, rng):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation, name="dense")])
    x = zoo.numbers(rng, 5, 4)
    model_ = traced(model, [x])
    (slot,) = find_slots(model_, [x], ("2",), None)
    assert model_.described.graph.node("dense").activation == "softmax"
    assert apart(slot.score, (x @ model.layers[-1].kernel.numpy())[:, 2]) < 1e-5


def test_scores_are_those_before_a_softmax_of_tensorflow(rng):
    model, x = Squashed(), zoo.numbers(rng, 5, 4)
    model(x)
    (slot,) = find_slots(traced(model, [x]), [x], ("0",), None)
    assert slot.name == "softmax[0]"
    assert apart(slot.score, (x @ model.dense.kernel.numpy())[:, 0]) < 1e-5
    assert apart(slot.probability, model(x).numpy()[:, 0]) < 1e-5


def test_every_word_of_the_shared_table_is_explained_as_its_target(rng):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, layers.Dense(5, activation="softmax", name="scores")(start))
    x = zoo.numbers(rng, 2, 4)
    traced_model = traced(model, [x])
    for word, target in WORDS.items():
        (slot,) = find_slots(traced_model, [x], (word,), CLASSES)
        assert (slot.name, slot.output) == (target.slot, target.output), word
        assert (slot.index.tolist(), slot.against) == ([target.index] * 2, target.against), word


def test_target_requested_twice_is_explained_once(rng):
    model, x = zoo.digits_like(), zoo.numbers(rng, 2, 28, 28, 1)
    slots = find_slots(traced(model, [x]), [x], ("5", "five", "dense_1[5]", "2"), NUMBERS)
    assert [slot.name for slot in slots] == ["dense_1[5]", "dense_1[2]"]


TWO = ("cat", "dog")


def test_negated_target_has_the_negated_score_and_gradient_and_the_complementary_probability():
    keras.utils.set_random_seed(0)
    start = keras.Input((4,))
    hidden = layers.Dense(3, activation="tanh", name="hidden")(start)
    x = [np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)]
    model = traced(keras.Model(start, layers.Dense(1, activation="sigmoid", name="is_dog")(hidden)), x)
    dog, cat = find_slots(model, x, ("dog", "cat"), TWO)
    assert (dog.against, cat.against) == (False, True)
    assert np.array_equal(cat.score, -dog.score)
    assert np.allclose(cat.probability, 1 - dog.probability)
    for node in ("hidden", "is_dog"):
        ours, theirs = (every_gradient(model, x, slot.output, slot.asked)[node, 0] for slot in (dog, cat))
        assert np.array_equal(ours, -theirs)
        assert np.any(ours)
