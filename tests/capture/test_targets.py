"""What is to be explained is found by number, name or place; a mistake is one sentence that says what there is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.targets import find_slots, read_target
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.insights import Target
from nnviz3d.errors import ModelError
from tests.capture import zoo
from tests.capture.explained import apart, every_gradient, traced

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ANIMALS = ("tench", "great white shark", "Espresso", "crane", "crane")


def graph(*shapes):
    nodes = [LayerNode("start", 0, "InputLayer", ((4,),))]
    nodes += [LayerNode(f"out{i}", 0, "Dense", (shape,)) for i, shape in enumerate(shapes)]
    names = tuple(node.id for node in nodes[1:])
    return ModelGraph("net.keras", tuple(nodes), tuple(Edge("start", n) for n in names), ("start",), names)


ONE = graph((5,))


@pytest.mark.parametrize(
    ("text", "index"), [("3", 3), (" 0 ", 0), ("Tench", 0), ("great_white_shark", 1), ("espresso", 2), ("out0[4]", 4)]
)
def test_a_number_a_name_or_a_place(text, index):
    assert read_target(text, ONE, ANIMALS) == Target("out0", index)


def test_the_head_is_the_last_vector_and_other_outputs_are_named():
    several = graph((2,), (5,), (1,), (3, 3))
    assert read_target("espresso", several, ANIMALS) == Target("out1", 2)
    assert read_target("out3[8]", several, ANIMALS) == Target("out3", 8)
    assert read_target("0", graph((1,)), None) == Target("out0", 0)


@pytest.mark.parametrize(
    ("text", "classes", "sentence"),
    [
        ("7", None, "'out0' has no number 7; expected a number from 0 to 4."),
        (
            "-1",
            ANIMALS,
            "net.keras has no class -1; expected a number from 0 to 4 (tench, great white shark, Espresso, crane, crane).",
        ),
        ("out0[5]", ANIMALS, "'out0' has no number 5; expected a number from 0 to 4."),
        ("expresso", ANIMALS, "net.keras has no class 'expresso'; did you mean Espresso?"),
        (
            "zzz",
            (*ANIMALS[:4], "x"),
            "net.keras has no class 'zzz'; its classes are tench, great white shark, Espresso, crane, x.",
        ),
        ("crane", ANIMALS, "The classes 3 and 4 are both called 'crane'; give the number."),
        ("dense[2]", ANIMALS, "'dense' is no output of net.keras; expected one of out0, as in out0[0]."),
        ("start[0]", ANIMALS, "'start' is no output of net.keras; expected one of out0, as in out0[0]."),
        (
            "dog",
            None,
            "The classes of net.keras have no names, so there is no 'dog'; give a number, as in 0, or their "
            "names with --classes.",
        ),
    ],
)
def test_mistakes_are_told_in_one_sentence(text, classes, sentence):
    with pytest.raises(ModelError) as error:
        read_target(text, ONE, classes)
    assert str(error.value) == sentence


def test_a_model_without_a_vector_has_no_class():
    with pytest.raises(ModelError, match=r"No output of net.keras is a vector, .* as in out0\[0\]"):
        read_target("1", graph((6, 3)), None)


def test_each_sample_has_the_class_that_it_gets_itself(rng):
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
def test_scores_stand_before_what_only_squashes_them(squash, function, rng):
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
    """Ends as TensorFlow's tutorials do."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="dense")

    def call(self, x):
        return tf.nn.softmax(self.dense(x))


@pytest.mark.parametrize("activation", [tf.nn.softmax, layers.Softmax()])
def test_scores_stand_before_a_softmax_that_is_no_function_of_keras(activation, rng):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation, name="dense")])
    x = zoo.numbers(rng, 5, 4)
    model_ = traced(model, [x])
    (slot,) = find_slots(model_, [x], ("2",), None)
    assert model_.described.graph.node("dense").activation == "softmax"
    assert apart(slot.score, (x @ model.layers[-1].kernel.numpy())[:, 2]) < 1e-5


def test_scores_stand_before_a_softmax_of_tensorflow(rng):
    model, x = Squashed(), zoo.numbers(rng, 5, 4)
    model(x)
    (slot,) = find_slots(traced(model, [x]), [x], ("0",), None)
    assert slot.name == "softmax[0]"
    assert apart(slot.score, (x @ model.dense.kernel.numpy())[:, 0]) < 1e-5
    assert apart(slot.probability, model(x).numpy()[:, 0]) < 1e-5


def test_the_same_number_asked_for_twice_is_explained_once(rng):
    model, x = zoo.digits_like(), zoo.numbers(rng, 2, 28, 28, 1)
    slots = find_slots(traced(model, [x]), [x], ("5", "five", "dense_1[5]", "2"), NUMBERS)
    assert [slot.name for slot in slots] == ["dense_1[5]", "dense_1[2]"]


TWO = ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "against"),
    [("dog", False), ("cat", True), ("1", False), ("0", True), ("out0[0]", False), ("not out0[0]", True)],
)
def test_two_class_target_by_the_first_name_is_the_negation_of_the_number(text, against):
    assert read_target(text, graph((1,)), TWO) == Target("out0", 0, against)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2", "net.keras has no class 2; expected 0 or 1 (cat, dog)."),
        ("9" * 5000, "expected 0 or 1 (cat, dog)."),
        ("bird", "net.keras has no class 'bird'; its classes are cat, dog."),
    ],
)
def test_wrong_target_of_two_classes_is_refused_with_both_names(text, sentence):
    with pytest.raises(ModelError) as error:
        read_target(text, graph((1,)), TWO)
    assert str(error.value).endswith(sentence)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("text", ["9" * 5000, f"out0[{'9' * 5000}]", f"-{'9' * 5000}", "x" * 5000, f"{'x' * 5000}[1]"])
def test_refusal_of_a_target_of_five_thousand_characters_is_one_sentence(text):
    with pytest.raises(ModelError) as error:
        read_target(text, ONE, ANIMALS)
    assert len(str(error.value)) < 700


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
