"""What is to be explained is found by number, name or place; a mistake is one sentence that says what there is."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.targets import find_slots, read_target
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.insights import Target
from nnviz3d.errors import ModelError
from tests.capture import zoo
from tests.capture.explained import apart, traced

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
            "net.keras has no class 'zzz'; there are tench, great white shark, Espresso, crane, x.",
        ),
        ("crane", ANIMALS, "The classes 3 and 4 are both called 'crane'; give the number."),
        ("dense[2]", ANIMALS, "'dense' is no output of net.keras; expected one of out0, as in out0[0]."),
        ("start[0]", ANIMALS, "'start' is no output of net.keras; expected one of out0, as in out0[0]."),
        (
            "dog",
            None,
            "Nobody said what the classes of net.keras are called, so there is no 'dog'; give a number, as in 0, or their "
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


def test_scores_stand_before_a_softmax_of_its_own_layer(rng):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, layers.Softmax(name="softmax")(layers.Dense(3, name="dense")(start)))
    x = zoo.numbers(rng, 5, 4)
    (slot,) = find_slots(traced(model, [x]), [x], ("1",), None)
    logits = x @ model.get_layer("dense").kernel.numpy()
    assert (slot.name, slot.output) == ("softmax[1]", "softmax")
    assert apart(slot.score, logits[:, 1]) < 1e-5
    assert apart(slot.probability, (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[:, 1]) < 1e-5


def test_the_same_number_asked_for_twice_is_explained_once(rng):
    model, x = zoo.digits_like(), zoo.numbers(rng, 2, 28, 28, 1)
    slots = find_slots(traced(model, [x]), [x], ("5", "five", "dense_1[5]", "2"), NUMBERS)
    assert [slot.name for slot in slots] == ["dense_1[5]", "dense_1[2]"]
