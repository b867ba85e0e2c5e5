"""Samples for models of text: lists, arrays and files in every usual form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import nnviz3d
from nnviz3d.capture.inputs.samples import random_samples, read_samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.storage.axis_names import read_texts
from nnviz3d.errors import SampleError

pytestmark = pytest.mark.tensorflow


class Column:
    """A stand-in for a pandas column, which converts to an array of Python objects."""

    def __array__(self, dtype=None, copy=None):
        return np.array(TEXTS, object)


TEXTS = ["great fun", "a dull film", "a great score"]


@pytest.fixture(scope="module")
def model():
    words = layers.TextVectorization(max_tokens=20, output_sequence_length=4, name="words")
    words.adapt(np.array(TEXTS))
    start = keras.Input((1,), dtype="string", name="review")
    return keras.Model(start, layers.Dense(1)(layers.Flatten()(layers.Embedding(20, 3, name="vectors")(words(start)))))


@pytest.fixture(scope="module")
def expected(model, tmp_path_factory):
    column = np.array(TEXTS)[:, None]
    return (
        nnviz3d.capture(model, column, out=tmp_path_factory.mktemp("text") / "run.zarr").activations("vectors").values
    )


@pytest.mark.parametrize(
    "x",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object)[:, None],
        np.array([text.encode() for text in TEXTS], object),
        tf.constant(TEXTS),
        Column(),
    ],
    ids=["list", "tuple", "array", "objects", "bytes", "tensor", "column"],
)
def test_text_in_any_form_gives_the_same_result(model, expected, tmp_path, x):
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("vectors").values, expected)
    assert [read_texts(run.stored, "review", i) for i in range(3)] == [(text,) for text in TEXTS]
    assert read_texts(run.stored, "vectors", 0) is None


def test_string_is_one_sample_of_text_or_the_name_of_a_file(model, expected, tmp_path):
    run = nnviz3d.capture(model, TEXTS[1], out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("vectors").values, expected[1:2])
    np.save(tmp_path / "x.npy", np.array(TEXTS))
    run = nnviz3d.capture(model, str(tmp_path / "x.npy[1]"), out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("vectors").values, expected[1:2])
    with pytest.raises(SampleError, match=r"There is no input .*gone\.npy"):
        nnviz3d.capture(model, str(tmp_path / "gone.npy"), out=tmp_path / "run.zarr")


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.zeros((3, 1)), "x holds float32; the model's input 'review' takes text: an array of str"),
        (np.array(["a", None], object), r"x holds Python objects \(NoneType, str\)"),
        (np.array([b"\xff"], object), "x holds bytes that are no UTF-8 text"),
    ],
)
def test_sample_that_is_no_text_is_refused_in_one_sentence(model, tmp_path, x, sentence):
    with pytest.raises(SampleError, match=sentence):
        nnviz3d.capture(model, x, out=tmp_path / "run.zarr")


AGE, THAL = InputSpec("age", (1,), "float32"), InputSpec("thal", (1,), "string")


def test_refusal_for_a_model_of_several_inputs_names_an_npz_file(tmp_path):
    with pytest.raises(
        SampleError, match=r"'thal' takes text, which .*; give a \.csv file .*, or an \.npz file .*: age, thal\."
    ):
        random_samples([AGE, THAL], 0, {})
    with pytest.raises(SampleError, match=r"'thal' takes text, which .*; give a sentence, .*\.txt.* or a \.npy file\."):
        random_samples([THAL], 0, {})
    np.save(tmp_path / "x.npy", np.zeros((3, 1)))
    with pytest.raises(
        SampleError, match=r"x\.npy gives 1 array; the model has 2 inputs: age, thal; give an \.npz file"
    ):
        read_samples([str(tmp_path / "x.npy")], [AGE, THAL])


def test_sentence_is_a_sample_for_text_and_one_sentence_for_numbers():
    found = read_samples(["great fun", "text:dull"], [THAL])
    assert found.arrays[0].tolist() == [["great fun"], ["dull"]]
    assert found.names == ("great fun", "dull")
    with pytest.raises(SampleError, match=r"'great fun' is a text, but .* 'age' takes numbers .* no vocabulary"):
        read_samples(["great fun"], [AGE])
    photo = InputSpec("photo", (8, 8, 3), "float32")
    with pytest.raises(SampleError, match=r"'my photo' is a text, but .* \(8, 8, 3\); there is no file of this name"):
        read_samples(["my photo"], [photo])


def test_words_for_an_input_of_several_are_split_and_filled_up():
    words = InputSpec("words", (None,), "string")
    found = read_samples(["a dull film", "text:great"], [words])
    assert found.arrays[0].tolist() == [["a", "dull", "film"], ["great", "", ""]]
    assert found.notes == (
        (),
        ("'great' has 1 word and was filled up with empty words to 3, which the model sees too.",),
    )
    found = read_samples(["a dull film"], [words], shapes=[(2,)])
    assert found.arrays[0].tolist() == [["a", "dull"]]
    assert found.notes[0][0].startswith("'a dull film' was cut after 2 of 3 tokens")


class Unvectorized(keras.Model):
    """A model of token numbers that keeps its vocabulary beside its call."""

    def __init__(self):
        super().__init__()
        self.words = layers.TextVectorization(vocabulary=["great", "fun"], output_sequence_length=6)
        self.vectors = layers.Embedding(9, 3)

    def call(self, ids):
        return self.vectors(ids)


def test_text_for_token_numbers_goes_through_the_vocabulary_that_the_model_keeps(tmp_path):
    model = Unvectorized()
    model(np.zeros((1, 4)))
    (tmp_path / "lines.txt").write_text("Fun, great fun!\nunknown\n")
    run = nnviz3d.capture(model, str(tmp_path / "lines.txt"), out=tmp_path / "run.zarr")
    expected = [np.trim_zeros(np.asarray(model.words([text]))[0], "b") for text in ("Fun, great fun!", "unknown")]
    assert [row.tolist() for row in expected] == [[3, 2, 3], [1]]
    assert run.input("input").tolist()[:3] == [3, 2, 3]
    assert run.input("input", 1).tolist() == [1, 0, 0, 0]
    assert run.tokens(0) == ("fun", "great", "fun", "")
