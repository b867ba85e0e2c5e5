"""Matching of class names to a model's outputs and to the labels of samples."""

import numpy as np
import pytest

from nnviz3d.capture.inputs.class_names import settle_names
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.errors import SampleError


def graph(*shape, activation="softmax"):
    node = LayerNode("out", 0, "Dense", shapes=(shape,), activation=activation)
    return ModelGraph(name="pets", nodes=(node,), edges=(), inputs=(), outputs=("out",))


def samples(labels=None, classes=None):
    count = 1 if labels is None else len(labels)
    truth = None if labels is None else np.array(labels, np.int64)
    return Samples((np.zeros((count, 2)),), ("x",) * count, (False,), labels=truth, classes=classes)


@pytest.mark.parametrize(("shape", "count"), [((10,), 9), ((10,), 11), ((1,), 3), ((8, 8, 4), 3), ((), 3)])
def test_class_names_that_fit_no_output_are_refused_with_both_counts(shape, count):
    with pytest.raises(SampleError, match=rf"are {count} class names, but the output 'out' of pets has \d+ number"):
        settle_names([str(i) for i in range(count)], samples(), graph(*shape))


@pytest.mark.parametrize(("shape", "count"), [((10,), 10), ((1,), 2), ((1,), 1), ((8, 8, 4), 4), ((8, 8, 1), 2)])
def test_class_names_fit_an_output_of_as_many_numbers_or_channels(shape, count):
    names = tuple(str(i) for i in range(count))
    assert settle_names(names, samples(), graph(*shape)).names == names


def test_class_names_may_belong_to_labels_if_the_model_has_no_classes():
    features = graph(64, activation="relu")
    assert settle_names("abc", samples([0, 2]), features).names == ("a", "b", "c")
    with pytest.raises(SampleError, match="3 class names"):
        settle_names("abc", samples([0, 3]), features)
    with pytest.raises(SampleError, match="3 class names"):
        settle_names("abc", samples([0, 2]), graph(64))


def test_class_names_of_samples_name_an_output_of_as_many_numbers():
    pets = samples([0, 1], ("cat", "dog"))
    assert settle_names(None, pets, graph(2)).names == ("cat", "dog")
    assert settle_names(None, pets, graph(1, activation="sigmoid")).names == ("cat", "dog")
    assert settle_names(None, samples(), graph(2), ("cat", "dog")).names == ("cat", "dog")
    assert settle_names(None, pets, graph(64, activation="relu")).labelled(pets) is pets


def test_labels_are_matched_by_name_before_order():
    pets = samples([0, 1, 1], ("cat", "dog"))
    matched = settle_names(("Dog", "bird", "Cat"), pets, graph(3))
    assert matched.labelled(pets).labels.tolist() == [2, 0, 0]
    assert not matched.notes
    ordered = settle_names(("Katze", "Hund"), pets, graph(2))
    assert ordered.labelled(pets).labels.tolist() == [0, 1, 1]
    assert ordered.notes == ("The samples' classes cat, dog are matched to Katze, Hund, in this order.",)
    digits = samples([3], tuple("0123456789"))
    assert not settle_names([f"number {i}" for i in range(10)], digits, graph(10)).notes


def test_labels_of_foreign_classes_are_left_out_with_a_note():
    pets = samples([0, 1], ("cat", "dog"))
    for given in (None, ("tench", "goldfish", "shark")):
        settled = settle_names(given, pets, graph(3))
        assert settled.labelled(pets).labels is None
        assert len(settled.notes) == 1
        assert "The samples' classes cat, dog are not" in settled.notes[0]
