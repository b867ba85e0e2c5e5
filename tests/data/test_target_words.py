"""Tests of the resolver from a word to a target."""

import pytest

from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.target_words import find_target, head, map_targets, search_text
from nnviz3d.data.targets import PREDICTED, Target
from nnviz3d.errors import ModelError
from tests.support.target_words import CLASSES, WORDS

ANIMALS = ("tench", "great white shark", "Espresso", "crane", "crane")


def graph(*shapes):
    nodes = [LayerNode("start", 0, "InputLayer", ((4,),))]
    nodes += [LayerNode(f"out{i}", 0, "Dense", (shape,)) for i, shape in enumerate(shapes)]
    names = tuple(node.id for node in nodes[1:])
    return ModelGraph("net.keras", tuple(nodes), tuple(Edge("start", n) for n in names), ("start",), names)


ONE = graph((5,))


@pytest.mark.parametrize(("word", "target"), WORDS.items())
def test_target_of_the_shared_table_is_found(word, target):
    scores = LayerNode("scores", 0, "Dense", ((5,),))
    network = ModelGraph("net.keras", (scores,), (), ("scores",), ("scores",))
    assert find_target(word, network, CLASSES) == target


def test_name_of_a_nested_model_stands_for_its_only_output():
    nodes = (LayerNode("start", 0, "InputLayer", ((4,),)), LayerNode("head/dense", 0, "Dense", ((5,),)))
    nested = ModelGraph("net.keras", nodes, (Edge("start", "head/dense"),), ("start",), ("head/dense",))
    assert find_target("head[2]", nested, None) == Target("head/dense", 2)
    assert find_target("not head[2]", nested, None) == Target("head/dense", 2, against=True)


@pytest.mark.parametrize("typed", ["Golden Retriever", "Golden_Retriever"])
@pytest.mark.parametrize("name", ["Golden Retriever", "Golden_Retriever"])
def test_search_text_of_a_class_contains_its_name_with_spaces_and_with_underscores(name, typed):
    assert typed in search_text(name)
    assert search_text("Espresso") == "Espresso"


def test_predicted_is_the_models_own_answer():
    assert find_target(PREDICTED, ONE, ANIMALS) is None
    assert find_target(f" {PREDICTED}", ONE, None) is None


def test_words_of_labels_are_targets_if_classes_have_no_names():
    assert find_target("class 3", ONE, None) == Target("out0", 3)
    assert find_target("out0", graph((1,)), None) == Target("out0", 0)
    assert find_target("not out0", graph((1,)), None) == Target("out0", 0, against=True)


@pytest.mark.parametrize(
    ("word", "index"), [("3", 3), (" 0 ", 0), ("Tench", 0), ("great_white_shark", 1), ("espresso", 2), ("out0[4]", 4)]
)
def test_target_is_found_by_number_name_or_index(word, index):
    assert find_target(word, ONE, ANIMALS) == Target("out0", index)


def test_head_is_the_last_vector_and_other_outputs_are_found_by_name():
    several = graph((2,), (5,), (1,), (3, 3))
    assert find_target("espresso", several, ANIMALS) == Target("out1", 2)
    assert find_target("out3[8]", several, ANIMALS) == Target("out3", 8)
    assert find_target("0", graph((1,)), None) == Target("out0", 0)


@pytest.mark.parametrize(
    ("word", "classes", "sentence"),
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
def test_wrong_word_is_refused_in_one_sentence(word, classes, sentence):
    with pytest.raises(ModelError) as error:
        find_target(word, ONE, classes)
    assert str(error.value) == sentence


def test_answer_of_a_model_without_a_vector_output_is_refused_and_a_class_is_a_channel_of_its_map():
    with pytest.raises(
        ModelError, match=r"No output of net.keras is a vector, .* as in out0\[0\], or a class over .* as in 0"
    ):
        head(graph((6, 3)))
    assert find_target("1", graph((6, 3)), None) == Target("out0", 0, region=":,1")
    with pytest.raises(ModelError, match=r"net.keras has no class 3; expected a number from 0 to 2"):
        find_target("3", graph((6, 3)), None)
    with pytest.raises(ModelError, match=r"shape of 'out0' is not known before it runs"):
        find_target("1", graph((None, 3)), None)


TWO = ("cat", "dog")


@pytest.mark.parametrize(
    ("word", "against"),
    [
        ("dog", False),
        ("cat", True),
        ("1", False),
        ("0", True),
        ("out0[0]", False),
        ("not out0[0]", True),
        ("not dog", True),
        ("not cat", False),
        ("not 1", True),
    ],
)
def test_two_class_target_by_the_first_name_is_the_negation_of_the_number(word, against):
    assert find_target(word, graph((1,)), TWO) == Target("out0", 0, against)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("2", "net.keras has no class 2; expected 0 or 1 (cat, dog)."),
        ("9" * 5000, "expected 0 or 1 (cat, dog)."),
        ("bird", "net.keras has no class 'bird'; its classes are cat, dog."),
    ],
)
def test_wrong_target_of_two_classes_is_refused_with_both_names(word, sentence):
    with pytest.raises(ModelError) as error:
        find_target(word, graph((1,)), TWO)
    assert str(error.value).endswith(sentence)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "word", ["9" * 5000, f"out0[{'9' * 5000}]", f"-{'9' * 5000}", "x" * 5000, f"{'x' * 5000}[1]", "not " * 5000]
)
def test_refusal_of_a_target_of_five_thousand_characters_is_one_sentence(word):
    with pytest.raises(ModelError) as error:
        find_target(word, ONE, ANIMALS)
    assert len(str(error.value)) < 700


def test_targets_of_a_map_are_its_channels_over_the_whole_map():
    assert [target.region for target in map_targets(graph((6, 5, 3)))] == [":,:,0", ":,:,1", ":,:,2"]
    assert map_targets(graph((6, 5, 3), (4,))) == map_targets(graph((None, 3))) == []
