"""Tokens along the time axis and names of units, found in a model's own vocabulary and in its inputs."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.live_model import capture

pytestmark = pytest.mark.tensorflow

TEXTS = ["Great fun!", "a dull, dull film", "an unseen word"]
WORDS = ("", "[UNK]", "a", "great", "fun", "dull", "film")


def vectorization():
    return layers.TextVectorization(output_sequence_length=5, vocabulary=list(WORDS[2:]), name="words")


def test_text_has_the_words_of_the_models_vocabulary_at_its_vectorization(tmp_path):
    start = keras.Input((1,), dtype="string", name="review")
    vectors = layers.Embedding(9, 3, name="vectors")(vectorization()(start))
    model = keras.Model(start, layers.Dense(1)(layers.Flatten()(vectors)))
    run = capture(model, TEXTS, out=tmp_path / "run.zarr")
    ids = run.activations("words").values.astype(int)
    assert ids.tolist() == [[3, 4, 0, 0, 0], [2, 5, 5, 6, 0], [1, 1, 1, 0, 0]]
    for sample in range(3):
        assert run.tokens(sample) == tuple(WORDS[i] for i in ids[sample])
    assert run.tokens(1) == ("a", "dull", "dull", "film", "")
    assert run.tokens(1, "vectors") is None


class Reader(keras.Model):
    """A model of token numbers, with or without the vocabulary that made them."""

    def __init__(self, words=None):
        super().__init__()
        self.words = words
        self.vectors = layers.Embedding(9, 3)
        self.out = layers.Dense(1)

    def call(self, ids):
        return self.out(self.vectors(ids)[:, 0])


def test_token_numbers_have_the_words_of_a_vocabulary_that_the_model_keeps_unused(tmp_path):
    ids = np.array([[3, 4, 8, 0, 0]])
    assert capture(Reader(), ids, out=tmp_path / "run.zarr").tokens() == ("3", "4", "8", "0", "0")
    run = capture(Reader(vectorization()), ids, out=tmp_path / "run.zarr")
    assert run.tokens() == ("great", "fun", "8", "", "")


def test_numbers_for_a_lookup_of_whole_numbers_have_its_numbers_as_words(tmp_path):
    start = keras.Input((4,), dtype="int64", name="codes")
    found = layers.IntegerLookup(vocabulary=[12, 36, 99], name="lookup")(start)
    model = keras.Model(start, layers.Embedding(4, 2)(found))
    run = capture(model, np.array([[99, 7, 12, 12]]), out=tmp_path / "run.zarr")
    assert run.tokens() == ("99", "-1", "12", "12")
    assert run.tokens(0, "codes") is None


def test_units_of_tables_are_named_by_inputs_categories_and_bins(tmp_path):
    age = keras.Input((1,), name="age")
    color = keras.Input((1,), dtype="string", name="color")
    size = keras.Input((1,), dtype="int64", name="size")
    scaled = layers.Normalization(mean=40, variance=9, name="scaled")(age)
    binned = layers.Discretization([18.0, 65.5], output_mode="one_hot", name="binned")(age)
    coded = layers.StringLookup(vocabulary=["red", "green"], output_mode="one_hot", name="coded")(color)
    sized = layers.CategoryEncoding(3, output_mode="one_hot", name="sized")(size)
    joined = layers.Concatenate(name="joined")([scaled, binned, coded, sized])
    model = keras.Model([age, color, size], layers.Dense(2, name="out")(joined))
    x = {"age": np.array([[70.0]]), "color": np.array([["green"]]), "size": np.array([[2]])}
    run = capture(model, x, out=tmp_path / "run.zarr")
    assert run.unit_names("age") == ("age",)
    assert run.unit_names("out") is None
    names, values = run.unit_names("joined"), run.activation("joined")
    assert names == (
        *("age", "age=below 18", "age=18 to 65.5", "age=from 65.5"),
        *("color=[UNK]", "color=red", "color=green", "size=0", "size=1", "size=2"),
    )
    assert dict(zip(names, values.tolist(), strict=True)) == {
        **dict.fromkeys(names, 0.0),
        "age": 10.0,
        "age=from 65.5": 1.0,
        "color=green": 1.0,
        "size=2": 1.0,
    }
