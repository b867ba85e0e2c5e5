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


def test_values_of_inputs_are_given_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read_samples(["age=31.5", "thal=fixed", "thal=text:a b", "age=-2"], [AGE, THAL])
    assert [array.tolist() for array in found.arrays] == [[[31.5], [-2]], [["fixed"], ["a b"]]]
    assert found.names == ("31.5, fixed", "-2, a b")
    (tmp_path / "fixed").mkdir()
    with pytest.raises(SampleError, match="The folder fixed holds no pictures"):
        read_samples(["age=31.5", "thal=fixed"], [AGE, THAL])
    iris = InputSpec("iris", (4,), "float32")
    assert read_samples(["5.1, 3.5 1.4;2e-1"], [iris]).arrays[0].tolist() == np.float32([[5.1, 3.5, 1.4, 0.2]]).tolist()
    for text, spec in (("5.1 3.5", iris), ("text:2.5", InputSpec("rooms", (1,), "int64")), ("text:nan", AGE)):
        with pytest.raises(SampleError, match="is a text, but the model's input"):
            read_samples([text], [spec])


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


def test_texts_of_more_than_one_batch_have_the_length_of_the_longest(tmp_path):
    texts = ["great fun"] * 33 + ["a much longer film"] * 2
    words = layers.TextVectorization(vocabulary=["great", "fun", "film"], name="words")
    start = keras.Input((1,), dtype="string")
    vectors = layers.Embedding(9, 3, mask_zero=True)(words(start))
    model = keras.Model(start, layers.Dense(1)(layers.GlobalAveragePooling1D(name="mean")(vectors)))
    run = nnviz3d.capture(model, texts, out=tmp_path / "run.zarr")
    assert run.tokens(0) == ("great", "fun", "", "")
    assert run.tokens(34) == ("[UNK]", "[UNK]", "[UNK]", "film")
    alone = nnviz3d.capture(model, texts[:1], out=tmp_path / "one.zarr")
    assert alone.tokens() == ("great", "fun")
    assert np.allclose(run.activation("mean", 0), alone.activation("mean"), atol=1e-6)
    run = nnviz3d.capture(model, texts, out=tmp_path / "run.zarr", insights=nnviz3d.Insights(gradients=True))
    assert run.explanations(34).gradient("mean").shape == (3,)


def test_recorded_training_names_the_tokens_and_columns_of_its_probes(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(9, 2), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    ids, y = np.array([[1, 2, 8], [0, 0, 3]]), np.zeros((2, 1))
    recorder = nnviz3d.TrainingRecorder(tmp_path / "run.zarr", probes=(ids, y))
    model.fit(ids, y, callbacks=[recorder], verbose=0)
    run = nnviz3d.open_capture(tmp_path / "run.zarr")
    assert [run.tokens(i) for i in range(2)] == [("1", "2", "8"), ("0", "0", "3")]
